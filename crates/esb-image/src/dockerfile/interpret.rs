//! From instructions to steps: variables are expanded, the config is patched.
//!
//! Owns what each instruction means for the config and which files it asks for. Refuses to touch
//! a file: what a step does to a file system is decided elsewhere.

use std::{collections::BTreeMap, fmt::Write as _};

use esb_model::Platform;
use esb_oci::ImageConfig;

use super::{
    Command, Copy, From, Instruction, Problem, Script,
    values::{Owner, is_remote, is_signal, numeric_mode, numeric_owner, owner, port_range},
    words::{Variables, expand, expand_to_words},
};
use crate::paths;

/// What Docker sets where a base has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All that has to be done for an image.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The stages that the image needs, by position in the Dockerfile.
    pub(crate) stages: BTreeMap<usize, StagePlan>,
}

/// What one stage does. A stage that starts from another holds that one's steps too.
#[derive(Debug, Clone)]
pub(crate) struct StagePlan {
    /// The name after `FROM`; none for `scratch`.
    pub(crate) base: Option<String>,
    pub(crate) steps: Vec<Step>,
    /// The base's config with what the stage says, without layers and history of its own.
    pub(crate) config: ImageConfig,
    /// Variables as the last instruction left them.
    variables: Variables,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// What the image's history says.
    pub(crate) created_by: String,
    pub(crate) action: Action,
}

/// What a step does to the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Nothing,
    Copy(CopyFiles),
    /// `WORKDIR`: a clean path, and whom the folders that are missing belong to.
    MakeFolder {
        path: String,
        owner: Owner,
    },
}

/// `COPY` and `ADD` with everything expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyFiles {
    /// Archives are unpacked.
    pub(crate) unpack: bool,
    /// The stage that is copied from; none for the context.
    pub(crate) from: Option<usize>,
    pub(crate) sources: Vec<String>,
    /// A clean path.
    pub(crate) destination: String,
    /// The destination is a folder, there or not.
    pub(crate) into_folder: bool,
    pub(crate) owner: Option<(u64, u64)>,
    pub(crate) mode: Option<u32>,
}

impl Plan {
    /// Interprets the stages that the image needs. `base` gives the config of an image's name, or
    /// nothing when nobody knows it.
    pub(crate) fn new<E>(
        script: &Script,
        platform: Platform,
        mut base: impl FnMut(usize, &str) -> Result<ImageConfig, E>,
    ) -> Result<Self, E>
    where
        E: std::convert::From<Problem>,
    {
        script.check()?;
        let mut stages: BTreeMap<usize, StagePlan> = BTreeMap::new();
        for position in script.needed() {
            let stage = &script.stages[position];
            let mut planned = match &stage.from {
                From::Stage(earlier) => stages[earlier].clone(),
                From::Image(name) => {
                    let config = base(stage.line, name)?;
                    check_base(&config, name, platform, stage.line)?;
                    StagePlan::new(Some(name.clone()), config)
                }
                From::Scratch | From::Unsupported(_) => {
                    let mut config = ImageConfig::empty(platform.architecture.oci_name());
                    config.set("WorkingDir", "/");
                    StagePlan::new(None, config)
                }
            };
            // Values of `ENV` win over those that an `ARG` of the base stage left.
            planned.read_environment();
            let mut has_cmd = false;
            for line in &stage.instructions {
                let step = planned.step(script, line.number, &line.instruction, &mut has_cmd)?;
                planned.steps.push(step);
            }
            stages.insert(position, planned);
        }
        Ok(Self { stages })
    }

    /// The stage that becomes the image.
    pub(crate) fn target(&self) -> &StagePlan {
        self.stages.values().next_back().expect("a Dockerfile has a stage")
    }
}

fn check_base(
    config: &ImageConfig,
    name: &str,
    platform: Platform,
    line: usize,
) -> Result<(), Problem> {
    let architecture = config.architecture();
    if !architecture.is_empty() && architecture != platform.architecture.oci_name() {
        return Err(Problem::invalid(
            line,
            format!(
                "`{}` is for {}, not {platform}",
                name.escape_debug(),
                architecture.escape_debug()
            ),
        ));
    }
    if config.list("OnBuild").is_some_and(|triggers| !triggers.is_empty()) {
        let reason = format!("the `ONBUILD` triggers of `{}`", name.escape_debug());
        return Err(Problem::unsupported(line, reason));
    }
    Ok(())
}

impl StagePlan {
    fn new(base: Option<String>, mut config: ImageConfig) -> Self {
        if config.env("PATH").is_none() {
            config.set_env("PATH", DEFAULT_PATH);
        }
        Self { base, steps: Vec::new(), config, variables: Variables::new() }
    }

    fn read_environment(&mut self) {
        for entry in self.config.env_entries() {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            self.variables.insert(name.to_owned(), value.to_owned());
        }
    }

    fn step(
        &mut self,
        script: &Script,
        line: usize,
        instruction: &Instruction,
        has_cmd: &mut bool,
    ) -> Result<Step, Problem> {
        let escape = script.escape;
        let variables = self.variables.clone();
        let expand = |word: &str| {
            expand(word, escape, &variables).map_err(|error| Problem::word(line, error))
        };
        let expand_pair = |(name, value): &(String, String)| Ok((expand(name)?, expand(value)?));
        let expand_pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(expand_pair).collect::<Result<Vec<_>, Problem>>()
        };
        let note = |created_by| Step { line, created_by, action: Action::Nothing };
        Ok(match instruction {
            Instruction::Arg(pairs) => {
                let mut created_by = "ARG".to_owned();
                for (name, value) in pairs {
                    let name = expand(name)?;
                    let value = match value {
                        Some(value) => Some(expand(value)?),
                        None => script.global.get(&name).cloned(),
                    };
                    write_pair(&mut created_by, &name, value.as_deref());
                    if let Some(value) = value {
                        self.variables.insert(name, value);
                    }
                }
                note(created_by)
            }
            Instruction::Env(pairs) => {
                let mut created_by = "ENV".to_owned();
                for (name, value) in expand_pairs(pairs)? {
                    write_pair(&mut created_by, &name, Some(&value));
                    self.config.set_env(&name, &value);
                    self.variables.insert(name, value);
                }
                note(created_by)
            }
            Instruction::Label(pairs) => {
                let mut created_by = "LABEL".to_owned();
                for (name, value) in expand_pairs(pairs)? {
                    write_pair(&mut created_by, &name, Some(&value));
                    self.config.insert("Labels", &name, value);
                }
                note(created_by)
            }
            Instruction::Copy(copy) => self.copy(line, copy, expand)?,
            Instruction::Workdir(path) => {
                let path = expand(path)?;
                if path.is_empty() {
                    return Err(Problem::invalid(line, "`WORKDIR` needs a path"));
                }
                let clean = paths::clean(&path);
                if path.strip_prefix('/').is_some_and(|path| path != clean) {
                    let path = path.escape_debug();
                    let reason = format!("`WORKDIR {path}`, which engines write differently");
                    return Err(Problem::unsupported(line, reason));
                }
                let path = paths::clean(&self.absolute(&path));
                let absolute = format!("/{path}");
                self.config.set("WorkingDir", absolute.clone());
                let owner = owner(self.config.text("User"));
                let created_by = format!("WORKDIR {absolute}");
                Step { line, created_by, action: Action::MakeFolder { path, owner } }
            }
            Instruction::User(user) => {
                let user = expand(user)?;
                self.config.set("User", user.clone());
                note(format!("USER {user}"))
            }
            Instruction::Expose(ports) => {
                let mut created_by = "EXPOSE".to_owned();
                for port in ports {
                    let words = expand_to_words(port, escape, &variables)
                        .map_err(|error| Problem::word(line, error))?;
                    for word in words {
                        let ports = port_range(&word).ok_or_else(|| {
                            let word = word.escape_debug();
                            Problem::invalid(line, format!("`{word}` is no port"))
                        })?;
                        for port in ports {
                            self.config.insert("ExposedPorts", &port, serde_json::Map::new());
                        }
                        write!(created_by, " {word}").expect("writing to a string cannot fail");
                    }
                }
                note(created_by)
            }
            Instruction::Entrypoint(command) => {
                let words = self.set_command("Entrypoint", command);
                if !*has_cmd {
                    self.config.clear("Cmd");
                }
                note(format!("ENTRYPOINT {words}"))
            }
            Instruction::Cmd(command) => {
                *has_cmd = true;
                let words = self.set_command("Cmd", command);
                note(format!("CMD {words}"))
            }
            Instruction::StopSignal(signal) => {
                let signal = expand(signal)?;
                if !is_signal(&signal) {
                    let signal = signal.escape_debug();
                    return Err(Problem::invalid(line, format!("`{signal}` is no signal")));
                }
                self.config.set("StopSignal", signal.clone());
                note(format!("STOPSIGNAL {signal}"))
            }
            Instruction::Unsupported(reason) => return Err(Problem::unsupported(line, reason)),
        })
    }

    fn copy(
        &self,
        line: usize,
        copy: &Copy,
        expand: impl Fn(&str) -> Result<String, Problem>,
    ) -> Result<Step, Problem> {
        let mut created_by = if copy.add { "ADD" } else { "COPY" }.to_owned();
        let mut flag = |name: &str, value: &Option<String>| {
            let Some(value) = value.as_deref().map(&expand).transpose()? else { return Ok(None) };
            write!(created_by, " --{name}={value}").expect("writing to a string cannot fail");
            Ok(Some(value))
        };
        let owner = match flag("chown", &copy.chown)?.filter(|chown| !chown.is_empty()) {
            Some(chown) => Some(numeric_owner(&chown).ok_or_else(|| {
                let chown = chown.escape_debug();
                Problem::unsupported(line, format!("the owner `{chown}`, which is no number"))
            })?),
            None => None,
        };
        let mode = match flag("chmod", &copy.chmod)?.filter(|chmod| !chmod.is_empty()) {
            Some(chmod) => Some(numeric_mode(&chmod).ok_or_else(|| {
                let chmod = chmod.escape_debug();
                Problem::unsupported(line, format!("the mode `{chmod}`, which is not octal"))
            })?),
            None => None,
        };
        let sources: Vec<_> =
            copy.sources.iter().map(|source| expand(source)).collect::<Result<_, _>>()?;
        for source in &sources {
            if copy.add && is_remote(source) {
                let source = source.escape_debug();
                return Err(Problem::unsupported(line, format!("`ADD` of `{source}`")));
            }
            if source.is_empty() {
                return Err(Problem::invalid(line, "a source is empty"));
            }
            write!(created_by, " {source}").expect("writing to a string cannot fail");
        }
        let destination = expand(&copy.destination)?;
        write!(created_by, " {destination}").expect("writing to a string cannot fail");
        let into_folder = matches!(&*destination, "" | ".")
            || destination.ends_with('/')
            || destination.ends_with("/.");
        let action = Action::Copy(CopyFiles {
            unpack: copy.add,
            from: copy.from,
            sources,
            destination: paths::clean(&self.absolute(&destination)),
            into_folder,
            owner,
            mode,
        });
        Ok(Step { line, created_by, action })
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.config.text("WorkingDir"))
        }
    }

    /// Sets a command and gives it as the history shows it.
    fn set_command(&mut self, setting: &str, command: &Command) -> String {
        let words = match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => {
                let shell = self.config.list("Shell").unwrap_or_else(|| vec!["/bin/sh", "-c"]);
                let mut words: Vec<String> = shell.into_iter().map(str::to_owned).collect();
                words.push(text.clone());
                words
            }
        };
        let shown = serde_json::Value::from(words.clone()).to_string();
        if words.is_empty() {
            self.config.clear(setting);
        } else {
            self.config.set(setting, words);
        }
        shown
    }
}

fn write_pair(into: &mut String, name: &str, value: Option<&str>) {
    into.push(' ');
    into.push_str(name);
    if let Some(value) = value {
        into.push('=');
        into.push_str(value);
    }
}

#[cfg(test)]
mod tests {
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
                Action::Copy(copy) => Some(copy),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn destinations_are_absolute_and_clean() {
        let check = |text: &str, destination: &str, into_folder: bool| {
            let copy = &copies(&format!("FROM base\n{text}"))[0];
            assert_eq!(
                (&*copy.destination, copy.into_folder),
                (destination, into_folder),
                "{text}"
            );
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
            assert_eq!(
                (config.list("Entrypoint"), config.list("Cmd")),
                (entrypoint, cmd),
                "{text}"
            );
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
            "FROM base\nCOPY --chown=5:6 a b\nADD --chown=7 --chmod=0750 a b\nCOPY --chown=root a b",
        );
        let seen: Vec<_> = copies.iter().map(|copy| (copy.owner, copy.mode, copy.unpack)).collect();
        assert_eq!(
            seen,
            [
                (Some((5, 6)), None, false),
                (Some((7, 7)), Some(0o750), true),
                (Some((0, 0)), None, false)
            ]
        );
        for text in ["COPY --chown=me a b", "COPY --chmod=u+x a b", "ADD https://x/y b"] {
            let problem = plan(&format!("FROM base\n{text}")).unwrap_err();
            assert!(matches!(problem, Problem::Unsupported { line: 2, .. }), "{problem:?}");
        }
        let steps = plan("FROM base\nUSER 5\nWORKDIR /w\nUSER me\nWORKDIR x").unwrap().steps;
        assert_eq!(
            (&steps[1].action, &steps[3].action),
            (
                &Action::MakeFolder { path: "w".into(), owner: Owner::Ids(5, 5) },
                &Action::MakeFolder { path: "w/x".into(), owner: Owner::Named("me".into()) }
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
}
