//! The pulls that a deploy requests from the platform's engine before it publishes, and its
//! messages about a running platform: a Gateway's container with the labels that compose sets.

use std::fs;

use esb_test::LoggingProxy;
use serde_json::Value;

use super::{
    delivery::image_of,
    parts::{Parts, Said, expect},
    small_project::SmallProject,
};
use crate::checks::{Outcome, Trouble};

const GATEWAY: &str = "esb-dev-gateway";
const FOLDER: &str = "/app/runtime-config";

/// A container that stands for a Gateway; it is removed when this is dropped.
struct Gateway<'a> {
    parts: &'a Parts,
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        let _gone = self.parts.engine.docker().args(["rm", "--force", GATEWAY]).output();
    }
}

impl<'a> Gateway<'a> {
    /// Starts it for a compose project, with a bind mount where it reads.
    fn start(
        small: &SmallProject<'a>,
        image: &str,
        project: &str,
        environment: &[&str],
    ) -> Outcome<Self> {
        let bound = small.root.join("bound");
        fs::create_dir_all(&bound)?;
        let label = |name: &str, value: &str| format!("com.docker.compose.{name}={value}");
        let labels = [
            label("project", project),
            label("service", "gateway"),
            label("project.working_dir", "/srv/the platform"),
            label("project.config_files", "/srv/the platform/a.yml,/srv/b.yml"),
        ];
        let volume = format!("{}:{FOLDER}", bound.display());
        let mut arguments = vec!["run", "--detach", "--name", GATEWAY, "--volume", &volume];
        arguments.extend(labels.iter().flat_map(|label| ["--label", label.as_str()]));
        arguments.extend(environment.iter().flat_map(|variable| ["--env", *variable]));
        arguments.extend(["--entrypoint", "sleep", image, "1000"]);
        small.parts.engine.output(arguments)?;
        Ok(Self { parts: small.parts })
    }
}

/// What compose would be run with, whatever the folder.
const COMPOSE: &str = "docker compose --project-directory '/srv/the platform' -f \
                       '/srv/the platform/a.yml' -f /srv/b.yml -p esb-dev";

fn published(small: &SmallProject<'_>) -> Outcome<String> {
    Ok(fs::read_to_string(small.root.join("bound/functions.yml"))?)
}

fn names(summary: &Value, key: &str) -> Vec<String> {
    let list = summary[key].as_array().into_iter().flatten();
    list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn is(what: &str, fine: bool, summary: &dyn std::fmt::Display) -> Outcome {
    if fine { Ok(()) } else { Err(Trouble::Failed(format!("{what}: {summary:#}"))) }
}

/// The engine that holds the Gateway is asked for what is new, pulls it, and where it cannot,
/// nothing is published.
pub(crate) fn before_publishing(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "pulls", "small")?;
    small.write("template.yaml", &["A", "B"], "first")?;
    let image = image_of(&small.deployed(&["--config-to", "none"])?, "A")?;
    parts.engine.output(["pull", "--quiet", &image])?;
    let _gateway = Gateway::start(&small, &image, "esb-dev", &[])?;

    // All that goes to the registry from here on can be told apart by who asks.
    let proxy = LoggingProxy::start(parts.registry.address())?;
    let deploy = |arguments: &[&str], code| -> Outcome<Said> {
        let mut command = small.deploy(arguments);
        command.env("CONTAINER_REGISTRY", proxy.address());
        expect(&mut command, code)
    };
    let of_engine = || {
        let requests = proxy.requests();
        let by_engine = |request: &&esb_test::Exchange| {
            request.header("user-agent").is_some_and(|agent| agent.starts_with("docker/"))
        };
        requests.iter().filter(by_engine).map(|request| request.target.clone()).collect::<Vec<_>>()
    };
    let has = |image: &str| -> Outcome<bool> {
        let mut inspect = parts.engine.docker();
        Ok(inspect.args(["image", "inspect", image]).output()?.status.success())
    };
    let summary = deploy(&[], 0)?.json()?;
    let a = image_of(&summary, "A")?;
    is("both are pulled", names(&summary, "pulled").len() == 2 && has(&a)?, &summary)?;

    proxy.clear();
    let summary = deploy(&[], 0)?.json()?;
    is("unchanged: nothing is pulled", names(&summary, "pulled").is_empty(), &summary)?;
    is("unchanged: nothing is asked", of_engine().is_empty(), &of_engine().join(" "))?;

    fs::write(small.root.join("code/a/app.py"), "def handler(e, c):\n    return 'second'\n")?;
    proxy.clear();
    let summary = deploy(&["--pull", "off"], 0)?.json()?;
    let changed = image_of(&summary, "A")?;
    let asked = of_engine();
    is(
        "one is asked for",
        !asked.is_empty() && !asked.join(" ").contains("/esb-b/"),
        &asked.join(" "),
    )?;
    is("and not pulled", !has(&changed)? && names(&summary, "pulled").is_empty(), &summary)?;

    // A name that only this program resolves: the platform's own, without a line in /etc/hosts.
    let before = published(&small)?;
    fs::write(small.root.join("code/a/app.py"), "def handler(e, c):\n    return 'third'\n")?;
    let name = "registry.esb.invalid:5010";
    let mut command = small.deploy(&["--push-registry", parts.registry.address()]);
    let said = expect(command.env("CONTAINER_REGISTRY", name), 4)?;
    let own = format!("--registry {}", parts.registry.address());
    said.tells(&[GATEWAY, name, "nothing was published", "127.0.0.1 registry.esb.invalid", &own])?;
    is("what is published stays", published(&small)? == before, &said.stderr)?;

    // A registry of plain HTTP under an address that the engine takes for one of TLS.
    let (_, port) = parts.registry.address().rsplit_once(':').ok_or("a registry without a port")?;
    let name = format!("0.0.0.0:{port}");
    let mut command = small.deploy(&["--registry-insecure", &name]);
    let said = expect(command.env("CONTAINER_REGISTRY", &name), 4)?;
    said.tells(&[&format!("\"insecure-registries\": [\"{name}\"]"), "nothing was published"])?;
    is("what is published stays", published(&small)? == before, &said.stderr)
}

/// Commands for the compose project as it was started, capacities that a Gateway reads once,
/// secrets that it has to have, and a Gateway of another project.
pub(crate) fn the_platform_that_runs(parts: &Parts) -> Outcome {
    let small = SmallProject::new(parts, "platform", "small")?;
    small.write("template.yaml", &["A"], "first")?;
    let template = small.root.join("template.yaml");
    let plain = fs::read_to_string(&template)?;
    let image = image_of(&small.deployed(&["--config-to", "none"])?, "A")?;
    parts.engine.output(["pull", "--quiet", &image])?;
    let gateway = Gateway::start(&small, &image, "esb-dev", &["HAS_IT=1"])?;

    let property = |text: &str| plain.replace("      Timeout: 3", text);
    let resource = "  Jobs:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      \
                    BillingMode: PAY_PER_REQUEST\n      KeySchema: [{AttributeName: id, KeyType: \
                    HASH}]\n      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]\n";
    let with_table = plain.clone() + "\n" + resource;
    fs::write(&template, &with_table)?;
    let summary = small.deployed(&[])?;
    let command = format!("{COMPOSE} --profile deploy run --rm provisioner");
    is("the Provisioner's command", summary["config"]["provisioner"] == *command, &summary)?;
    is("no restart", summary["restart"]["command"].is_null(), &summary)?;

    let capacity = "      Timeout: 3\n      ReservedConcurrentExecutions: 7";
    fs::write(&template, property(capacity))?;
    let summary = small.deployed(&[])?;
    let command = format!("{COMPOSE} restart gateway");
    let restart = &summary["restart"];
    is("a restart", restart["command"] == *command && restart["functions"][0] == "a", &summary)?;
    fs::write(&template, property(&capacity.replace('7', "8")))?;
    let summary = small.deployed(&["--restart-gateway"])?;
    is("a capacity alone restarts", summary["workers"]["restarted"] == GATEWAY, &summary)?;
    is("and asks for nothing", summary["restart"]["command"].is_null(), &summary)?;

    let secret = "      Timeout: 3\n      Environment: {Variables: {HAS_IT: x, LACKS_IT: y}}";
    fs::write(&template, property(secret))?;
    let before = published(&small)?;
    let both = ["--secret-env", "A.HAS_IT", "--secret-env", "A.LACKS_IT"];
    let said = expect(&mut small.deploy(&both), 1)?;
    said.tells(&["LACKS_IT", GATEWAY, &format!("{COMPOSE} up -d gateway")])?;
    is("one alone is missing", !said.stderr.contains("`HAS_IT`"), &said.stderr)?;
    is("what is published stays", published(&small)? == before, &said.stderr)?;
    small.deployed(&both[..2])?;

    let region = small.deployed(&["--region", "eu-west-1", "--dry-run"])?;
    is("the plan shows the region", region["region"]["own"] == "eu-west-1", &region)?;
    small.deployed(&["--region", "eu-west-1"])?;
    let config =
        esb_config::read(&small.root.join("bound")).map_err(|e| crate::checks::chain(&e))?;
    let functions = config.config.functions;
    let of = |environment: &esb_config::Environment| {
        environment.0.get("AWS_REGION").map(|text| text.template().to_owned())
    };
    let own = of(&functions.functions["a"].environment);
    let shown = functions.to_yaml();
    is("its own function has it", own.as_deref() == Some("eu-west-1"), &shown)?;
    is("nobody else", of(&functions.defaults.environment).as_deref() == Some("us-east-1"), &shown)?;
    drop(gateway);

    let _other = Gateway::start(&small, &image, "the-other", &[])?;
    let mut command = parts.esb_to_registry(&small.root, "small");
    let said = expect(command.args(["deploy", "-e", "dev"]), 0)?;
    is("the other is proposed", said.stdout.contains("`-p the-other`"), &said.stdout)?;
    is("and named", !said.stdout.contains("no Gateway reads it"), &said.stdout)
}
