//! An engine that is reached through `ssh`. The program is a script that checks what it is asked
//! and does on this machine what the real one does on another.

use std::{collections::BTreeMap, fs, path::Path};

use esb_image::{
    Engine as _, Error,
    docker::{DockerEngine, EngineAddress},
};
use esb_test::DockerEngine as Daemon;

use crate::contract::support::make_executable;

/// Connections, what is asked of `ssh`, and its reason when there are none.
pub(crate) async fn an_engine_behind_ssh(daemon: &Daemon, folder: &Path) {
    let program = folder.join("ssh");
    let script = format!(
        "#!/bin/sh\nset -e\n\
         echo \"$@\" >> {0}.asked\n\
         case \"$*\" in *gone.example*) echo 'ssh: no such host' >&2; exit 255;; esac\n\
         while [ \"$1\" != -- ]; do shift; done\n\
         shift 2\n\
         DOCKER_HOST={1} exec \"$@\"\n",
        program.display(),
        daemon.host()
    );
    fs::write(&program, script).unwrap();
    make_executable(&program);
    let address = |text: &str| match text.parse().unwrap() {
        EngineAddress::Ssh(mut host) => {
            host.program.clone_from(&program);
            EngineAddress::Ssh(host)
        }
        other => panic!("{other:?}"),
    };
    let engine = DockerEngine::connect(&address("ssh://me@build.example:2222")).await.unwrap();
    engine.list(&BTreeMap::new()).await.unwrap();
    assert!(engine.info().description.contains("ssh://me@build.example:2222"));
    let asked = fs::read_to_string(folder.join("ssh.asked")).unwrap();
    let expected = "-p 2222 -l me -- build.example docker system dial-stdio\n";
    assert!(asked.lines().count() > 1 && asked.ends_with(expected), "{asked}");
    let error = DockerEngine::connect(&address("ssh://gone.example")).await.unwrap_err();
    let Error::NoEngine { source, .. } = &error else { panic!("{error:?}") };
    let mut text = source.to_string();
    let mut cause = source.source();
    while let Some(error) = cause {
        text += &error.to_string();
        cause = error.source();
    }
    assert!(text.contains("ssh: no such host"), "{text}");
}
