//! Compares the embedded engine with BuildKit: every Dockerfile that the embedded engine accepts
//! gives the same file system and the same config with both.
//!
//! Owns how cases are built by both and compared. BuildKit gets the context with the modes of an
//! image (architecture, invariant 4), so that everything else has to be equal to the bit.

mod base;
mod context;
mod folders;
mod peer;
mod random;
mod table;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use esb_image::{Base, BuildRequest, Builder, Built, EmbeddedBuilder, EmbeddedSettings, Error};
use esb_model::{
    BaseRef, FunctionId, ImageKind, ImageRecipe, NullReporter, OwnDockerfile, Platform, TemplateId,
};
use esb_oci::{ContentStore, Digest, Image};

pub(crate) use peer::{Peer, through_fleet};

use super::flatten::{Flat, Modes, differences, flatten, flatten_image};
use crate::{
    checks::{Outcome, Trouble, chain},
    command::root,
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
    /// The folder that it comes from.
    folder: Option<PathBuf>,
    /// Build arguments and the target, where it has some.
    own: Option<OwnDockerfile>,
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

/// What a peer built, the name that it was given, and the image where the peer gives one.
type ByPeer<'a> = (Build<'a>, String, Option<Box<Image>>);

/// How cases went.
#[derive(Debug, Default)]
struct Tally {
    same: usize,
    refused: usize,
    wrong: usize,
    /// Old engines fail at what later ones build, or later ones at what old ones build.
    stumbled: usize,
    failures: Vec<String>,
}

/// The table, and the same random cases each time.
pub(crate) fn check(peer: Peer<'_>, folder: &Path) -> Outcome {
    run(peer, folder, &Args::usual())
}

/// As [`check`], through the fleet engine.
pub(crate) fn check_fleet(folder: &Path) -> Outcome {
    through_fleet(folder, &Args { random: 40, ..Args::usual() })
}

/// How many random cases, and from where.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Seconds for random cases
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The most random cases
    #[arg(long, value_name = "N", default_value_t = u64::MAX)]
    random: u64,
    /// Build the cases of a folder instead: folders of `Dockerfile`, `ctx/` and `args.json`
    #[arg(long, value_name = "DIR")]
    pub(crate) cases: Option<PathBuf>,
    /// Where the sequence of random cases starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Leave out the table
    #[arg(long)]
    random_only: bool,
    /// Let a fleet of `BuildKit` daemons build instead of the Docker engine
    #[arg(long)]
    pub(crate) fleet: bool,
}

impl Args {
    /// Those of the end-to-end checks.
    fn usual() -> Self {
        Self { seconds: 120, random: 80, ..Self::default() }
    }
}

/// Runs the suite against an engine, with everything below `folder`.
pub(crate) fn run(peer: Peer<'_>, folder: &Path, args: &Args) -> Outcome {
    fs::create_dir_all(folder)?;
    let suite = Suite::new(peer, folder)?;
    let start = Instant::now();
    let mut tally = Tally::default();
    if let Some(cases) = &args.cases {
        suite.run(&folders::cases(cases)?, &mut tally)?;
        say(&format!("  cases: {}", tally.line()));
        return tally.outcome();
    }
    if !args.random_only {
        suite.run(&table::cases(), &mut tally)?;
        // Build arguments and targets are passed to daemons of a fleet alone.
        if let Peer::Fleet(_) = peer {
            suite.run(&folders::cases(&root().join("fixtures/dockerfiles"))?, &mut tally)?;
        }
        say(&format!("  table: {}, {:.1} s", tally.line(), start.elapsed().as_secs_f64()));
    }
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let (mut seed, mut random) = (args.seed, Tally::default());
    while Instant::now() < end && seed - args.seed < args.random && random.failures.is_empty() {
        let cases: Vec<Case> = (seed..seed + 40).map(random::case).collect();
        suite.run(&cases, &mut random)?;
        seed += 40;
    }
    say(&format!("  random from {} to {seed}: {}", args.seed, random.line()));
    tally.failures.extend(random.failures);
    tally.outcome()
}

struct Suite<'a> {
    peer: Peer<'a>,
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
    fn new(peer: Peer<'a>, folder: &Path) -> Outcome<Self> {
        let bases = base::bases()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // A fleet reads them through its session.
        if let Peer::Docker(engine) = peer {
            runtime.block_on(base::load(engine, &bases, folder))?;
        }
        let store = ContentStore::open(folder.join("store"))
            .map_err(|error| Trouble::Failed(chain(&error)))?;
        Ok(Self {
            peer,
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
                    if let Some(name) = case.name() {
                        say(&format!("  refused: {}: {reason}", name.display()));
                    }
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
                let answer = match self.peer {
                    Peer::Docker(engine) => self.by_engine(engine, build, &name(position)),
                    Peer::Fleet(fleet) => self.by_fleet(fleet, build),
                };
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.insert(position, answer);
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
        let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mut built, mut failed) = (Vec::new(), Vec::new());
        for (build, (position, answer)) in builds.into_iter().zip(answers) {
            match answer? {
                Ok(image) => {
                    if let [Member { case, made: Made::Image(_), .. }] = &build.members[..]
                        && matches!(case.expected, Expected::Refused(_) | Expected::Wrong)
                    {
                        tally.fail(case, "it was built");
                    }
                    built.push((build, name(position), image));
                }
                Err(_) if build.members.len() > 1 => failed.push(build),
                Err(said) => {
                    let late = matches!(self.peer, Peer::Fleet(_));
                    build.members.iter().for_each(|member| member.not_built(&said, late, tally));
                }
            }
        }
        self.compare(&built, tally)?;
        Ok(failed)
    }

    fn compare(&self, built: &[ByPeer<'_>], tally: &mut Tally) -> Outcome {
        let (built, flats) = match self.peer {
            Peer::Docker(engine) => peer::flats_of_engine(engine, built, tally)?,
            Peer::Fleet(_) => {
                let images = built.iter().filter_map(|(.., image)| image.as_deref());
                let flat = |image| self.runtime.block_on(flatten_image(image, Modes::Exact));
                (built.iter().collect(), images.map(flat).collect::<Outcome<Vec<_>>>()?)
            }
        };
        for ((build, ..), flat) in built.iter().zip(&flats) {
            for (position, member) in build.members.iter().enumerate() {
                let case = member.case;
                let image = match &member.made {
                    Made::Image(image) => image,
                    // Later daemons take a pattern that leads to nothing for good.
                    Made::Wrong(reason)
                        if matches!(self.peer, Peer::Fleet(_))
                            && case.expected == Expected::Anything
                            && reason.ends_with("does not exist") =>
                    {
                        tally.stumbled += 1;
                        continue;
                    }
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
        let docker = matches!(self.peer, Peer::Docker(_));
        if docker && (case.is_old() || old_client) {
            tally.stumbled += 1;
        } else {
            tally.fail(case, what);
        }
    }

    /// A folder with the case on the disk; those that only share a context have one together.
    fn folder(&self, case: &Case) -> Outcome<PathBuf> {
        if let Some(origin) = &case.folder {
            let folder = self.folder.join(origin.file_name().unwrap_or_default());
            // A fleet builds these, for which modes are normalised on the way.
            folders::copy(origin, &folder.join("context"))?;
            return Ok(folder);
        }
        let contexts = format!("{}\n{}", case.shared, case.files);
        let key = Digest::of(format!("{contexts}\0{}", case.dockerignore).as_bytes());
        let folder = self.folder.join(key.short());
        if !folder.exists() {
            context::write(&folder.join("context"), &contexts, false)?;
            context::write(&folder.join("normal"), &contexts, true)?;
        }
        Ok(folder)
    }

    fn embedded(&self, case: &Case, folder: &Path) -> Outcome<Made> {
        let recipe = recipe(&case.dockerfile, &case.dockerignore).with_own(case.own.clone());
        Ok(match self.build(&self.builder, &recipe, folder, false)? {
            Ok(image) => Made::Image(image),
            Err(error @ Error::Unsupported { .. }) => Made::Refused(chain(&error)),
            Err(error) => Made::Wrong(chain(&error)),
        })
    }

    fn build(
        &self,
        builder: &dyn Builder,
        recipe: &ImageRecipe,
        folder: &Path,
        no_cache: bool,
    ) -> Outcome<Result<Box<Image>, Error>> {
        let labels = BTreeMap::new();
        let root = folder.join("context");
        let mut request = BuildRequest::new(recipe, &root, &self.bases);
        request.labels = &labels;
        request.no_cache = no_cache;
        match self.runtime.block_on(builder.build(request, &NullReporter)) {
            Ok(report) => match report.built {
                Built::Local(image) => Ok(Ok(image)),
                other => Err(format!("the {} engine made {other:?}", builder.name()).into()),
            },
            Err(error) => Ok(Err(error)),
        }
    }
}

/// A recipe that is nothing but its Dockerfile.
fn recipe(dockerfile: &str, dockerignore: &str) -> ImageRecipe {
    let template = TemplateId(0);
    ImageRecipe::new(
        "case".to_owned(),
        "latest".to_owned(),
        ImageKind::Function(FunctionId { template, logical_id: "Case".to_owned() }),
        Platform::default(),
        BaseRef::External { reference: "base:1".to_owned() },
        dockerfile.to_owned(),
    )
    .with_dockerignore(dockerignore.to_owned())
    .with_folder("../recipe".into())
}

impl Case {
    /// Whether old engines do otherwise: of random cases, and of what is wrong, that is known by what
    /// they say.
    fn is_old(&self) -> bool {
        let flags = ["--chmod", "--exclude", "--link", "--parents"];
        let is_new = flags.iter().any(|flag| self.dockerfile.contains(flag));
        let is_open = matches!(self.expected, Expected::Anything | Expected::Wrong);
        self.expected.is_old() || is_new && is_open
    }

    /// The name of the folder that it comes from.
    fn name(&self) -> Option<&OsStr> {
        self.folder.as_ref()?.file_name()
    }

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

    /// Whether a daemon stumbled over a link that leads to nothing of the context, below what a
    /// pattern names: those of later versions than the Docker engine's do.
    fn is_lost_link(&self, said: &str) -> bool {
        let before = said.find("not found").map_or("", |end| &said[..end]);
        let path = before.rsplit('"').nth(1).unwrap_or_default().trim_matches('\\');
        let link = self.folder.join("context").join(path.trim_start_matches('/'));
        link.is_symlink()
    }

    fn not_built(&self, said: &str, late: bool, tally: &mut Tally) {
        let expected = &self.case.expected;
        match &self.made {
            Made::Image(_) if late && self.is_lost_link(said) => tally.stumbled += 1,
            Made::Image(_) if !late && self.case.is_old() || said.contains("error from sender") => {
                tally.stumbled += 1;
            }
            Made::Image(_) => {
                let said = said.lines().last().unwrap_or_default();
                tally.fail(self.case, &format!("BuildKit does not build it: {said}"));
            }
            Made::Refused(reason) | Made::Wrong(reason) => {
                tally.wrong += 1;
                if let Some(name) = self.case.name() {
                    say(&format!("  wrong: {}: {reason}", name.display()));
                }
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
    fn outcome(self) -> Outcome {
        match &*self.failures {
            [] => Ok(()),
            failures => Err(Trouble::Failed(failures.join("\n"))),
        }
    }

    fn fail(&mut self, case: &Case, what: &str) {
        let Case { dockerfile, files, dockerignore, expected, .. } = case;
        let name = case.folder.as_deref().map(|folder| format!("{}: ", folder.display()));
        let name = name.unwrap_or_default();
        let mut text = format!("{name}{what}\n--- Dockerfile ({expected:?})\n{dockerfile}");
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
             engine's version has another mind about, {} failed",
            failures.len()
        )
    }
}
