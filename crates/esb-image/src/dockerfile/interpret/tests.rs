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
        copies.iter().map(|copy| (copy.owner.clone(), copy.mode.clone(), copy.unpack)).collect();
    let owner = |user, group| Some(Owner { user, group });
    assert_eq!(
        seen,
        [
            (owner(Id::Number(5), Some(Id::Number(6))), None, false),
            (owner(Id::Number(7), None), Some(Mode::Octal(0o750)), true),
            (owner(Id::Number(0), Some(Id::Name("me".into()))), None, false)
        ]
    );
    for text in [
        "COPY --chown=-1 a b",
        "COPY --chown=4294967296 a b",
        "COPY --chown=me: a b",
        "COPY --chown=:5 a b",
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
    for bad in ["x", "1-70000", "2-1", "1/icmp", "x:80", "1-3:4-5", "1.2.3:1:2"] {
        assert!(plan(&format!("FROM base\nEXPOSE {bad}")).is_err(), "{bad}");
    }
    let config = plan("FROM scratch\nEXPOSE 127.0.0.1:8080:80 1-2:7 [::1]::5/udp 3-4:8-9").unwrap();
    let text = String::from_utf8(config.config.to_bytes()).unwrap();
    let ports = r#""ExposedPorts":{"80/tcp":{},"7/tcp":{},"5/udp":{},"8/tcp":{},"9/tcp":{}}"#;
    assert!(text.contains(ports), "{text}");
}

#[test]
fn arguments_see_those_before_them_and_keep_their_names() {
    let stage = plan("FROM base\nENV n=x\nARG a=1 b=$a $n=2\nLABEL l=$b$x").unwrap();
    assert_eq!(stage.config.label("l"), Some("1"));
}

#[test]
fn here_documents_are_files() {
    let text = "FROM base\nENV v=1\nCOPY <<a f <<-'b' /x/\n$v\na\n\t\t$v\n\t\"\n\tb\n";
    let stage = plan(text).unwrap();
    let StepAction::Copy(copy) = &stage.steps[1].action else { panic!() };
    let document = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(copy.documents, [document("a", "1\n"), document("b", "$v\n\"\n")]);
    assert_eq!(
        (&*copy.sources, &*stage.steps[1].created_by),
        (&["f".to_owned()][..], "COPY f <<a <<b /x/")
    );
    assert!(plan("FROM base\nCOPY <<a/b /x\na/b\n").is_err());
}

#[test]
fn work_folders() {
    for (written, folder, made) in [
        ("/tmp/", "/tmp/", "tmp"),
        ("/a/../b//c", "/a/../b//c", "b/c"),
        ("$NO", "/w", "w"),
        ("x/../y/", "/w/y", "w/y"),
        ("..", "/", ""),
    ] {
        let stage = plan(&format!("FROM scratch\nWORKDIR /w\nWORKDIR {written}")).unwrap();
        assert_eq!(stage.config.text("WorkingDir"), folder, "{written}");
        let StepAction::MakeFolder { path, .. } = &stage.steps[1].action else { panic!() };
        assert_eq!(path, made, "{written}");
    }
}

#[test]
fn triggers_are_written_and_not_run() {
    let stage = plan("FROM scratch\nMAINTAINER me\nONBUILD COPY a b\nONBUILD USER $x").unwrap();
    assert_eq!(stage.config.list("OnBuild"), Some(vec!["COPY a b", "USER $x"]));
    let text = String::from_utf8(stage.config.to_bytes()).unwrap();
    assert!(text.contains(r#""author":"me""#), "{text}");
}

#[test]
fn triggers_of_a_base_come_first() {
    let stage = plan(
        "FROM scratch AS a\nENV x=1\nONBUILD USER u$x\nONBUILD COPY a b\nFROM a AS b\nUSER v\nFROM b",
    );
    let stage = stage.unwrap();
    let lines: Vec<_> = stage.steps.iter().map(|step| (step.line, &*step.created_by)).collect();
    let seen = [(2, "ENV x=1"), (3, "ONBUILD USER u$x"), (4, "ONBUILD COPY a b")];
    assert_eq!(lines[..3], seen.map(|(line, text)| (line, text)));
    assert_eq!(lines[3..], [(5, "USER u1"), (5, "COPY a b"), (6, "USER v")]);
    assert_eq!(stage.config.list("OnBuild"), None);

    let of_image = |trigger: &str| {
        let script = Script::parse("FROM base\nLABEL l=$a", Platform::default())?;
        let config = |_, _: &str| {
            let mut config = ImageConfig::parse(BASE).unwrap();
            config.set("OnBuild", vec![trigger]);
            Ok::<_, Problem>(config)
        };
        Plan::new(&script, Platform::default(), config).map(|plan| plan.target().clone())
    };
    let stage = of_image("ENV a=b").unwrap();
    assert_eq!((stage.config.label("l"), stage.config.list("OnBuild")), (Some("b"), None));
    for (trigger, is_wrong) in
        [("RUN x", false), ("COPY --from=x a b", false), ("FROM x", true), ("USER", true)]
    {
        let problem = of_image(trigger).unwrap_err();
        assert_eq!(matches!(problem, Problem::Invalid { line: 1, .. }), is_wrong, "{problem:?}");
    }
    let script = Script::parse("FROM scratch AS a\nONBUILD RUN x\nFROM a", Platform::default());
    assert!(matches!(script.unwrap().check(), Err(Problem::Unsupported { line: 3, .. })));
}

#[test]
fn flags_of_copy() {
    let copy = |text: &str| copies(&format!("FROM base\n{text}")).remove(0);
    let copied = copy("COPY --parents --exclude=*.a --exclude=$x --link a/./b /");
    assert_eq!((copied.parents, copied.link, copied.unpack), (true, true, false));
    assert_eq!(copied.excludes, ["*.a", "$x"]);
    assert!(!copy("COPY --link --chmod=600 a b").link, "modes are set in the stage");
    assert!(!copy("COPY --link=false a b").link);
    assert!(!copy("ADD --unpack=false --keep-git-dir a b").unpack);
    assert_eq!(copy("COPY --chmod=4755 a b").mode, Some(Mode::Octal(0o4755)));
    for (text, is_wrong) in [
        ("COPY --link=x a b", true),
        ("COPY --exclude a b", true),
        ("COPY --exclude=[a b c", true),
        ("COPY --exclude=/a b c", false),
        ("COPY --parents !a b", false),
        ("COPY --link --chown=me a b", true),
        ("COPY --chmod=999 a b", true),
        ("COPY --chmod=u+q a b", true),
        ("ADD --checksum=sha256:x a b", true),
        ("ADD --checksum=sha256:x https://x/y b", false),
    ] {
        let problem = plan(&format!("FROM base\n{text}")).unwrap_err();
        assert_eq!(matches!(problem, Problem::Invalid { line: 2, .. }), is_wrong, "{problem:?}");
    }
}

#[test]
fn bases_for_other_platforms_are_refused() {
    let script = Script::parse("FROM base", "linux/arm64".parse().unwrap()).unwrap();
    let config = |_, _: &str| Ok::<_, Problem>(ImageConfig::parse(BASE).unwrap());
    let problem = Plan::new(&script, "linux/arm64".parse().unwrap(), config).unwrap_err();
    assert!(matches!(&problem, Problem::Invalid { reason, .. } if reason.contains("amd64")));
}
