//! The embedded engine beside BuildKit: whatever the one accepts, the other builds to the same
//! file system and the same config.
//!
//! Owns how cases are built by both and compared. BuildKit gets the context with the modes of an
//! image (architecture, invariant 4), so that everything else has to be equal to the bit.

mod base;
mod context;
mod random;
mod table;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use esb_image::{
    Base, BuildRequest, Builder as _, Built, EmbeddedBuilder, EmbeddedSettings, Error,
};
use esb_model::{
    BaseRef, BuildContext, FunctionId, ImageKind, ImageRecipe, NullReporter, Platform, TemplateId,
};
use esb_oci::{ContentStore, DEFAULT_EPOCH, Digest, Image};
use esb_test::DockerEngine;

use super::flatten::{Modes, differences, flatten, flatten_image};
use crate::{
    checks::{Outcome, Trouble, chain},
    steps::say,
    tools,
};

/// Builds of the engine at a time.
const AT_ONCE: usize = 4;
/// Cases that are built together where they only make files.
const TOGETHER: usize = 12;
/// Labels that only the embedded engine gives.
const OWN_LABELS: [&str; 2] =
    ["org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"];

/// One Dockerfile with its context.
#[derive(Debug, Clone)]
struct Case {
    dockerfile: String,
    /// What many contexts hold, as [`context::write`] reads it.
    shared: &'static str,
    /// What this one holds beside.
    files: String,
    dockerignore: String,
    expected: Expected,
}

/// What the embedded engine has to make of a case. What it builds, BuildKit has to build the same;
/// what it calls wrong, BuildKit must not build either.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    Anything,
    Same,
    /// It builds it, and old engines do not build the same.
    Old(&'static str),
    /// It leaves it to another engine, with these words among its reasons.
    Refused(&'static str),
    /// It calls it wrong.
    Wrong,
}

/// What the embedded engine made of a case.
enum Made {
    Image(Box<Image>),
    Refused(String),
    Wrong(String),
}

/// A case and what the embedded engine made of it.
struct Member<'a> {
    case: &'a Case,
    folder: PathBuf,
    made: Made,
}

/// What BuildKit builds at once.
struct Build<'a> {
    dockerfile: String,
    members: Vec<Member<'a>>,
}

/// How cases went.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    refused: usize,
    wrong: usize,
    /// Old engines fail at what later ones build.
    stumbled: usize,
    failures: Vec<String>,
}

/// The table, and the same random cases each time.
pub(crate) fn check(engine: &DockerEngine, folder: &Path) -> Outcome {
    run(engine, folder, &Args { seconds: 120, cases: 80, ..Args::default() })
}

/// How many random cases, and from where.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Seconds for random cases
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The most random cases
    #[arg(long, value_name = "N", default_value_t = u64::MAX)]
    cases: u64,
    /// Where the sequence of random cases starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Leave out the table
    #[arg(long)]
    random_only: bool,
}

/// Runs the suite against an engine, with everything below `folder`.
pub(crate) fn run(engine: &DockerEngine, folder: &Path, args: &Args) -> Outcome {
    fs::create_dir_all(folder)?;
    let suite = Suite::new(engine, folder)?;
    let start = Instant::now();
    let mut tally = Tally::default();
    if !args.random_only {
        suite.run(&table::cases(), &mut tally)?;
        say(&format!("  table: {}, {:.1} s", tally.line(), start.elapsed().as_secs_f64()));
    }
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let (mut seed, mut random) = (args.seed, Tally::default());
    while Instant::now() < end && seed - args.seed < args.cases && random.failures.is_empty() {
        let cases: Vec<Case> = (seed..seed + 40).map(random::case).collect();
        suite.run(&cases, &mut random)?;
        seed += 40;
    }
    say(&format!("  random from {} to {seed}: {}", args.seed, random.line()));
    tally.failures.extend(random.failures);
    if tally.failures.is_empty() { Ok(()) } else { Err(Trouble::Failed(tally.failures.join("\n"))) }
}

struct Suite<'a> {
    engine: &'a DockerEngine,
    folder: PathBuf,
    bases: BTreeMap<String, Base>,
    builder: EmbeddedBuilder,
    runtime: tokio::runtime::Runtime,
    /// Plugins of a client that reads patterns with `!` as BuildKit does since 0.10: which files are
    /// sent is the client's affair, and the one that comes with an old engine sends others.
    buildx: Option<PathBuf>,
    /// Builds so far, for their names.
    count: AtomicUsize,
}

impl<'a> Suite<'a> {
    fn new(engine: &'a DockerEngine, folder: &Path) -> Outcome<Self> {
        let bases = base::bases()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(base::load(engine, &bases, folder))?;
        let store = ContentStore::open(folder.join("store"))
            .map_err(|error| Trouble::Failed(chain(&error)))?;
        Ok(Self {
            engine,
            folder: folder.to_owned(),
            bases,
            builder: EmbeddedBuilder::new(store, EmbeddedSettings::default()),
            runtime,
            buildx: tools::buildx_plugins().ok(),
            count: AtomicUsize::new(0),
        })
    }

    fn run(&self, cases: &[Case], tally: &mut Tally) -> Outcome {
        let mut made = Vec::new();
        for case in cases {
            let folder = self.folder(case)?;
            match self.embedded(case, &folder)? {
                Made::Refused(reason) => {
                    tally.refused += 1;
                    if !case.expected.allows_refusal(&reason) {
                        tally.fail(case, &format!("it was refused: {reason}"));
                    }
                }
                found => made.push(Member { case, folder, made: found }),
            }
        }
        let (together, alone): (Vec<_>, Vec<_>) = made.into_iter().partition(Member::is_sharable);
        let mut builds: Vec<Build<'_>> =
            alone.into_iter().map(|one| Build::of(vec![one])).collect();
        let mut together = together.into_iter().peekable();
        while together.peek().is_some() {
            builds.push(Build::of(together.by_ref().take(TOGETHER).collect()));
        }
        let failed = self.build_all(builds, tally)?;
        // Of several that were built together, one may be the cause.
        let again = failed.into_iter().flat_map(|build| build.members);
        let rest = self.build_all(again.map(|one| Build::of(vec![one])).collect(), tally)?;
        assert!(rest.is_empty(), "what is built alone has its answer");
        Ok(())
    }

    /// Lets BuildKit build, and compares. Gives back what it could not build together.
    fn build_all<'b>(&self, builds: Vec<Build<'b>>, tally: &mut Tally) -> Outcome<Vec<Build<'b>>> {
        let first = self.count.fetch_add(builds.len(), Ordering::Relaxed);
        let name = |position: usize| format!("case-{}:1", first + position);
        let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || {
            loop {
                let position = next.fetch_add(1, Ordering::Relaxed);
                let Some(build) = builds.get(position) else { return };
                let answer = self.by_buildkit(build, &name(position));
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.insert(position, answer);
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
        let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mut built, mut failed) = (Vec::new(), Vec::new());
        for (build, (position, answer)) in builds.into_iter().zip(answers) {
            let answer = answer?;
            if answer.status.success() {
                if let [Member { case, made: Made::Image(_), .. }] = &build.members[..]
                    && matches!(case.expected, Expected::Refused(_) | Expected::Wrong)
                {
                    tally.fail(case, "it was built");
                }
                built.push((build, name(position)));
            } else if build.members.len() > 1 {
                failed.push(build);
            } else {
                let said = String::from_utf8_lossy(&answer.stderr).into_owned();
                build.members.iter().for_each(|member| member.not_built(&said, tally));
            }
        }
        self.compare(&built, tally)?;
        Ok(failed)
    }

    fn compare(&self, built: &[(Build<'_>, String)], tally: &mut Tally) -> Outcome {
        if built.is_empty() {
            return Ok(());
        }
        // The engine cannot export an image without a layer, and there is nothing in it to compare.
        let (empty, built): (Vec<_>, Vec<_>) = {
            let mut filled = Vec::new();
            for (_, name) in built {
                let count = ["inspect", "--format", "{{len .RootFS.Layers}}", name];
                filled.push(self.engine.output(count)? != "0");
            }
            let mut filled = filled.into_iter();
            built.iter().partition(|_| !filled.next().unwrap_or(true))
        };
        for (build, _) in empty {
            let layers = build.members.iter().map(|member| match &member.made {
                Made::Image(image) => image.layers.len(),
                Made::Refused(_) | Made::Wrong(_) => usize::MAX,
            });
            match layers.max() {
                Some(0) => tally.same += build.members.len(),
                _ => tally.fail(build.members[0].case, "BuildKit makes no layer of it"),
            }
        }
        let names: Vec<&str> = built.iter().map(|(_, name)| &**name).collect();
        let flats = flatten(self.engine, &names, Modes::Exact)?;
        for ((build, _), flat) in built.iter().zip(&flats) {
            for (position, member) in build.members.iter().enumerate() {
                let case = member.case;
                let image = match &member.made {
                    Made::Image(image) => image,
                    Made::Refused(reason) | Made::Wrong(reason) => {
                        tally.wrong += 1;
                        let what = format!("BuildKit builds it, but: {reason}");
                        self.differs(case, &what, tally);
                        continue;
                    }
                };
                let ours = self.runtime.block_on(flatten_image(image, Modes::Exact))?;
                let alone = build.members.len() == 1;
                let part = (!alone).then(|| flat.below(&position.to_string(), &ours.config));
                let different = differences(&ours, part.as_ref().unwrap_or(flat), &OWN_LABELS);
                if different.is_empty() {
                    tally.same += 1;
                } else {
                    let text = different.join("\n");
                    self.differs(case, &format!("embedded != BuildKit:\n{text}"), tally);
                }
            }
        }
        Ok(())
    }

    fn differs(&self, case: &Case, what: &str, tally: &mut Tally) {
        let old_client = self.buildx.is_none() && case.puts_back();
        if case.expected.is_old() || old_client {
            tally.stumbled += 1;
        } else {
            tally.fail(case, what);
        }
    }

    /// A folder with the case on the disk; those that only share a context have one together.
    fn folder(&self, case: &Case) -> Outcome<PathBuf> {
        let contexts = format!("{}\n{}", case.shared, case.files);
        let key = Digest::of(format!("{contexts}\0{}", case.dockerignore).as_bytes());
        let folder = self.folder.join(key.short());
        if !folder.exists() {
            context::write(&folder.join("context"), &contexts, false)?;
            context::write(&folder.join("normal"), &contexts, true)?;
        }
        Ok(folder)
    }

    fn by_buildkit(&self, build: &Build<'_>, name: &str) -> Outcome<Output> {
        let Some(first) = build.members.first() else { return Err("no case".into()) };
        let folder = self.folder.join("builds").join(name);
        fs::create_dir_all(&folder)?;
        let dockerfile = folder.join("Dockerfile");
        fs::write(&dockerfile, &build.dockerfile)?;
        fs::write(folder.join("Dockerfile.dockerignore"), &first.case.dockerignore)?;
        let mut build = self.engine.docker();
        match &self.buildx {
            Some(plugins) if first.case.puts_back() => {
                build.env("DOCKER_CONFIG", plugins).arg("buildx");
            }
            _ => drop(build.env("DOCKER_BUILDKIT", "1")),
        }
        build
            // Its cache takes files of other owners for the same where a pattern names them.
            .args(["build", "--quiet", "--no-cache", "--tag", name, "--file"])
            .arg(dockerfile)
            .arg(first.folder.join("normal"));
        Ok(build.output()?)
    }

    fn embedded(&self, case: &Case, folder: &Path) -> Outcome<Made> {
        let template = TemplateId(0);
        let recipe = ImageRecipe {
            repository: "case".to_owned(),
            tag: "latest".to_owned(),
            kind: ImageKind::Function(FunctionId { template, logical_id: "Case".to_owned() }),
            platform: Platform::default(),
            base: BaseRef::External { reference: "base:1".to_owned() },
            dockerfile: case.dockerfile.clone(),
            dockerignore: case.dockerignore.clone(),
            folder: "../recipe".into(),
            context: BuildContext::default(),
            staged: Vec::new(),
            dependencies: None,
            own: None,
        };
        let labels = BTreeMap::new();
        let root = folder.join("context");
        let request = BuildRequest {
            recipe: &recipe,
            root: &root,
            bases: &self.bases,
            labels: &labels,
            fingerprint_label: None,
            label_prefix: "com.esb.",
            published: None,
            epoch: DEFAULT_EPOCH,
            no_cache: false,
        };
        match self.runtime.block_on(self.builder.build(request, &NullReporter)) {
            Ok(report) => match report.built {
                Built::Local(image) => Ok(Made::Image(image)),
                other => Err(format!("the embedded engine made {other:?}").into()),
            },
            Err(error @ Error::Unsupported { .. }) => Ok(Made::Refused(chain(&error))),
            Err(error) => Ok(Made::Wrong(chain(&error))),
        }
    }
}

impl Case {
    /// Whether a pattern of its `.dockerignore` puts something back in.
    fn puts_back(&self) -> bool {
        self.dockerignore.contains('!')
    }
}

impl Member<'_> {
    /// Whether it can be a stage among others: one stage, and what it makes is files alone.
    fn is_sharable(&self) -> bool {
        let Case { dockerfile, files, dockerignore, .. } = self.case;
        let words = ["COPY", "WORKDIR", "USER"];
        let mut lines = dockerfile.lines().skip(1);
        let plain = |line: &str| words.iter().any(|word| line.starts_with(word));
        matches!((&self.made, &self.case.expected), (Made::Image(_), Expected::Same))
            && dockerfile.starts_with("FROM base:1\n")
            && lines.all(|line| plain(line) && !line.contains("--from"))
            && files.is_empty()
            && dockerignore.is_empty()
    }

    fn not_built(&self, said: &str, tally: &mut Tally) {
        let expected = &self.case.expected;
        match &self.made {
            Made::Image(_) if expected.is_old() || said.contains("error from sender") => {
                tally.stumbled += 1;
            }
            Made::Image(_) => {
                let said = said.lines().last().unwrap_or_default();
                tally.fail(self.case, &format!("BuildKit does not build it: {said}"));
            }
            Made::Refused(reason) | Made::Wrong(reason) => {
                tally.wrong += 1;
                if !matches!(expected, Expected::Wrong | Expected::Anything) {
                    tally.fail(self.case, &format!("it is called wrong: {reason}"));
                }
            }
        }
    }
}

impl<'a> Build<'a> {
    /// Several cases become stages, and the folders of a last stage.
    fn of(members: Vec<Member<'a>>) -> Self {
        if let [one] = &members[..] {
            return Self { dockerfile: one.case.dockerfile.clone(), members };
        }
        let (mut stages, mut last) = (String::new(), "FROM scratch\n".to_owned());
        for (position, member) in members.iter().enumerate() {
            let case = &member.case.dockerfile;
            stages += &case.replacen("FROM base:1\n", &format!("FROM base:1 AS c{position}\n"), 1);
            writeln!(last, "COPY --from=c{position} / /{position}/").expect("it is a string");
        }
        Self { dockerfile: stages + &last, members }
    }
}

impl Expected {
    fn allows_refusal(&self, reason: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Refused(part) => reason.contains(part),
            Self::Same | Self::Old(_) | Self::Wrong => false,
        }
    }

    fn is_old(&self) -> bool {
        matches!(self, Self::Old(_))
    }
}

impl Tally {
    fn fail(&mut self, case: &Case, what: &str) {
        let Case { dockerfile, files, dockerignore, expected, .. } = case;
        let mut text = format!("{what}\n--- Dockerfile ({expected:?})\n{dockerfile}");
        for (title, part) in [("dockerignore", dockerignore), ("context", files)] {
            if !part.is_empty() {
                write!(text, "\n--- {title}\n{part}").expect("it is a string");
            }
        }
        self.failures.push(text + "\n");
    }

    fn line(&self) -> String {
        let Self { same, refused, wrong, stumbled, failures } = self;
        format!(
            "{same} the same, {refused} refused, {wrong} wrong for both, {stumbled} that the \
             engine is too old for, {} failed",
            failures.len()
        )
    }
}
