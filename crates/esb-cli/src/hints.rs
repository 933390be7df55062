//! Words what helps against errors and findings, with the flags and commands of this program.
//!
//! Libraries name a remedy as a value, because only the command line knows its own flags.

use std::{borrow::Cow, path::Path};

/// The words for an error's remedy.
pub(crate) fn of_error(remedy: &esb_deploy::Remedy) -> Cow<'_, str> {
    use esb_deploy::Remedy;
    match remedy {
        Remedy::Advice(advice) => advice.into(),
        Remedy::Store(remedy) => of_store(remedy),
        Remedy::Image(remedy) => of_image(remedy),
        Remedy::Registry(remedy) => of_registry(remedy),
        Remedy::Config { remedy, program } => of_config(remedy, program.as_deref()),
        Remedy::MakeDeliveryWritable { folder } => format!(
            "{}, or deliver to another folder with `--config-to DIR`",
            make_writable(folder)
        )
        .into(),
        remedy => of_run(remedy),
    }
}

fn of_run(remedy: &esb_deploy::Remedy) -> Cow<'_, str> {
    use esb_deploy::Remedy;
    match remedy {
        Remedy::NameTemplate => {
            "name a template, or a folder that holds one, with `--template PATH`".into()
        }
        Remedy::GiveParameters => {
            "give the parameters that it depends on with `--parameter`".into()
        }
        Remedy::BuildFirst => "run `esb build` or `esb deploy` with the same `-e` first".into(),
        Remedy::UseAnotherEnvironment => {
            "wait for it, or build for another environment with `-e`".into()
        }
        Remedy::StartEngineOrNameDaemons => "start the Docker engine, name another with \
             DOCKER_HOST, or name BuildKit daemons with `--buildkit ADDR`"
            .into(),
        Remedy::NameDaemons => "name them with `--buildkit ADDR` or BUILDKIT_HOST".into(),
        Remedy::NameInternalRegistry => {
            "name the internal registry with `--registry HOST[:PORT]`".into()
        }
        Remedy::StartOrNameRegistry => {
            "start it (`docker run -d -p 5010:5000 registry:2`), or name another with `--registry \
             HOST[:PORT]`"
                .into()
        }
        Remedy::NameLastRegistry { before } => format!(
            "name it again with `--registry {before}`, or set `registry = \"{before}\"` in \
             esb.toml; if another target is meant, say so with `--registry` or `--to`, or go on \
             with `--yes`"
        )
        .into(),
        Remedy::StartOrNamePushAddress => {
            "start it, or name the address that this machine reaches \
             with `--push-registry HOST:PORT`; a registry of plain HTTP needs \
             `--registry-insecure HOST:PORT`"
                .into()
        }
        Remedy::PushWhereAgentPulls => "start the platform's registry or name one with \
             `--registry HOST[:PORT]`, and push there (`--to registry`), or insist with \
             `--allow-local`"
            .into(),
        Remedy::LetEngineReach { ways, registry } => {
            let other = registry.iter().map(|registry| {
                format!("publish the name that it reaches: `--registry {registry}`")
            });
            ways.iter().cloned().chain(other).collect::<Vec<_>>().join("; or ").into()
        }
        Remedy::AllowSync => {
            "leave out `--image-prewarm=off`, so that the image is synced into the \
             internal registry"
                .into()
        }
        Remedy::NameByContent => {
            "choose `--image-ref content` or `--image-ref digest`, or leave out `moving-tag = false` \
             in esb.toml"
                .into()
        }
        Remedy::NameDelivery => {
            "name the place with `--config-to DIR`, or deliver nowhere with `--config-to none`"
                .into()
        }
        Remedy::MountWritable => {
            "mount it without `ro`, or deliver to a folder with `--config-to DIR`".into()
        }
        Remedy::ChangeLockFile => {
            format!("run once without `--locked`, and commit `{}`", esb_deploy::lockfile::NAME)
                .into()
        }
        Remedy::PinAnew { otherwise, reference } => {
            let otherwise = otherwise.as_deref().map(|remedy| format!("{}; ", of_error(remedy)));
            format!(
                "{}`--update-lock` takes what `{reference}` is now instead of what esb.lock pins",
                otherwise.unwrap_or_default()
            )
            .into()
        }
        other => unworded(other),
    }
}

fn of_store(remedy: &esb_oci::Remedy) -> Cow<'_, str> {
    match remedy {
        esb_oci::Remedy::Advice(advice) => advice.into(),
        esb_oci::Remedy::FetchBlob => FETCH_BLOB.into(),
        esb_oci::Remedy::TrustStore => TRUST_STORE.into(),
        esb_oci::Remedy::OtherStore(None) => OTHER_STORE.into(),
        esb_oci::Remedy::OtherStore(Some(advice)) => format!("{advice}; or {OTHER_STORE}").into(),
        other => unworded(other),
    }
}

/// What others put into a store runs in images.
const TRUST_STORE: &str = "what is in it goes into images: name a folder of your own with \
                           ESB_CACHE_DIR, or trust it with `--trust-store` or ESB_TRUST_STORE=1";

const OTHER_STORE: &str = "name another folder with ESB_CACHE_DIR";

const FETCH_BLOB: &str = "run once where there is a network, or name an OCI layout that has it with \
                          `--mirror HOST=oci:DIR`";

fn of_image(remedy: &esb_image::Remedy) -> Cow<'_, str> {
    use esb_image::Remedy;
    match remedy {
        Remedy::UseAnotherBuilder => {
            "use `--builder docker` with a running engine, or `--builder buildkit`".into()
        }
        Remedy::StartEngine => {
            "start the Docker engine, or name another with DOCKER_HOST; a function runs in one, and \
             a build needs none with `--to oci:DIR`"
                .into()
        }
        Remedy::CheckFleet => "check the addresses of `--buildkit`, the certificates of \
             `--buildkit-tls` and the name of `--buildkit-server-name`"
            .into(),
        Remedy::LogIn { registry } => format!("run `docker login {registry}`").into(),
        Remedy::CheckPackageOrBuildInImage => "check its name and version, or build it in the \
             image: `--builder auto` with a running Docker engine or `--buildkit ADDR`; \
             `--allow-host-builds` runs its code on this machine"
            .into(),
        Remedy::BuildInImage => {
            "build it in the image, with `--builder auto` and a running Docker \
             engine or `--buildkit ADDR`, or name a wheel instead; `--allow-host-builds` runs its \
             code on this machine"
                .into()
        }
        Remedy::InstallPython => {
            "install uv and Python, or Python with pip, on this machine, or use \
             `--builder auto` with a running Docker engine"
                .into()
        }
        Remedy::InstallUv => "install uv on this machine, or have it fetched: leave out \
             `--no-uv-install` and `--offline`"
            .into(),
        Remedy::BuildWithoutCache => "build with `--no-cache`, which makes it again".into(),
        Remedy::FetchBlob => FETCH_BLOB.into(),
        Remedy::FetchWheels => {
            "run `esb image fetch --to oci:DIR` where the network is, carry the folder here, and \
             name it with `--mirror HOST=oci:DIR`; a package without a wheel is made one there \
             (`pip wheel`) and put into `DIR/wheels`"
                .into()
        }
        Remedy::Advice(advice) => advice.into(),
        other => unworded(other),
    }
}

fn of_registry(remedy: &esb_registry::Remedy) -> Cow<'_, str> {
    use esb_registry::Remedy;
    match remedy {
        Remedy::WriteMirror => {
            "write `--mirror HOST=HOST[:PORT][/PREFIX]` or `--mirror HOST=oci:DIR`".into()
        }
        Remedy::AllowPlainHttp { registry } => format!(
            "`{registry}` seems to speak plain HTTP: allow it with `--registry-insecure {registry}`"
        )
        .into(),
        Remedy::GiveCertificate { registry } => {
            format!("give the certificate authority of `{registry}` with `--ca-file FILE`").into()
        }
        Remedy::StartRegistry { registry } => {
            let port = registry.rsplit_once(':').map_or("5000", |(_, port)| port);
            format!(
                "start the registry at `{registry}` (here: `docker run -d -p {port}:5000 \
                 registry:2`), or name another with `--registry`"
            )
            .into()
        }
        Remedy::GiveCopy { host } => format!(
            "give a copy with `--mirror {host}=oci:DIR` (an OCI layout) or \
             `--mirror {host}=HOST[:PORT][/PREFIX]` (another registry)"
        )
        .into(),
        Remedy::GoOnlineOrGiveCopy { host } => format!(
            "run once without `--offline` where there is a network, or give a copy with \
             `--mirror {host}=oci:DIR` (an OCI layout)"
        )
        .into(),
        Remedy::FetchBlob => FETCH_BLOB.into(),
        Remedy::KeepTags => "set `moving-tag = false` in esb.toml: only tags that change with the \
             content are pushed then, which functions.yml names with `--image-ref content` (the \
             default) or by their digest with `--image-ref digest`"
            .into(),
        Remedy::Advice(advice) => advice.into(),
        other => unworded(other),
    }
}

fn of_config<'a>(remedy: &'a esb_config::Remedy, program: Option<&str>) -> Cow<'a, str> {
    use esb_config::Remedy;
    let program = program.map(|program| format!("{program} ")).unwrap_or_default();
    match remedy {
        Remedy::RenameOrRemove { published_by } => format!(
            "rename one of them; `--adopt` takes it over, and `{program}config rm --owner \
             '{published_by}'` removes what a template published that was renamed or is no longer \
             deployed"
        )
        .into(),
        Remedy::RenameOrJoin { application } => format!(
            "rename one of them; if both are one application, set `application = \"{}\"` in \
             esb.toml, or take over with `--adopt`",
            application.escape_debug()
        )
        .into(),
        Remedy::RenameOrTakeOver => "it was published before applications were recorded: if it is \
             this application's, take it over with `--adopt`, else rename one of them"
            .into(),
        Remedy::TakeOverOrRemove { published_by } => format!(
            "it was published before applications were recorded. `--adopt` goes on: it takes over \
             what both have, and removes nothing; `{program}config rm --owner ':{published_by}'` \
             removes the rest"
        )
        .into(),
        Remedy::NameOneOrTakeOver { run } => format!(
            "they count as two applications: give this one a name of its own, `application = \
             \"NAME\"` in esb.toml. If it is the same one under other names, `--adopt` goes on and \
             removes what `{run}` no longer has"
        )
        .into(),
        Remedy::NameOneOrJoin { application } => format!(
            "if these are two applications, give this one a name of its own, `application = \
             \"NAME\"` in esb.toml. If they are one, commit the esb.lock of the project that \
             published it, or set `application = \"{}\"` in esb.toml. `--adopt` goes on and removes \
             it",
            application.escape_debug()
        )
        .into(),
        Remedy::MakeWritable { folder } => make_writable(folder).into(),
        Remedy::Advice(advice) => advice.into(),
        other => unworded(other),
    }
}

fn make_writable(folder: &Path) -> String {
    format!("make `{}` and its files writable for this user", folder.display())
}

/// The words for a finding's help.
pub(crate) fn of_finding(remedy: &esb_model::Remedy) -> Cow<'_, str> {
    use esb_model::Remedy;
    match remedy {
        Remedy::GiveCode { function } => {
            let function = function.as_deref().unwrap_or("FUNCTION");
            format!("give a local folder with `--code {function}=PATH`").into()
        }
        Remedy::GiveVariable => "give it a value with `--env-vars`".into(),
        Remedy::FillInFromGateway { functions, variable } => {
            let flags = functions.iter().map(|name| format!("--secret-env {name}.{variable}"));
            let flags = flags.collect::<Vec<_>>().join(" ");
            format!("with `{flags}` the Gateway fills it in from its own environment").into()
        }
        Remedy::CheckFilledIn => "check the names in `--secret-env`".into(),
        Remedy::GiveParameter { name, is_secret: false } => {
            format!("give it with `--parameter {name}=VALUE`").into()
        }
        Remedy::GiveParameter { name, is_secret: true } => {
            format!("give it with `ESB_PARAM_{name}`, or with `--parameter {name}=@FILE`").into()
        }
        Remedy::MatchArchitecture => "run it where its architecture is, register an emulator \
             (binfmt_misc) with the engine's machine, or choose another with `Architectures` or \
             `--platform`"
            .into(),
        Remedy::Advice(advice) => advice.into(),
        other => unworded(other),
    }
}

/// A remedy that has no words yet: its name is better than nothing.
fn unworded(remedy: &dyn std::fmt::Debug) -> Cow<'static, str> {
    format!("{remedy:?}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_image_has_both_remedies_or_one() {
        let anew = |otherwise: Option<esb_registry::Remedy>| esb_deploy::Remedy::PinAnew {
            otherwise: otherwise.map(|remedy| Box::new(remedy.into())),
            reference: "r.example/a:1".to_owned(),
        };
        let words = of_error(&anew(None)).into_owned();
        assert!(words.starts_with("`--update-lock` takes what `r.example/a:1` is now"), "{words}");
        let copy = esb_registry::Remedy::GiveCopy { host: "r.example".to_owned() };
        let words = of_error(&anew(Some(copy))).into_owned();
        assert!(words.starts_with("give a copy with `--mirror r.example=oci:DIR`"), "{words}");
        assert!(words.contains("; `--update-lock` takes"), "{words}");
    }

    #[test]
    fn commands_name_the_program_when_it_is_known() {
        let remedy = esb_config::Remedy::RenameOrRemove {
            published_by: esb_config::Owner::new("shop", "a.yaml"),
        };
        let known = of_config(&remedy, Some("acme"));
        assert!(known.contains("`acme config rm --owner 'shop:a.yaml'`"), "{known}");
        assert!(of_config(&remedy, None).contains("`config rm --owner"), "{known}");
    }
}
