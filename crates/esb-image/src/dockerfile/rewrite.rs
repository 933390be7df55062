//! Rewrites a Dockerfile for an engine: bases get names that the engine resolves, and sources the
//! paths that they have in the context. The text is patched in place, so that line numbers stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use esb_model::ImageRecipe;

use crate::{
    Base, Error,
    dockerfile::{
        Problem, Script, image_config, needed_stages,
        step_lines::StepLines,
        syntax::{RawInstruction, Syntax, Word},
        values, words,
    },
    paths,
};

/// The images that a recipe's Dockerfile starts from or copies from, by the names that it has for
/// them, build arguments put in.
///
/// # Errors
/// When the text is no Dockerfile, or has no stage of the wanted name.
#[cfg(feature = "docker")]
pub fn bases(recipe: &ImageRecipe) -> Result<Vec<String>, Error> {
    Ok(DockerfileRewrite::read(recipe)?.bases().map(str::to_owned).collect())
}

/// The files and folders of the context that a recipe's Dockerfile copies or mounts, relative to
/// the context; none where it may be all of it.
#[cfg(feature = "docker")]
pub fn sources(recipe: &ImageRecipe) -> Option<BTreeSet<String>> {
    match DockerfileRewrite::read(recipe).ok()?.needs {
        CopiedPaths::All => None,
        CopiedPaths::Paths(paths) => Some(paths),
    }
}

/// The folder of the archive that holds the context when a source names all of it. Otherwise the
/// Dockerfile itself would be copied, which lies beside.
pub(crate) const CONTEXT_DIR: &str = ".build-context";
/// The Dockerfile's name in the archive.
pub(crate) const DOCKERFILE_NAME: &str = ".build-dockerfile";

/// The images and the sources that a Dockerfile refers to, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerfileRewrite {
    text: String,
    /// Images that stages start from or copy from, each with the places of its name.
    bases: BTreeMap<String, Vec<Range<usize>>>,
    /// What the last stage starts from, through other stages; none for `scratch`.
    last: Option<String>,
    /// Where paths of the context stand: the texts to put there when the context is nested.
    patches: Vec<(Range<usize>, String)>,
    /// The `# syntax=` line: a reader of Dockerfiles that the engine would have to pull.
    syntax: Option<Range<usize>>,
    /// Where the stage that is built ends.
    end: usize,
    /// Instructions that are added there.
    added: Option<String>,
    pub(crate) needs: CopiedPaths,
    pub(crate) steps: StepLines,
}

/// The part of the context that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CopiedPaths {
    All,
    /// Files and folders, relative to the context.
    Paths(BTreeSet<String>),
}

impl CopiedPaths {
    fn none() -> Self {
        Self::Paths(BTreeSet::new())
    }

    fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Paths(mut paths), Self::Paths(others)) => {
                paths.extend(others.iter().cloned());
                Self::Paths(paths)
            }
            _ => Self::All,
        }
    }
}

impl DockerfileRewrite {
    /// Reads a recipe's Dockerfile, as far as the stage that is built.
    pub(crate) fn read(recipe: &ImageRecipe) -> Result<Self, Error> {
        let invalid = |line, reason: String| Error::Dockerfile {
            image: recipe.repository.clone(),
            line,
            reason: reason.escape_debug().to_string(),
        };
        let text = &recipe.dockerfile;
        let of_problem = |problem| match problem {
            Problem::Invalid { line, reason } | Problem::Unsupported { line, reason } => {
                invalid(line, reason)
            }
        };
        let parsed = Syntax::read(text).map_err(of_problem)?;
        let own = recipe.own.as_ref();
        let globals = Script::of(&parsed, recipe.platform, own)
            .map(|script| script.global)
            .unwrap_or_default();
        let mut reader = RewriteReader {
            rewrite: Self {
                text: text.to_owned(),
                bases: BTreeMap::new(),
                last: None,
                patches: Vec::new(),
                syntax: parsed
                    .directives
                    .iter()
                    .find(|directive| directive.name == "syntax")
                    .map(|directive| directive.span.clone()),
                end: text.len(),
                added: None,
                needs: CopiedPaths::none(),
                steps: StepLines::default(),
            },
            stages: Vec::new(),
            escape: parsed.escape,
            expand: |name: &str| {
                words::expand(name, parsed.escape, &globals).unwrap_or_else(|_| name.to_owned())
            },
        };
        for instruction in &parsed.instructions {
            reader.instruction(instruction).map_err(of_problem)?;
        }
        let target = own.and_then(|own| own.target.as_deref());
        let last = match target {
            None => reader.stages.len().checked_sub(1),
            Some(target) => match reader.stage(target) {
                None => return Err(invalid(1, format!("it has no stage `{target}`"))),
                found => found,
            },
        };
        let needs = |stage: usize| reader.stages[stage].stages.iter().copied();
        let needed = last.map(|last| needed_stages(last, needs)).unwrap_or_default();
        let needed = || needed.iter().map(|stage| &reader.stages[*stage]);
        let mut rewrite = reader.rewrite;
        let froms = parsed.instructions.iter().filter(|raw| raw.keyword == "FROM");
        if let Some(next) = last.and_then(|last| froms.clone().nth(last + 1)) {
            let lines = text.split_inclusive('\n').take(next.line - 1);
            rewrite.end = lines.map(str::len).sum();
        }
        rewrite.last = last.and_then(|last| reader.stages[last].base.clone());
        rewrite.bases.retain(|name, _| needed().any(|stage| stage.images.contains(name)));
        rewrite.needs = needed().fold(CopiedPaths::none(), |all, stage| all.and(&stage.needs));
        Ok(rewrite)
    }

    /// The images that have to be there, by the names that the Dockerfile has for them.
    pub(crate) fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.keys().map(|name| &**name)
    }

    /// The image that the last stage starts from, in the end.
    pub(crate) fn last_base(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Adds what the template's `ImageConfig` says to the stage that is built. `bases` are the
    /// images of the names that the Dockerfile has.
    pub(crate) fn configure(
        &mut self,
        recipe: &ImageRecipe,
        bases: &BTreeMap<String, Base>,
    ) -> Result<(), Error> {
        let Some(own) = recipe.own.as_ref().filter(|own| !own.overrides.is_empty()) else {
            return Ok(());
        };
        let mut configs = BTreeMap::new();
        for (name, base) in bases {
            configs.insert(&**name, base.image.parse_config()?);
        }
        let script = Script::for_recipe(recipe).ok();
        let base = |name: &str| configs.get(name);
        self.added = image_config::lines(script.as_ref(), &own.overrides, base);
        Ok(())
    }

    /// What is added to the stage that is built.
    pub(crate) fn added(&self) -> Option<&str> {
        self.added.as_deref()
    }

    /// Whether the context has to lie in [`CONTEXT_DIR`].
    #[cfg(any(feature = "docker", test))]
    pub(crate) fn moves_context(&self) -> bool {
        self.needs == CopiedPaths::All
    }

    /// The text for an engine that gets Dockerfile and context in one archive; `names` holds what
    /// stands for each base.
    #[cfg(any(feature = "docker", test))]
    pub(crate) fn write(&self, names: &BTreeMap<String, String>) -> String {
        self.patched(names, self.moves_context())
    }

    /// The text for a daemon that gets the context by itself.
    #[cfg(feature = "buildkit")]
    pub(crate) fn write_flat(&self, names: &BTreeMap<String, String>) -> String {
        self.patched(names, false)
    }

    fn patched(&self, names: &BTreeMap<String, String>, nest: bool) -> String {
        let mut patches = Vec::new();
        for (base, places) in &self.bases {
            if let Some(name) = names.get(base) {
                patches.extend(places.iter().map(|place| (place.clone(), name.clone())));
            }
        }
        if nest {
            patches.extend(self.patches.iter().cloned());
        }
        if let Some(value) = &self.syntax {
            // An equals sign makes the directive; without one the line is a comment.
            let line = self.text[..value.start].rfind('\n').map_or(0, |end| end + 1);
            patches.push((line..value.start, "# not followed here: syntax ".to_owned()));
        }
        if let Some(added) = &self.added {
            let before = &self.text[..self.end];
            let break_before = if before.ends_with('\n') { "" } else { "\n" };
            patches.push((self.end..self.end, format!("{break_before}{added}")));
        }
        // A trigger is read again for each stage that starts from its own.
        patches.sort_by(|(a, x), (b, y)| (b.start, x).cmp(&(a.start, y)));
        patches.dedup();
        let mut text = self.text.clone();
        for (place, new) in patches {
            text.replace_range(place, &new);
        }
        text
    }
}

struct RewriteReader<E> {
    rewrite: DockerfileRewrite,
    stages: Vec<StageNeeds>,
    escape: char,
    expand: E,
}

/// A stage, as far as it says what else is needed.
struct StageNeeds {
    /// In lower case.
    name: Option<String>,
    /// The image that it starts from in the end; none for `scratch`.
    base: Option<String>,
    images: BTreeSet<String>,
    stages: BTreeSet<usize>,
    /// Of the context.
    needs: CopiedPaths,
    /// What stages that start from it have to do.
    triggers: Vec<RawInstruction>,
}

/// The kind of a name after `FROM` or `--from`.
enum Origin {
    Nothing,
    StageNeeds(usize),
    Image(String),
}

impl<E: Fn(&str) -> String> RewriteReader<E> {
    fn instruction(&mut self, raw: &RawInstruction) -> Result<(), Problem> {
        match &*raw.keyword {
            "FROM" => self.from(raw)?,
            "ONBUILD" => {
                let trigger = raw.trigger(self.escape);
                self.stages.last_mut().into_iter().for_each(|it| it.triggers.push(trigger.clone()));
            }
            "COPY" | "ADD" => {
                self.rewrite.steps.step(raw.line as u64);
                match raw.flags("from").find(|from| !from.text.is_empty()) {
                    Some(from) => {
                        let origin = self.image(&from);
                        self.needs(origin);
                    }
                    None => self.sources(&raw.sources()?),
                }
            }
            "WORKDIR" => self.rewrite.steps.step(raw.line as u64),
            "RUN" => {
                self.rewrite.steps.step(raw.line as u64);
                for mount in raw.flags("mount") {
                    self.mount(&mount);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn from(&mut self, raw: &RawInstruction) -> Result<(), Problem> {
        let words = raw.words();
        let Some(image) = words.first() else { return Ok(()) };
        let origin = self.image(image);
        let base = match &origin {
            Origin::Nothing => None,
            Origin::StageNeeds(stage) => self.stages[*stage].base.clone(),
            Origin::Image(name) => Some(name.clone()),
        };
        let name = words.get(2).map(|name| name.text.to_lowercase());
        let line = matches!(origin, Origin::Image(_)).then_some(raw.line as u64);
        self.rewrite.steps.stage(name.clone(), line);
        let (images, stages, triggers) = Default::default();
        let needs = CopiedPaths::none();
        self.stages.push(StageNeeds { name, base, images, stages, needs, triggers });
        let triggers = match origin {
            Origin::StageNeeds(stage) => self.stages[stage].triggers.clone(),
            Origin::Nothing | Origin::Image(_) => Vec::new(),
        };
        self.needs(origin);
        triggers.iter().filter(|it| it.keyword != "ONBUILD").try_for_each(|it| self.instruction(it))
    }

    /// Notes what the last stage needs.
    fn needs(&mut self, origin: Origin) {
        let Some(stage) = self.stages.last_mut() else { return };
        match origin {
            Origin::Nothing => {}
            Origin::StageNeeds(other) => drop(stage.stages.insert(other)),
            Origin::Image(name) => drop(stage.images.insert(name)),
        }
    }

    /// The stage so far that has a name, in any case, or a number.
    fn stage(&self, name: &str) -> Option<usize> {
        let lower = name.to_lowercase();
        let by_name = self.stages.iter().rposition(|stage| stage.name.as_ref() == Some(&lower));
        let number = || name.parse().ok().filter(|number| *number < self.stages.len());
        by_name.or_else(number)
    }

    /// Notes the place of an image's name, unless it is a stage or nothing.
    fn image(&mut self, word: &Word) -> Origin {
        let name = (self.expand)(&word.text);
        if name == "scratch" {
            return Origin::Nothing;
        }
        if let Some(stage) = self.stage(&name) {
            return Origin::StageNeeds(stage);
        }
        self.rewrite.bases.entry(name.clone()).or_default().push(word.span.clone());
        Origin::Image(name)
    }

    fn sources(&mut self, sources: &[Word]) {
        for word in sources.iter().filter(|word| !values::is_remote(&word.text)) {
            self.source(&word.text, word.span.clone());
        }
    }

    fn source(&mut self, path: &str, place: Range<usize>) {
        let clean = clean(path);
        let fixed = fixed_part(&clean);
        match self.stages.last_mut().map(|stage| &mut stage.needs) {
            Some(CopiedPaths::Paths(paths)) if !fixed.is_empty() && fixed != DOCKERFILE_NAME => {
                paths.insert(fixed);
            }
            Some(needs) => *needs = CopiedPaths::All,
            None => {}
        }
        self.rewrite.patches.push(if path.split('/').any(|part| part == "..") {
            (place, format!("{CONTEXT_DIR}/{clean}"))
        } else {
            (place.start..place.start, format!("{CONTEXT_DIR}/"))
        });
    }

    /// A mount of the context shows all of it.
    fn mount(&mut self, mount: &Word) {
        let fields: Vec<_> =
            mount.text.split(',').map(|f| f.split_once('=').unwrap_or((f, ""))).collect();
        let field = |names: &[&str]| fields.iter().find(|(name, _)| names.contains(name));
        if let Some(stage) = field(&["from"]).and_then(|(_, from)| self.stage(from)) {
            self.needs(Origin::StageNeeds(stage));
        }
        if !matches!(field(&["type"]), None | Some((_, "bind"))) || field(&["from"]).is_some() {
            return;
        }
        if let Some(stage) = self.stages.last_mut() {
            stage.needs = CopiedPaths::All;
        }
        let patch = match field(&["source", "src"]) {
            Some((name, path)) => {
                let old = format!("{name}={path}");
                mount.text.replacen(&old, &format!("{name}={CONTEXT_DIR}/{}", clean(path)), 1)
            }
            None => format!("{},source={CONTEXT_DIR}", mount.text),
        };
        self.rewrite.patches.push((mount.span.clone(), patch));
    }
}

/// A path relative to the context, without what changes nothing.
fn clean(path: &str) -> String {
    let clean = paths::clean(path);
    if path.ends_with('/') && !clean.is_empty() { clean + "/" } else { clean }
}

/// What a path begins with before patterns, variables and quotes.
fn fixed_part(path: &str) -> String {
    let open = |part: &&str| !part.contains(['*', '?', '[', '\\', '$', '"', '\'']);
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty()).take_while(open).collect();
    parts.join("/")
}

#[cfg(test)]
pub(crate) mod tests {

    use esb_model::{BaseRef, ImageKind, OwnDockerfile, Platform, Secret};

    use super::*;

    /// A recipe that is nothing but its Dockerfile.
    pub(crate) fn recipe(dockerfile: &str) -> ImageRecipe {
        ImageRecipe::new(
            "i".to_owned(),
            "latest".to_owned(),
            ImageKind::Base("python3.12".parse().unwrap()),
            Platform::default(),
            BaseRef::InDockerfile,
            dockerfile.to_owned(),
        )
    }

    /// The same with build arguments and a target.
    fn own(dockerfile: &str, args: &[(&str, &str)], target: Option<&str>) -> ImageRecipe {
        let args =
            args.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
        let own = OwnDockerfile {
            args: args.collect(),
            target: target.map(str::to_owned),
            ..OwnDockerfile::default()
        };
        recipe(dockerfile).with_own(Some(own))
    }

    #[track_caller]
    fn check(text: &str, bases: &[&str], needs: Option<&[&str]>, sent: &str) {
        let rewrite = DockerfileRewrite::read(&recipe(text)).unwrap();
        assert_eq!(rewrite.bases().collect::<Vec<_>>(), bases);
        let expected = needs.map_or(CopiedPaths::All, |paths| {
            CopiedPaths::Paths(paths.iter().map(|path| (*path).to_owned()).collect())
        });
        assert_eq!(rewrite.needs, expected);
        let names = bases.iter().map(|base| ((*base).to_owned(), format!("[{base}]"))).collect();
        assert_eq!(rewrite.write(&names), sent);
    }

    #[test]
    fn bases_get_names_and_sources_are_found() {
        check(
            "FROM registry:5010/b:1\n# Layer x\nCOPY ./l/ /opt/\nCOPY a/*.py /x/b $T/\nCMD [\"h\"]\n",
            &["registry:5010/b:1"],
            Some(&["a", "l", "x/b"]),
            "FROM [registry:5010/b:1]\n# Layer x\nCOPY ./l/ /opt/\nCOPY a/*.py /x/b $T/\nCMD [\"h\"]\n",
        );
    }

    #[test]
    fn a_whole_context_is_nested() {
        check(
            "FROM scratch\nCOPY . /a\nCOPY [\"b c\", \"../d\", \"/e/\"]\nADD https://h/x z /y/\n",
            &[],
            None,
            "FROM scratch\nCOPY .build-context/. /a\n\
             COPY [\".build-context/b c\", \".build-context/d\", \"/e/\"]\n\
             ADD https://h/x .build-context/z /y/\n",
        );
        check(
            "FROM b\nRUN --mount=type=bind,src=x,target=/x --mount=target=/y --mount=type=cache,target=/z true\n",
            &["b"],
            None,
            "FROM [b]\nRUN --mount=type=bind,src=.build-context/x,target=/x \
             --mount=target=/y,source=.build-context --mount=type=cache,target=/z true\n",
        );
    }

    #[test]
    fn stages_are_no_bases() {
        let text = "ARG V=3\nFROM --platform=$TARGETPLATFORM py:${V} AS One\nFROM one AS two\n\
                    FROM scratch\nCOPY --from=two /a /\nCOPY --from=0 /b /\nCOPY --from=ext:1 /c /\n";
        check(
            text,
            &["ext:1", "py:3"],
            Some(&[]),
            &text.replace("py:${V}", "[py:3]").replace("ext:1", "[ext:1]"),
        );
        let through = "FROM x AS c\nFROM a AS b\nFROM y AS m\nFROM z\nFROM b\n\
                       RUN --mount=type=bind,from=m,target=/m true\n";
        let rewrite = DockerfileRewrite::read(&recipe(through)).unwrap();
        assert_eq!(rewrite.bases().collect::<Vec<_>>(), ["a", "y"]);
        assert_eq!(rewrite.last_base(), Some("a"));
    }

    #[test]
    fn arguments_choose_bases() {
        let text = "ARG V=1\nARG W=$V\nARG H\nFROM $H/py:$V\nCOPY --from=x:$W /a /\n";
        let check = |args: &[(&str, &str)], expected: &[&str]| {
            let rewrite = DockerfileRewrite::read(&own(text, args, None)).unwrap();
            assert_eq!(rewrite.bases().collect::<Vec<_>>(), expected, "{args:?}");
        };
        check(&[("H", "h")], &["h/py:1", "x:1"]);
        check(&[("H", "h"), ("V", "2")], &["h/py:2", "x:2"]);
        check(&[("H", "h"), ("V", "2"), ("W", "3")], &["h/py:2", "x:3"]);
    }

    #[test]
    fn only_what_the_target_needs_is_a_base() {
        let text = "FROM a AS One\nCOPY x /\nFROM b AS two\nCOPY --from=c y /\nFROM d\n";
        let check = |target: Option<&str>, bases: &[&str], last: &str| {
            let rewrite = DockerfileRewrite::read(&own(text, &[], target)).unwrap();
            assert_eq!(rewrite.bases().collect::<Vec<_>>(), bases, "{target:?}");
            assert_eq!(rewrite.last_base(), Some(last), "{target:?}");
        };
        check(None, &["d"], "d");
        check(Some("one"), &["a"], "a");
        check(Some("0"), &["a"], "a");
        check(Some("TWO"), &["b", "c"], "b");
        check(Some("2"), &["d"], "d");
        let error = DockerfileRewrite::read(&own(text, &[], Some("three"))).unwrap_err();
        assert!(error.to_string().contains("it has no stage `three`"), "{error}");
    }

    #[test]
    fn image_config_stands_at_the_end_of_the_target() {
        let text = "FROM a AS one\nCOPY . /\nFROM b\nCOPY x /";
        let check = |target: Option<&str>, expected: &str| {
            let mut recipe = own(text, &[], target);
            let own = recipe.own.as_mut().unwrap();
            own.overrides.command = Some(vec!["x".to_owned()]);
            let mut rewrite = DockerfileRewrite::read(&recipe).unwrap();
            rewrite.configure(&recipe, &BTreeMap::new()).unwrap();
            assert_eq!(rewrite.write(&BTreeMap::new()), expected);
        };
        let lines = "# ImageConfig of the template\nCMD [\"x\"]\n";
        check(None, &format!("{text}\n{lines}"));
        let nested = "FROM a AS one\nCOPY .build-context/. /\n";
        let rest = "FROM b\nCOPY .build-context/x /";
        check(Some("one"), &format!("{nested}{lines}{rest}"));
    }

    #[test]
    fn only_what_is_built_is_copied() {
        let text = "FROM b AS one\nCOPY . /\nFROM b\nCOPY x y /\n";
        let needs = |target| DockerfileRewrite::read(&own(text, &[], target)).unwrap().needs;
        assert_eq!(needs(Some("one")), CopiedPaths::All);
        assert_eq!(needs(None), CopiedPaths::Paths(["x", "y"].map(str::to_owned).into()));
    }

    #[test]
    fn triggers_belong_to_the_stages_that_start_from_theirs() {
        let text = "FROM b AS a\nONBUILD COPY x /\nONBUILD COPY --from=e:1 /y /\nFROM a AS c\nFROM a\nCOPY --from=c / /\n";
        check(
            text,
            &["b", "e:1"],
            Some(&["x"]),
            &text.replace(" b ", " [b] ").replace("e:1", "[e:1]"),
        );
        let exported = "FROM b\nONBUILD COPY x /\nONBUILD COPY --from=e:1 /y /\n";
        check(exported, &["b"], Some(&[]), &exported.replace(" b\n", " [b]\n"));
    }

    #[test]
    fn quoted_words_are_left_to_the_daemon() {
        check(
            "FROM b\nCOPY 'x' \"y\" /\n",
            &["b"],
            None,
            "FROM [b]\nCOPY .build-context/'x' .build-context/\"y\" /\n",
        );
    }

    #[test]
    fn other_readers_are_not_called() {
        check(
            "# syntax=docker/dockerfile:1\nFROM b\n",
            &["b"],
            Some(&[]),
            "# not followed here: syntax docker/dockerfile:1\nFROM [b]\n",
        );
    }
}
