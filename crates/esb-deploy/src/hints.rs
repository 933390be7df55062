//! Words what would help against an error of the image builders, as the command line names it.

use esb_image::Remedy;

/// A hint for the user.
pub(crate) fn of_remedy(remedy: Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::UseAnotherBuilder => {
            "use `--builder docker` with a running engine, or `--builder buildkit`".to_owned()
        }
        Remedy::StartEngine => {
            "start the Docker engine, or name another with DOCKER_HOST".to_owned()
        }
        Remedy::CheckFleet => "check the addresses of `--buildkit`, the certificates of \
             `--buildkit-tls` and the name of `--buildkit-server-name`"
            .to_owned(),
        Remedy::LogIn { registry } => format!("run `docker login {registry}`"),
        Remedy::CheckPackageOrBuildInImage => "check its name and version, or build it in the \
             image: `--builder auto` with a running Docker engine or `--buildkit ADDR`; \
             `--allow-host-builds` runs its code on this machine"
            .to_owned(),
        Remedy::BuildInImage => "build it in the image, with `--builder auto` and a running \
             Docker engine or `--buildkit ADDR`, or name a wheel instead; `--allow-host-builds` \
             runs its code on this machine"
            .to_owned(),
        Remedy::InstallPython => "install uv and Python, or Python with pip, on this machine, or \
             use `--builder auto` with a running Docker engine"
            .to_owned(),
        Remedy::InstallUv => "install uv on this machine, or have it fetched: leave out \
             `--no-uv-install` and `--offline`"
            .to_owned(),
        Remedy::BuildWithoutCache => "build with `--no-cache`, which makes it again".to_owned(),
        Remedy::Advice(advice) => advice,
        _ => return None,
    })
}
