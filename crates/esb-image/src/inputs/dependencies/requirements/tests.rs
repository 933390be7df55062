//! Requirements files as pip reads them.

use std::fs;

use super::*;
use crate::fingerprint::Fingerprint;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read_with(&self, name: &str, constraints: &[String]) -> Result<Requirements, Error> {
        let root = self.path();
        let reader = Reader {
            image: "i",
            root: &root,
            variable: &|name| match name {
                "FILE" => Some("more.txt".to_owned()),
                "V" => Some("1.2".to_owned()),
                "TOKEN" => Some("hunter2".to_owned()),
                "DOLLAR" => Some("$".to_owned()),
                "LINE" => Some("1\u{2028}--no-binary=:all:".to_owned()),
                "EVIL" => Some("-e ./lib".to_owned()),
                _ => None,
            },
            constraints,
            overrides: &[],
        };
        Requirements::read(&reader, &root.join(name))
    }

    fn read(&self, name: &str) -> Requirements {
        self.read_with(name, &[]).unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    fn key(&self, name: &str) -> Digest {
        let mut key = Fingerprint::new("test");
        self.read(name).describe(&mut key);
        key.finish()
    }
}

fn files(found: &Requirements) -> Files {
    found.render(&|path| path.display().to_string(), false)
}

#[test]
fn offline_nothing_is_named_that_would_be_reached() {
    let folder = Folder::new();
    let text = "--index-url https://u:p@h/simple\n--extra-index-url https://i\n--trusted-host h\n\
                --find-links https://h/wheels\n--find-links own\nplain==1\n\
                here[more] @ https://h/a/here-1%2Bx-py3-none-any.whl?sig=1 ; python_version > '3'\n\
                gone @ https://h/gone-1-py3-none-any.whl\n";
    folder.write("r.txt", text);
    folder.write("own/readme", "");
    let wheel = folder.write("wheels/here-1+x-py3-none-any.whl", "");
    let found = folder.read("r.txt").offline(&[folder.path().join("wheels")]);
    let Files { options, requirements, .. } = files(&found);
    let root = folder.path().display().to_string();
    let expected =
        format!("--find-links file://{root}/own\n--find-links file://{root}/wheels\n--no-index\n");
    assert_eq!(options, expected);
    let expected = format!(
        "plain==1\nhere[more] @ file://{} ; python_version > '3'\n\
         gone @ https://h/gone-1-py3-none-any.whl\n",
        entry::escaped(&wheel.display().to_string())
    );
    assert_eq!(requirements, expected);
}

#[test]
fn every_way_to_name_a_file_is_followed() {
    let folder = Folder::new();
    folder.write("c.txt", "six<2");
    let utf16: Vec<u8> = "\u{feff}-c c.txt".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [
        &b"-r other.txt\t# why"[..],
        b"-rother.txt",
        b"--requirement=other.txt",
        b"--requirement \"other.txt\"",
        b"-r 'other.txt' # c",
        b"--requirem oth\\\ner.txt",
        b"\xef\xbb\xbf-r other.txt",
        b"-r file:other.txt",
    ] {
        folder.write("r.txt", text);
        folder.write("other.txt", &utf16);
        let found = folder.read("r.txt");
        assert_eq!(files(&found).constraints, "six<2\n", "{:?}", String::from_utf8_lossy(text));
        let first = folder.key("r.txt");
        folder.write("c.txt", "six<3");
        assert_ne!(folder.key("r.txt"), first);
        folder.write("c.txt", "six<2");
        assert_eq!(folder.key("r.txt"), first);
    }
    folder.write("r.txt", "-r ${FILE}\n-r more\\ list.txt\nx==${V}");
    folder.write("more list.txt", "");
    folder.write("more.txt", "idna; python_version < '3.12'");
    let text = files(&folder.read("r.txt")).requirements;
    assert_eq!(text, "x==1.2\nidna ; python_version < '3.12'\n");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let folder = Folder::new();
    let check = |text: &str, line: usize, words: &str| {
        folder.write("r.txt", text);
        let error = folder.read_with("r.txt", &[]).unwrap_err();
        let Error::Requirement { line: found, reason, .. } = &error else { panic!("{error:?}") };
        assert!((*found, reason.contains(words)) == (line, true), "{text}: {error}");
    };
    check("six\n\n-r none.txt", 3, "there is no");
    check("six\n./none", 2, "there is no `./none`");
    check("six\n--nonsense", 2, "not an option");
    check("htp:/ci:pw99xy@h/x", 1, "there is no `***@h/x`");
    check("--indexes=http://ci:pw99xy@h/x", 1, "`--indexes` is not an option");
    check("x\ny --idx=http://ci:pw99xy@h/x", 2, "`--idx` is not an option");
    check("six six", 1, "is not a requirement");
    check("six ${NONE", 1, "is not a requirement");
    let values = [
        "--trusted-host \"127.0.0.1 --no-binary=both\"",
        "-i \"http://h/simple --no-binary :all:\"",
        "--extra-index-url 'http://h/simple --no-binary :all:'",
        "-f \"http://h/ --no-binary=both\"",
        "-r 'http://h/ --no-binary=both'",
        "both==1.0 --hash='sha256:00 --global-option=x'",
        "--only-binary 'x --no-binary=x'",
        "-i http://h/\\\\x",
        "-i http://h/$'{HOME}'",
        "--trusted-host ''",
        "--trusted-host --pre",
    ];
    for text in values {
        check(&format!("six\n{text}"), 2, "one word");
    }
    folder.write("w/a-1-py3-none-any.whl", "");
    let lines = [
        "-e 'x @ http://h/a.whl?y --no-binary=both'",
        "-e './w/a-1-py3-none-any.whl ; x --no-binary=both'",
        "x @ http://h/a.whl?${HOME}",
        "six ; python_version > '${HOME}'",
        "six ; os_name == '${DOLLAR}{HOME}'",
        "x @ file:w/a-1-py3-none-any.whl#x\u{a0}y",
    ];
    for text in lines {
        check(text, 1, "it holds an option");
    }
    check("six ; os_name == '${LINE}'", 1, "cannot have there");
    check("six ; x == '${ESB_REQUIREMENT_V}'", 1, "not the project's");
    check("six ; x == '${DOLLAR}{ESB_REQUIREMENT_V}'", 1, "not the project's");
    let error = folder.read_with("none.txt", &[]).unwrap_err();
    assert!(matches!(error, Error::MissingSource { .. }), "{error}");
}

#[test]
fn what_has_to_be_built_is_known() {
    let folder = Folder::new();
    folder.write("lib/pyproject.toml", "");
    folder.write("a-1.tar.gz", "");
    folder.write("a-1-py3-none-any.whl", "");
    let check = |text: &str, what: Option<&str>| {
        folder.write("r.txt", text);
        let found = folder.read("r.txt");
        let build = found.build().map(|(place, what)| (place.line, &**what));
        assert_eq!(build, what.map(|what| (2, what)), "{text}");
    };
    let local = Some("a local package");
    for line in [
        "./lib",
        "lib/",
        "-e lib",
        "-e lib/",
        "-e./lib",
        "--editable=./lib",
        "x @ file:lib",
        "a-1.tar.gz",
    ] {
        check(&format!("six\n{line}"), local);
    }
    // A variable cannot hide it.
    check("six\n${EVIL}", local);
    check("six\n-e git+https://h/x", Some("a repository"));
    check("six\nx @ https://h/x.zip", Some("an archive of sources"));
    check("six\n--no-binary six", Some("a package from its sources (`--no-binary`)"));
    check("six\n--no-bin=:all:", Some("a package from its sources (`--no-binary`)"));
    check("six\nx --config-settings a=b", Some("a build with settings"));
    check("six\nx --global-option=\"--y\"", Some("a build with settings"));
    // In constraints too `--no-binary` overrules what a command line says.
    let list = Some("a list at a web address, which can ask for builds");
    check("six\n-r https://h/r.txt", list);
    check("six\n-c https://h/c", list);
    for line in ["a-1-py3-none-any.whl", "x @ https://h/a.whl", "--only-binary x", "lib"] {
        check(&format!("six\n{line}"), None);
    }
}

#[test]
fn nothing_of_a_build_reaches_a_tool_that_must_not() {
    let folder = Folder::new();
    folder.write(
        "r.txt",
        "six --hash=sha256:00\n--no-binary :all:\nx -C a='b c'\n--prefer-binary\n--pre",
    );
    let found = folder.read("r.txt");
    let Files { options, requirements, .. } = files(&found);
    assert_eq!((&*options, &*requirements), ("", "six --hash=sha256:00\nx\n"));
    assert!(found.options.pre);
    let Files { options, requirements, .. } = found.render(&|_| String::new(), true);
    assert_eq!(options, "--no-binary :all:\n--prefer-binary \n");
    assert_eq!(requirements, "six --hash=sha256:00\nx --config-settings='a=b c'\n");
}

#[test]
fn the_key_sees_what_is_read_and_no_secret() {
    let folder = Folder::new();
    let key = |text: &str| {
        folder.write("r.txt", text);
        folder.key("r.txt")
    };
    let same = |a: &str, b: &str| assert_eq!(key(a), key(b), "{a} {b}");
    let other = |a: &str, b: &str| assert_ne!(key(a), key(b), "{a} {b}");
    same("six", "six # comment");
    same("-i http://ci:${TOKEN}@h/", "-i http://other:literal@h/");
    same("x @ https://u:a@h/x.whl", "x @ https://u:b@h/x.whl");
    other("-i http://h/a", "-i http://h/b");
    other("-i http://h/a", "--extra-index-url http://h/a");
    other("six", "six --hash=sha256:00");
    other("six", "-c r.txt\nsix");
    other("--pre", "--no-index");
    folder.write("wheels/a.whl", "1");
    let first = key("-f wheels\nsix");
    folder.write("wheels/b.whl", "1");
    assert_ne!(key("-f wheels\nsix"), first);

    folder.write("links/x.html", "<a href='a.whl'>");
    let page = key("-f links/x.html\nsix");
    folder.write("links/x.html", "<a href='b.whl'>");
    assert_ne!(key("-f links/x.html\nsix"), page);
    let page = key("-f links/x.html\nsix");
    let wheel = folder.write("links/a.whl", "1");
    assert_ne!(key("-f links/x.html\nsix"), page);
    // Another file of equal size and time.
    let date = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    date(&wheel);
    let links = key("-f links\nsix");
    assert_eq!(key("-f links\nsix"), links);
    let other = folder.write("other.whl", "2");
    date(&other);
    fs::rename(other, &wheel).unwrap();
    assert_ne!(key("-f links\nsix"), links);
    let wish = |text: &str| {
        folder.write("r.txt", text);
        let mut key = Fingerprint::new("test");
        folder.read("r.txt").describe_wish(&mut key);
        key.finish()
    };
    assert_eq!(wish("-i http://ci:a@h/\nsix"), wish("-i http://ci:b@h/\nsix"));
    assert_ne!(wish("-i http://ci:a@h/\nsix"), wish("-i http://ci:a@g/\nsix"));

    folder.write("r.txt", "-i http://ci:${TOKEN}@h/\nsix");
    let found = folder.read("r.txt");
    assert_eq!(found.variables.iter().collect::<Vec<_>>(), ["TOKEN"]);
    assert_eq!(files(&found).options, "--index-url http://ci:${ESB_REQUIREMENT_TOKEN}@h/\n");
}

#[test]
fn a_folder_is_one_word_whatever_it_is_called() {
    let folder = Folder::new();
    folder.write("w --no-binary x/a", "");
    folder.write("r.txt", "-f 'w --no-binary x'\nsix");
    let options = files(&folder.read("r.txt")).options;
    assert!(options.ends_with("/w%20--no-binary%20x\n"), "{options}");
    let value = options.trim_end().strip_prefix("--find-links ").unwrap();
    assert!(value.starts_with("file:///") && lines::is_word(value), "{options}");
}

#[test]
fn too_many_files_are_an_error() {
    let folder = Folder::new();
    let all: Vec<_> = (0..MAX_FILES).map(|number| format!("-r {number}.txt")).collect();
    folder.write("r.txt", all.join("\n"));
    for number in 0..MAX_FILES {
        folder.write(&format!("{number}.txt"), "six");
    }
    let error = folder.read_with("r.txt", &[]).unwrap_err();
    let Error::Requirement { line, reason, .. } = &error else { panic!("{error:?}") };
    assert!(*line == 1 && reason.contains("more than 100 files"), "{error}");
}

#[test]
fn constraints_of_the_environment_count() {
    let folder = Folder::new();
    folder.write("r.txt", "six");
    let c = folder.write("etc/c.txt", "-r d.txt\nidna<3").display().to_string();
    folder.write("etc/d.txt", "six<2");
    let found = folder.read_with("r.txt", &[c, "https://h/c.txt".to_owned()]).unwrap();
    let Files { options, requirements, constraints, .. } = files(&found);
    assert_eq!((&*requirements, &*constraints), ("six\n", "idna<3\nsix<2\n"));
    assert_eq!(options, "-c https://h/c.txt\n");
}

#[test]
fn projects_and_locks() {
    let folder = Folder::new();
    folder.write("lib/pyproject.toml", "");
    let project =
        "[project]\nname = 'app'\ndependencies = ['six>=1', \"x; python_version < '3'\"]\n";
    folder.write("pyproject.toml", project);
    folder.write(
        "uv.lock",
        "[[package]]\nname = 'app'\nversion = '0'\nsource = { virtual = '.' }\n\
         [[package]]\nname = 'six'\nversion = '1.17'\nsource = { registry = 'https://i' }\n\
         [[package]]\nname = 'lib'\nversion = '1'\nsource = { editable = \"lib\" }\n\
         [[package]]\nname = 'y'\nversion = '1'\nsource = { registry = 'https://i' }\n\
         [[package]]\nname = 'y'\nversion = '2'\nsource = { registry = 'https://i' }\n",
    );
    let found = folder.read("pyproject.toml");
    assert_eq!(files(&found).requirements, "six>=1\nx ; python_version < '3'\n");
    assert!(found.is_free() && found.build().is_none());
    let locked = folder.read("uv.lock");
    assert_eq!(files(&locked).constraints, "six==1.17\n");
    assert!(!locked.is_free() && locked.texts.len() == 2);
    assert_eq!(locked.project.as_ref().unwrap().local, [folder.path().join("lib")]);

    let root = folder.path();
    let reader =
        Reader { image: "i", root: &root, variable: &|_| None, constraints: &[], overrides: &[] };
    let export = "-e ./lib\n    # via app\nsix==1.17 \\\n    --hash=sha256:00\n";
    let exported = locked.with_export(&reader, export).unwrap();
    assert_eq!(exported.build().map(|(place, _)| place.line), Some(12), "{exported:?}");
    let Files { requirements, constraints, .. } = exported.render(&|_| "/l".to_owned(), true);
    assert_eq!((&*requirements, &*constraints), ("/l\nsix==1.17\n", ""));

    let sources = "[tool.uv.sources]\nX = { git = 'https://h/x', tag = 'v1', subdirectory = 'p' }\n\
                   six = { index = 'mine' }\n";
    folder.write("pyproject.toml", format!("{project}{sources}"));
    let found = folder.read("pyproject.toml");
    let expected = "six>=1\nx @ git+https://h/x@v1#subdirectory=p ; python_version < '3'\n";
    assert_eq!(files(&found).requirements, expected);
    assert_eq!(found.build().map(|(place, _)| place.line), Some(3));
    assert_eq!(found.project.unwrap().indexes["six"], "mine");

    folder
        .write("pyproject.toml", format!("{project}[tool.uv.sources]\nx = {{ path = './lib' }}\n"));
    assert_eq!(folder.read("pyproject.toml").local().count(), 1);
    for (text, words) in [
        ("[project\n", "line 1"),
        ("[project]\ndynamic = ['dependencies']\n", "known only to its own build"),
        (&format!("{project}[tool.uv.sources]\nx = {{ workspace = true }}\n"), "uv lock"),
        ("[project]\ndependencies = ['x --no-binary x']\n", "no options"),
    ] {
        folder.write("pyproject.toml", text);
        let error = folder.read_with("uv.lock", &[]).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
