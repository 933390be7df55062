//! `base-image`: a stand-in for an AWS base image where no public registry can be reached.
//!
//! Owns an OCI layout with the paths, the environment and the behaviour of AWS's image, made from
//! Debian's packages, those of the Python package index or of Maven, and the interface emulator. It is used as any
//! mirror is (`--mirror public.ecr.aws=oci:DIR`) and calls itself a stand-in wherever it shows.
//! Refuses to pretend: what a machine lacks for it is named.

mod check;
mod error;
mod layers;
mod layout;
mod mirror;
mod overlay;
mod rootfs;
mod version;

pub(crate) use error::Error;
pub(crate) use mirror::debian_mirror;
pub(crate) use version::{Language, Version};

use crate::{
    checks::Trouble,
    command::target,
    probe::{REAL_BASE_REGISTRY, real_base_reachable},
    steps::Steps,
};
use esb_test::Missing;
use overlay::Parts;
use rootfs::{Mmdebstrap, Pip};
use sha2::{Digest as _, Sha256};
use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// To be raised when the code of this task changes what it makes.
const REVISION: u32 = 2;
const REQUIREMENTS: &str = include_str!("../../tools/base-image.requirements.txt");
const POM: &str = include_str!("../../tools/base-image.pom.xml");
const PIP: &str = "pip==26.3";
const RIE_WHEEL: &str = "aws-sam-cli==1.170.0";
/// 1980-01-01, the first day that every archive format knows.
const EPOCH: u64 = 315_532_800;

/// `cargo xtask base-image`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The language of the runtime.
    language: Language,
    /// The version of the language [default: the newest].
    #[arg(long)]
    version: Option<Version>,
    /// The folder of the OCI layout [default: target/base-images/LANGUAGE-VERSION].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Makes it again although it is there.
    #[arg(long)]
    force: bool,
    /// Also runs a handler on it in a Docker engine and compares what the handler sees.
    #[arg(long)]
    check: bool,
}

/// A stand-in that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandIn {
    /// The folder of its OCI layout.
    pub(crate) dir: PathBuf,
    /// Whether it was there before.
    pub(crate) reused: bool,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let version = args.version.unwrap_or_else(|| args.language.newest());
    if version.language() != args.language {
        let why = format!("there is none of version {}", version.name());
        return Err(Missing::new(format!("stand-in for {}", args.language.name()), why).into());
    }
    let dir = args.out.clone().unwrap_or_else(|| default_dir(version));
    let mut steps = Steps::default();
    let made = stand_in(version, &dir, args.force, &mut steps)?;
    let (layout, total) = (made.dir.display(), steps.total().as_secs_f64());
    let how = if made.reused { "was there already".to_owned() } else { format!("{total:.1} s") };
    crate::steps::say(&format!("{} is in {layout} ({how})", title(version)));
    if args.check && version.language() == Language::Java {
        crate::steps::say("the end-to-end checks run handlers on it: `cargo xtask e2e`");
    } else if args.check {
        check::check(version, &made.dir, &mut steps)?;
        crate::steps::say(
            "a handler on it runs, and sees the module path, the hook and the SDK as it should",
        );
    }
    if real_base_reachable() {
        crate::steps::say(&format!("{REAL_BASE_REGISTRY} answers here: the real image is better"));
    }
    crate::steps::say(&format!("use it with --mirror {REAL_BASE_REGISTRY}=oci:{layout}"));
    Ok(())
}

/// Where a stand-in lies unless a folder is given.
pub(crate) fn default_dir(version: Version) -> PathBuf {
    let name = format!("{}-{}", version.language().name(), version.name());
    target().join("base-images").join(name)
}

/// What the image calls itself.
pub(crate) fn title(version: Version) -> String {
    let reference = layout::reference(version);
    let packages = match version.language() {
        Language::Python => "Python",
        Language::Java => "Maven",
    };
    format!(
        "stand-in for {REAL_BASE_REGISTRY}/{reference}, made from Debian and {packages} packages"
    )
}

/// Makes a stand-in, unless one of the same recipe is there and `force` is not set.
///
/// # Errors
/// [`Error::Missing`] names what this machine lacks for it.
pub(crate) fn stand_in(
    version: Version,
    dir: &Path,
    force: bool,
    steps: &mut Steps,
) -> Result<StandIn, Error> {
    let epoch = epoch()?;
    let interpreter = version.copied_interpreter()?;
    let mirror = mirror::debian_mirror(version.suite())?;
    let recipe = recipe(version, &mirror, interpreter.as_deref(), epoch);
    if !force && layout::recipe_of(dir).as_deref() == Some(&recipe) {
        return Ok(StandIn { dir: dir.to_owned(), reused: true });
    }
    let (mmdebstrap, pip) = (Mmdebstrap::find()?, Pip::find()?);

    let parent = dir.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(Error::file("make folder", parent))?;
    let work = tempfile::Builder::new().prefix(".stand-in-").tempdir_in(parent);
    let work = work.map_err(Error::file("make folder below", parent))?;
    let path = |name: &str| work.path().join(name);
    let (runtime, site_packages, rie) = (path("runtime"), path("site-packages"), path("rie"));
    let (overlay, root, partial) = (path("overlay.tar"), path("root.tar"), path("layout"));

    let rie_wheel = steps.step("runtime client and interface emulator", || {
        if version.language() == Language::Java {
            java_runtime(&path("maven"), &runtime)?;
            return pip.download(RIE_WHEEL, &rie);
        }
        let requirements = path("requirements.txt");
        fs::write(&requirements, REQUIREMENTS).map_err(Error::file("write", &requirements))?;
        let from_file = [OsStr::new("--requirement"), requirements.as_os_str()];
        pip.install(version, &runtime, &from_file)?;
        pip.install(version, &site_packages, &[OsStr::new(PIP)])?;
        pip.download(RIE_WHEEL, &rie)
    })?;
    let parts = Parts {
        version,
        runtime: &runtime,
        site_packages: &site_packages,
        rie_wheel: &rie_wheel,
        interpreter: interpreter.as_deref(),
    };
    steps.step("overlay of scripts and packages", || overlay::write(&parts, &overlay))?;
    let name = format!("Debian {} with the overlay, compiled and checked", version.suite());
    steps.step(&name, || {
        mmdebstrap.make(version, &mirror, &overlay, overlay::FINISH_PATH, epoch, &root)
    })?;
    steps.step("layers and OCI layout", || {
        let layers = layers::split(&root, work.path(), epoch)?;
        layout::publish(version, &layers, &recipe, &timestamp(epoch), &partial, dir)
    })?;
    Ok(StandIn { dir: dir.to_owned(), reused: false })
}

/// Copies the runtime client and what it needs into `runtime`, out of Maven's repository.
fn java_runtime(work: &Path, runtime: &Path) -> Result<(), Error> {
    fs::create_dir(work).map_err(Error::file("make folder", work))?;
    let pom = work.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::file("write", &pom))?;
    let target = format!("-DoutputDirectory={}", runtime.display());
    let copied = crate::java::jdk()
        .and_then(|jdk| crate::java::maven(work, &jdk, &["dependency:copy-dependencies", &target]));
    copied.map_err(|trouble| match trouble {
        Trouble::Missing(missing) => missing.into(),
        Trouble::Failed(said) => Error::Maven { said },
    })
}

/// A digest of everything that decides what a stand-in is, but for the packages' own versions in
/// Debian, which change when they must.
fn recipe(version: Version, mirror: &str, interpreter: Option<&Path>, epoch: u64) -> String {
    let interpreter = interpreter.and_then(Path::file_name).unwrap_or_default();
    let words = [
        REVISION.to_string(),
        env::consts::ARCH.to_owned(),
        version.name().to_owned(),
        version.suite().to_owned(),
        version.packages().join(" "),
        mirror.to_owned(),
        interpreter.to_string_lossy().into_owned(),
        match version.language() {
            Language::Python => REQUIREMENTS.to_owned(),
            Language::Java => POM.to_owned(),
        },
        PIP.to_owned(),
        RIE_WHEEL.to_owned(),
        epoch.to_string(),
    ];
    let texts = overlay::texts(version.language());
    let mut hash = Sha256::new();
    for word in words.iter().map(String::as_str).chain(texts.iter().copied()) {
        hash.update(word.len().to_le_bytes());
        hash.update(word);
    }
    layers::hex(&hash.finalize())
}

/// The one time of every file, in seconds since 1970.
fn epoch() -> Result<u64, Error> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().map_err(|_| Error::Epoch),
        Err(_) => Ok(EPOCH),
    }
}

/// Seconds since 1970 as a date and time in UTC.
fn timestamp(epoch: u64) -> String {
    let (mut days, seconds) = (epoch / 86_400, epoch % 86_400);
    let mut year = 1970;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (EPOCH, "1980-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(epoch), text);
        }
    }

    #[test]
    fn a_recipe_changes_with_each_of_its_parts() {
        let recipe = |version, mirror, interpreter: Option<&str>, epoch| {
            recipe(version, mirror, interpreter.map(Path::new), epoch)
        };
        let recipes = [
            recipe(Version::Python313, "http://a.example", None, EPOCH),
            recipe(Version::Python311, "http://a.example", None, EPOCH),
            recipe(Version::Java21, "http://a.example", None, EPOCH),
            recipe(Version::Python313, "http://b.example", None, EPOCH),
            recipe(Version::Python313, "http://a.example", Some("/x/3.12.1"), EPOCH),
            recipe(Version::Python313, "http://a.example", None, EPOCH + 1),
        ];
        let distinct: std::collections::BTreeSet<_> = recipes.iter().collect();
        assert_eq!(distinct.len(), recipes.len());
        assert_eq!(recipe(Version::Python313, "http://a.example", None, EPOCH), recipes[0]);
    }
}
