//! Where `COPY` puts files: small Dockerfiles, and what they add to the base.

use std::io::Write as _;

use crate::fixture::{Project, added};

const FILES: &str = "code/app.py print
code/lib/x.so lib
+code/bin/run go
code/lib/l->x.so
code/empty/
code/.git/config g
single one
other two
lns->single
lnd->code/lib
layer/python/common.py c";

#[track_caller]
fn check(dockerfile: &str, expected: &str) {
    let project = Project::new(&format!("FROM base:1\n{dockerfile}"), FILES);
    assert_eq!(added(&project.image()), expected, "{dockerfile}");
}

#[test]
fn files() {
    check("COPY single /opt/", "opt/single 644 one");
    check("COPY single /opt", "opt/single 644 one");
    check("COPY single /new", "new 644 one");
    check("COPY single /new/", "new/ 755, new/single 644 one");
    check("COPY single a/b", "var/task/a/ 755, var/task/a/b 644 one");
    check("COPY single .", "var/task/single 644 one");
    check("COPY single /etc/os", "etc/os 644 one");
    check("COPY single other /opt/", "opt/other 644 two, opt/single 644 one");
    check("COPY s* o?her /opt/", "opt/other 644 two, opt/single 644 one");
    check("COPY none* /opt/x/", "");
    check("COPY code/bin/run ${LAMBDA_TASK_ROOT}/", "var/task/run 755 go");
    check("COPY [\"single\", \"/with space/\"]", "with space/ 755, with space/single 644 one");
}

#[test]
fn folders() {
    check("COPY code/lib /opt/", "opt/l->x.so, opt/x.so 644 lib");
    check("COPY code/lib/ /n", "n/ 755, n/l->x.so, n/x.so 644 lib");
    check("COPY code/empty /opt/", "");
    check("COPY code/empty /e", "e/ 755");
    check(
        "COPY code ${LAMBDA_TASK_ROOT}/",
        "var/task/.git/ 755, var/task/.git/config 644 g, var/task/app.py 644 print, \
         var/task/bin/ 755, var/task/bin/run 755 go, var/task/empty/ 755, var/task/lib/ 755, \
         var/task/lib/l->x.so, var/task/lib/x.so 644 lib",
    );
    check(
        "COPY layer code/lib /m",
        "m/ 755, m/l->x.so, m/python/ 755, m/python/common.py 644 c, m/x.so 644 lib",
    );
}

#[test]
fn links_of_the_base_and_of_the_context() {
    check("COPY single /lnk/", "opt/single 644 one");
    check("COPY code/lib /lnk", "opt/l->x.so, opt/x.so 644 lib");
    check("COPY single /lib/deep/f", "usr/lib/deep/ 755, usr/lib/deep/f 644 one");
    check("COPY lns /opt/", "opt/lns 644 one");
    check("COPY lnd /opt/", "opt/l->x.so, opt/x.so 644 lib");
    check("COPY single /opt/f\nCOPY other /lnk/f", "opt/f 644 two");
}

#[test]
fn owners_and_modes() {
    check("COPY --chown=5:6 single /a/b/", "a/ 755 5:6, a/b/ 755 5:6, a/b/single 644 5:6 one");
    check("COPY --chmod=600 single /opt/", "opt/single 600 one");
    check("COPY --chown=7 code/lib /n", "n/ 755 7:7, n/l->x.so 7:7, n/x.so 644 7:7 lib");
}

#[test]
fn names_of_accounts() {
    let accounts = "users me:x:11:12::/:/bin/sh\ngroups us:x:13:";
    let check = |dockerfile: &str, expected: &str| {
        let start = "FROM base:1\nCOPY users /etc/passwd\nCOPY groups /etc/group\n";
        let files = format!("{FILES}\n{accounts}");
        let project = Project::new(&format!("{start}{dockerfile}"), &files);
        let all = added(&project.image());
        assert!(all.ends_with(expected), "{dockerfile}: {all}");
    };
    check("COPY --chown=me single /x", "x 644 11:12 one");
    check("COPY --chown=me:us single /x", "x 644 11:13 one");
    check("COPY --chown=5:us single /x", "x 644 5:13 one");
    check("COPY --chown=root:us single /x", "x 644 0:13 one");
    check("USER me:us\nWORKDIR /x/y", "x/ 755 11:13, x/y/ 755 11:13");
}

#[test]
fn work_folders() {
    check("WORKDIR /var/task\nCOPY single f", "var/task/f 644 one");
    check("WORKDIR /w\nWORKDIR x\nCOPY single .", "w/ 755, w/x/ 755, w/x/single 644 one");
    check("USER 8:9\nWORKDIR /lnk/w", "opt/w/ 755 8:9");
}

#[test]
fn stages() {
    check(
        "COPY single /opt/f\nFROM scratch AS made\nCOPY --chown=2:3 code/lib /out/lib/\n\
         FROM base:1\nCOPY --from=made /out /opt/\nCOPY --from=made /out/lib/x.so /y",
        "opt/lib/ 755 2:3, opt/lib/l->x.so 2:3, opt/lib/x.so 644 2:3 lib, y 644 2:3 lib",
    );
    let chained = "FROM base:1 AS one\nCOPY single /one\nENV A=1\nFROM one\nCOPY other /two-$A";
    let project = Project::new(chained, FILES);
    assert_eq!(added(&project.image()), "one 644 one, two-1 644 two");
}

#[test]
fn patterns_in_stages() {
    check(
        "FROM scratch AS made\nCOPY code/lib single /out/\nFROM base:1\nCOPY --from=made /o*/*.so /opt/",
        "opt/x.so 644 lib",
    );
}

#[test]
fn archives() {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_path("d/f").unwrap();
    header.set_mode(0o755);
    header.set_size(1);
    header.set_cksum();
    builder.append(&header, &b"x"[..]).unwrap();
    let archive = builder.into_inner().unwrap().finish().unwrap();
    let check = |dockerfile: &str, expected: &str| {
        let project = Project::new(&format!("FROM base:1\n{dockerfile}"), "single one");
        std::fs::File::create(project.root().join("a.tgz")).unwrap().write_all(&archive).unwrap();
        assert_eq!(added(&project.image()), expected, "{dockerfile}");
    };
    check("ADD a.tgz /lnk/n", "opt/n/ 755, opt/n/d/ 755, opt/n/d/f 755 x");
    check("ADD single /opt/", "opt/single 644 one");
    check("ADD a.tgz single /opt/", "opt/d/ 755, opt/d/f 755 x, opt/single 644 one");
}

#[test]
fn names_that_need_care() {
    let long = format!("{}/f", "d".repeat(200));
    let files = format!("code/größe/ü.py u\ncode/{long} l\n");
    let project = Project::new("FROM base:1\nCOPY code /opt/", &files);
    let expected = format!(
        "opt/{}/ 755, opt/{long} 644 l, opt/größe/ 755, opt/größe/ü.py 644 u",
        "d".repeat(200)
    );
    assert_eq!(added(&project.image()), expected);
}

#[test]
fn the_dockerignore_counts() {
    let mut project = Project::new("FROM base:1\nCOPY code layer /opt/", FILES);
    project.recipe.dockerignore = "*\n!code\n!layer\n**/.git\ncode/lib/*\n!code/lib/l\n".into();
    assert_eq!(
        added(&project.image()),
        "opt/app.py 644 print, opt/bin/ 755, opt/bin/run 755 go, opt/empty/ 755, opt/lib/ 755, \
         opt/lib/l->x.so, opt/python/ 755, opt/python/common.py 644 c"
    );
}

#[test]
fn the_context_may_be_a_folder_of_the_project() {
    let mut project = Project::new("FROM base:1\nCOPY lib/x.so /opt/", FILES);
    project.recipe.context.folder = "code".into();
    assert_eq!(added(&project.image()), "opt/x.so 644 lib");
}
