//! Names that would delete files of an image.

use std::fs::File;

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Folder:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: folder/}
  Archive:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code.zip}
  Single:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: one/.wh.app.py}
  Layered:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: one/, Layers: [!Ref Layer]}
  Inline:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: .wh.app.handler, InlineCode: 'x = 1'}
  Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer/}}
";

#[test]
fn a_whiteout_in_code_or_a_layer_is_an_error() {
    let context = Context::new(TEMPLATE);
    for path in
        ["folder/app.py", "folder/a/.wh.passwd", "layer/python/.wh..wh..opq", "one/.wh.app.py"]
    {
        context.write(path, "def handler(event, context): pass\n");
    }
    let mut archive = zip::ZipWriter::new(File::create(context.path().join("code.zip")).unwrap());
    for name in ["app.py", ".wh.x/y"] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    }
    archive.finish().unwrap();
    let said = context.esb(&["validate"]);
    let count = || said.matches("error[esb::recipe::whiteout-name]").count();
    for name in ["folder/a/.wh.passwd", "layer/python/.wh..wh..opq", ".wh.x/y", "one/.wh.app.py"] {
        assert!(said.contains(&format!("holds `{name}`")), "{name}: {said}");
    }
    assert!(count() >= 4 && said.contains("rename it, or leave it out"), "{said}");
    // What is left out does nothing.
    context.write("folder/.samignore", ".wh.*\n**/.wh.*\n");
    let said = context.esb(&["validate"]);
    assert!(!said.contains("folder/a/.wh.passwd"), "{said}");
}
