//! What lies in a recipe's folder after staging.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use esb_image::{Error, Stager, UnpackLimits};
use esb_model::{FollowLinks, Staged, StagedSource};
use esb_oci::ContentStore;
use zip::write::SimpleFileOptions;

use crate::fixture::{Project, added, block_on};

const FOLDER: &str = ".esb/dev/functions/hello";

fn project() -> Project {
    let mut project = Project::new(
        &format!("FROM base:1\nCOPY {FOLDER}/src/ /var/task/\nCOPY {FOLDER}/hook.py /opt/"),
        "lib/a.py a\nlib/.git/c x\n+lib/run r\nlib/l->a.py",
    );
    project.recipe.dockerignore = "**/.git\n".into();
    zip(&project, "one");
    project.recipe.staged = vec![
        staged("src", StagedSource::Unpack("code.zip".into())),
        staged("copied", copy("lib", &["**/.git"])),
        staged("file", copy("lib/run", &[])),
        staged("hook.py", StagedSource::Content(b"hook".to_vec())),
    ];
    project
}

fn copy(from: &str, exclude: &[&str]) -> StagedSource {
    let exclude = exclude.iter().map(|pattern| (*pattern).to_owned()).collect();
    StagedSource::Copy { from: from.into(), exclude, follow: FollowLinks::WithinProject }
}

fn staged(name: &str, source: StagedSource) -> Staged {
    Staged { target: PathBuf::from(FOLDER).join(name), source }
}

fn zip(project: &Project, content: &str) {
    let file = fs::File::create(project.root().join("code.zip")).unwrap();
    let mut writer = zip::ZipWriter::new(file);
    let options = SimpleFileOptions::default();
    writer.start_file("app.py", options).unwrap();
    writer.write_all(content.as_bytes()).unwrap();
    writer.start_file("bin/run", options.unix_permissions(0o755)).unwrap();
    writer.write_all(b"r").unwrap();
    writer.add_symlink("l", "bin/run", options).unwrap();
    writer.finish().unwrap();
}

fn stage(project: &Project) -> Result<Vec<String>, Error> {
    let store = ContentStore::open(project.folder.path().join("store")).unwrap();
    let stager = Stager::new(store, UnpackLimits::default());
    let written = block_on(stager.stage(&project.recipe, &project.root(), project.no_cache))?;
    Ok(written.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
}

#[test]
fn inputs_appear_and_build() {
    let project = project();
    let all = ["Dockerfile", "Dockerfile.dockerignore", "src", "copied", "file", "hook.py"];
    assert_eq!(stage(&project).unwrap(), all);
    assert_eq!(
        added(&project.image()),
        "opt/hook.py 644 hook, var/task/app.py 644 one, var/task/bin/ 755, \
         var/task/bin/run 755 r, var/task/l->bin/run"
    );
    let folder = project.root().join(FOLDER);
    let mode = |path: &str| fs::symlink_metadata(folder.join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("copied"), mode("copied/a.py"), mode("file")), (0o755, 0o644, 0o755));
    assert_eq!(fs::read_link(folder.join("copied/l")).unwrap(), PathBuf::from("a.py"));
    assert!(!folder.join("copied/.git").exists());
    let names = fs::read_dir(&folder).unwrap().count();
    assert_eq!(names, all.len(), "no temporary folder stays");
}

#[test]
fn unchanged_inputs_are_not_touched() {
    let mut project = project();
    stage(&project).unwrap();
    let app = project.root().join(FOLDER).join("src/app.py");
    let before = fs::metadata(&app).unwrap().ino();
    assert_eq!(stage(&project).unwrap(), [""; 0]);
    assert_eq!(fs::metadata(&app).unwrap().ino(), before);

    zip(&project, "two");
    project.write("lib/b.py b");
    assert_eq!(stage(&project).unwrap(), ["src", "copied"]);
    assert_eq!(fs::read_to_string(&app).unwrap(), "two");

    fs::remove_dir_all(project.root().join(FOLDER).join("copied")).unwrap();
    assert_eq!(stage(&project).unwrap(), ["copied"], "what vanished comes back");

    project.no_cache = true;
    assert_eq!(stage(&project).unwrap(), ["src", "copied", "file"]);
}

#[test]
fn what_others_staged_is_not_taken_for_ours() {
    let mut project = project();
    stage(&project).unwrap();
    // A run with another store, or one that was killed before it noted what it did.
    let own = project.folder.path().join("store");
    let aside = project.folder.path().join("aside");
    fs::rename(&own, &aside).unwrap();
    zip(&project, "two");
    stage(&project).unwrap();
    fs::remove_dir_all(&own).unwrap();
    fs::rename(&aside, &own).unwrap();

    zip(&project, "one");
    assert!(stage(&project).unwrap().contains(&"src".to_owned()));
    let app = project.root().join(FOLDER).join("src/app.py");
    assert_eq!(fs::read_to_string(&app).unwrap(), "one");
    assert_eq!(stage(&project).unwrap(), [""; 0]);

    fs::remove_file(&app).unwrap();
    project.recipe.staged.truncate(1);
    assert_eq!(stage(&project).unwrap(), ["src"], "what was taken out of it comes back");
}

#[test]
fn a_refused_archive_leaves_what_was_there() {
    let project = project();
    stage(&project).unwrap();
    fs::write(project.root().join("code.zip"), "no zip").unwrap();
    assert!(matches!(stage(&project).unwrap_err(), Error::Archive { .. }));
    let folder = project.root().join(FOLDER);
    assert_eq!(fs::read_to_string(folder.join("src/app.py")).unwrap(), "one");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 6);
}

#[test]
fn missing_sources_are_named() {
    for source in [StagedSource::Unpack("none.zip".into()), copy("none", &[])] {
        let mut project = project();
        project.recipe.staged = vec![staged("x", source)];
        let error = stage(&project).unwrap_err();
        assert!(
            matches!(&error, Error::MissingSource { path, .. } if path.to_str().unwrap().contains("none")),
            "{error:?}"
        );
    }
}

/// All that lies below a folder, one word each.
fn tree(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_symlink() {
            found.push(format!("{name}->{}", fs::read_link(&path).unwrap().display()));
        } else if kind.is_dir() {
            found.push(format!("{name}/"));
            tree(&path, &format!("{name}/"), found);
        } else {
            let program = if kind.mode() & 0o111 == 0 { "" } else { "+" };
            found.push(format!("{program}{name}={}", fs::read_to_string(path).unwrap()));
        }
    }
}

/// What a copy of `src` of a project has.
fn copied(project: &Project) -> Result<String, Error> {
    stage(project)?;
    let mut found = Vec::new();
    tree(&project.root().join(FOLDER).join("copied"), "", &mut found);
    Ok(found.join(" "))
}

fn with_links(files: &str, exclude: &[&str], follow: FollowLinks) -> Project {
    let mut project =
        Project::new(&format!("FROM base:1\nCOPY {FOLDER}/copied/ /var/task/"), files);
    let StagedSource::Copy { from, exclude, .. } = copy("src", exclude) else { unreachable!() };
    project.recipe.staged = vec![staged("copied", StagedSource::Copy { from, exclude, follow })];
    project
}

#[test]
fn links_that_lead_out_become_what_they_lead_to() {
    let check = |files: &str, exclude: &[&str], expected: &str| {
        let project = with_links(files, exclude, FollowLinks::WithinProject);
        assert_eq!(copied(&project).unwrap(), expected, "{files}");
        let words = expected.split(' ').filter(|word| !word.is_empty()).count();
        assert_eq!(added(&project.image()).split(", ").count(), words, "the image has it too");
    };
    let base = "src/a.py a\ncommon/x.py x\n+common/bin/run r\ncommon/y->x.py\n";
    check(
        &format!("{base}src/l->../common"),
        &[],
        "a.py=a l/ l/bin/ +l/bin/run=r l/x.py=x l/y->x.py",
    );
    check(&format!("{base}src/d/l->../../common/x.py"), &[], "a.py=a d/ d/l=x");
    check(&format!("{base}src/l->a.py\nsrc/abs->/opt/x"), &[], "a.py=a abs->/opt/x l->a.py");
    check(&format!("{base}src/l->../chain\nchain->common/bin"), &[], "a.py=a l/ +l/run=r");
    check(
        &format!("{base}src/l->../common\ncommon/z->../src/a.py"),
        &["l/bin", "**/y"],
        "a.py=a l/ l/x.py=x l/z=a",
    );
    check(&format!("{base}src/l->../common"), &["*", "!l/x.py"], "l/ l/x.py=x");
    check(
        &format!("{base}src/it's[l]$X*->../common/bin"),
        &[],
        "a.py=a it's[l]$X*/ +it's[l]$X*/run=r",
    );
}

#[test]
fn a_change_behind_a_link_is_seen() {
    let project = with_links(
        "src/a.py a\ncommon/x.py one\nother/x.py other\nsrc/l->../common",
        &[],
        FollowLinks::WithinProject,
    );
    assert_eq!(copied(&project).unwrap(), "a.py=a l/ l/x.py=one");
    assert_eq!(stage(&project).unwrap().len(), 0);
    let first = project.image();
    project.write("common/x.py two");
    assert_eq!(copied(&project).unwrap(), "a.py=a l/ l/x.py=two");
    let second = project.image();
    assert_ne!(first.digest(), second.digest());
    fs::remove_file(project.root().join("src/l")).unwrap();
    std::os::unix::fs::symlink("../other", project.root().join("src/l")).unwrap();
    assert_eq!(copied(&project).unwrap(), "a.py=a l/ l/x.py=other");
    project.write("other/new n");
    assert_eq!(copied(&project).unwrap(), "a.py=a l/ l/new=n l/x.py=other");
}

#[test]
fn links_that_cannot_be_followed_are_named() {
    let check = |files: &str, follow, expected: &str| {
        let error = copied(&with_links(files, &[], follow)).unwrap_err();
        assert!(matches!(error, Error::Link { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let out = "src/a.py a\nsrc/l->../../../../../../../../../../../../etc/passwd";
    check(out, FollowLinks::WithinProject, "`src/l` leads to `../../");
    assert!(copied(&with_links(out, &[], FollowLinks::Anywhere)).unwrap().contains("l=root:"));
    check("src/a.py a\nsrc/l->..", FollowLinks::Anywhere, "a folder that holds the link");
    check("src/a.py a\nsrc/l->../gone", FollowLinks::WithinProject, "where there is nothing");
}
