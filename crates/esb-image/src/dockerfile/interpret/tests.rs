//! Tests of what instructions do to the config, and of the steps that they give.

use super::*;

const BASE: &[u8] = br#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin",
    "ROOT=/var/task"],"Cmd":["base"],"Entrypoint":["/e"],"WorkingDir":"/var/task",
    "Labels":{"base":"1"}},"rootfs":{"type":"layers","diff_ids":[]}}"#;

fn plan(text: &str) -> Result<StagePlan, Problem> {
    let platform = Platform::default();
    let script = Script::parse(text, platform)?;
    let config = |_, _: &str| Ok(ImageConfig::parse(BASE).unwrap());
    Plan::new(&script, platform, config).map(|plan| plan.target().clone())
}

fn copies(text: &str) -> Vec<CopyFiles> {
    let steps = plan(text).unwrap().steps.into_iter();
    steps
        .filter_map(|step| match step.action {
            StepAction::Copy(copy) => Some(copy),
            _ => None,
        })
        .collect()
}

#[test]
fn destinations_are_absolute_and_clean() {
    let check = |text: &str, destination: &str, into_folder: bool| {
        let copy = &copies(&format!("FROM base\n{text}"))[0];
        assert_eq!((&*copy.destination, copy.into_folder), (destination, into_folder), "{text}");
    };
    check("COPY a ${ROOT}/", "var/task", true);
    check("COPY a ./x", "var/task/x", false);
    check("COPY a .", "var/task", true);
    check("COPY a x/.", "var/task/x", true);
    check("COPY a /../x/../y", "y", false);
    check("WORKDIR sub\nCOPY a b", "var/task/sub/b", false);
    check("WORKDIR /\nENV D=q\nCOPY a $D", "q", false);
}

#[test]
fn environment_and_arguments() {
    let text = "ARG G=global\nARG H=other\nFROM base\nARG G\nARG L=$G-$H\nENV A=$L B=$A\n\
                ENV A=${B:-none}\nARG A=arg\nLABEL a=\"$A $B\" base=2\nARG TARGETARCH\n\
                ENV T=$TARGETARCH";
    let config = plan(text).unwrap().config;
    assert_eq!(config.env("B"), Some(""));
    assert_eq!(config.env("A"), Some("none"));
    assert_eq!(config.label("a"), Some("arg "));
    assert_eq!(config.label("base"), Some("2"));
    assert_eq!(config.env("T"), Some("amd64"));
    assert_eq!(config.env("PATH"), Some("/bin"));
    assert_eq!(plan("FROM scratch").unwrap().config.env("PATH"), Some(DEFAULT_PATH));
}

#[test]
fn commands() {
    let check = |text: &str, entrypoint: Option<Vec<&str>>, cmd: Option<Vec<&str>>| {
        let config = plan(&format!("FROM base AS b\n{text}")).unwrap().config;
        assert_eq!((config.list("Entrypoint"), config.list("Cmd")), (entrypoint, cmd), "{text}");
    };
    check("CMD [ \"app.handler\" ]", Some(vec!["/e"]), Some(vec!["app.handler"]));
    check("ENTRYPOINT [\"x\"]", Some(vec!["x"]), None);
    check("CMD [\"c\"]\nENTRYPOINT [\"x\"]", Some(vec!["x"]), Some(vec!["c"]));
    check("ENTRYPOINT x $Y", Some(vec!["/bin/sh", "-c", "x $Y"]), None);
    check("CMD []", Some(vec!["/e"]), None);
    check("CMD [\"c\"]\nFROM b\nENTRYPOINT [\"x\"]", Some(vec!["x"]), None);
}

#[test]
fn owners_and_modes() {
    let copies = copies(
        "FROM base\nCOPY --chown=5:6 a b\nADD --chown=7 --chmod=0750 a b\n\
         COPY --chown=root:me a b",
    );
    let seen: Vec<_> =
        copies.iter().map(|copy| (copy.owner.clone(), copy.mode, copy.unpack)).collect();
    let owner = |user, group| Some(Owner { user, group });
    assert_eq!(
        seen,
        [
            (owner(Id::Number(5), Some(Id::Number(6))), None, false),
            (owner(Id::Number(7), None), Some(0o750), true),
            (owner(Id::Number(0), Some(Id::Name("me".into()))), None, false)
        ]
    );
    for text in [
        "COPY --chown=-1 a b",
        "COPY --chown=4294967296 a b",
        "COPY --chown=me: a b",
        "COPY --chown=:5 a b",
        "COPY --chmod=u+x a b",
        "COPY --chmod=4755 a b",
        "ADD https://x/y b",
    ] {
        let problem = plan(&format!("FROM base\n{text}")).unwrap_err();
        assert!(matches!(problem, Problem::Unsupported { line: 2, .. }), "{problem:?}");
    }
    let steps = plan("FROM base\nUSER 5\nWORKDIR /w\nUSER me\nWORKDIR x").unwrap().steps;
    assert_eq!(
        (&steps[1].action, &steps[3].action),
        (
            &StepAction::MakeFolder {
                path: "w".into(),
                owner: Owner { user: Id::Number(5), group: None }
            },
            &StepAction::MakeFolder {
                path: "w/x".into(),
                owner: Owner { user: Id::Name("me".into()), group: None }
            }
        )
    );
}

#[test]
fn ports_and_signals() {
    let config = plan("FROM base\nENV P=\"80 81\"\nEXPOSE $P 90-91/UDP\nSTOPSIGNAL SIGINT");
    let text = String::from_utf8(config.unwrap().config.to_bytes()).unwrap();
    let ports = r#""ExposedPorts":{"80/tcp":{},"81/tcp":{},"90/udp":{},"91/udp":{}}"#;
    assert!(text.contains(ports) && text.contains(r#""StopSignal":"SIGINT""#), "{text}");
    for bad in [
        "EXPOSE x",
        "EXPOSE 1-70000",
        "EXPOSE 1-9999",
        "STOPSIGNAL 0",
        "WORKDIR $NO",
        "WORKDIR /x/",
    ] {
        assert!(plan(&format!("FROM base\n{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn bases_for_other_platforms_are_refused() {
    let script = Script::parse("FROM base", "linux/arm64".parse().unwrap()).unwrap();
    let config = |_, _: &str| Ok::<_, Problem>(ImageConfig::parse(BASE).unwrap());
    let problem = Plan::new(&script, "linux/arm64".parse().unwrap(), config).unwrap_err();
    assert!(matches!(&problem, Problem::Invalid { reason, .. } if reason.contains("amd64")));
}
