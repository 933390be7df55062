//! `esb invoke`: runs one function's image in the engine and invokes it through the Lambda Runtime
//! Interface Emulator.

use std::{collections::BTreeMap, io::Read as _, path::Path, time::Duration};

use esb_deploy::{Error, ImageRecord, Kind, Loaded, Project, read_record};
use esb_image::{Engine as _, RunSpec};
use esb_model::{Function, decode_text};
use esb_oci::{ArchiveImage, OciLayout};

use crate::{
    cli::{GlobalArgs, InvokeArgs},
    connections,
    environment::Environment,
    exit_code::{CliError, Exit},
    inputs, loading,
    printer::Printer,
    rie,
};

/// The most bytes of an event; Lambda's own limit is 6 MB.
const EVENT_LIMIT: u64 = 64 * 1024 * 1024;

pub(crate) async fn run(
    args: &InvokeArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let project = inputs::project(global, &args.template, environment)?;
    let event = read_event(args.event.as_deref())?;
    let loaded = loading::load(&project, &args.template, environment)?;
    let function = find(&loaded, &args.function)?;
    let record = read_record(&project)?;
    let image = record.images.iter().find(|image| image.function == function.id.logical_id);
    let image = image.ok_or_else(|| {
        let text = format!("`{}` has no image in `{}`", args.function, project.environment);
        Error::new(Kind::Input, "invoke", text).hint("run `esb build` with the same `-e` again")
    })?;
    let store = connections::open_store(environment, &project.brand)?;
    let engine = connections::engine(environment, &store).await?;
    bring(&engine, image).await?;

    let secrets = secrets(&project, function, environment);
    let spec = RunSpec {
        image: image.reference.clone(),
        environment: function_environment(&loaded, function, &secrets),
        port: rie::PORT,
        labels: BTreeMap::from([(project.brand.label("kind"), "invoke".to_owned())]),
        ..RunSpec::default()
    };
    let container = engine.run(&spec).await?;
    let seconds = args.wait.unwrap_or(u64::from(function.effective_timeout()) + 10);
    let answer = rie::invoke(container.address(), &event, Duration::from_secs(seconds)).await;
    let log = container.logs().await.unwrap_or_default();
    container.stop(Duration::ZERO).await?;
    for line in log.lines() {
        printer.err(&crate::escape::terminal(line));
    }
    let response = answer.map_err(|reason| {
        let text = format!("`{}` did not answer", args.function);
        let mut error = Error::new(Kind::Remote, "invoke", text);
        error.causes.push(reason);
        CliError::with_exit(Exit::Invoke, error)
    })?;
    Printer::out_bytes(&response.body);
    if !response.body.ends_with(b"\n") {
        Printer::out_bytes(b"\n");
    }
    if response.status >= 400 || response.function_error || is_error(&response.body) {
        let text = format!("`{}` failed (status {})", args.function, response.status);
        let error = Error::new(Kind::Remote, "invoke", text);
        return Err(CliError::with_exit(Exit::Invoke, error));
    }
    Ok(())
}

fn read_event(path: Option<&Path>) -> Result<Vec<u8>, Error> {
    let Some(path) = path else { return Ok(b"{}".to_vec()) };
    let mut event = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(EVENT_LIMIT).read_to_end(&mut event)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(EVENT_LIMIT).read_to_end(&mut event))
    };
    read.map_err(|error| {
        let text = format!("could not read the event `{}`", path.display());
        Error::of(Kind::Input, "event", &error).during(text)
    })?;
    let not_json = |error: &(dyn std::error::Error + 'static)| {
        let text = format!("the event `{}` is not JSON", path.display());
        Error::of(Kind::Input, "event", error).during(text)
    };
    let event = decode_text(event).map_err(|error| not_json(&error))?;
    serde_json::from_str::<serde_json::Value>(&event).map_err(|error| not_json(&error))?;
    Ok(event.into_bytes())
}

/// A function by its name or logical id.
fn find<'a>(loaded: &'a Loaded, wanted: &str) -> Result<&'a Function, Error> {
    let functions = &loaded.app.functions;
    let fits = |function: &&Function| {
        function.id.logical_id == wanted || function.effective_name() == wanted
    };
    functions.iter().find(fits).ok_or_else(|| {
        let names: Vec<_> = functions.iter().map(Function::effective_name).collect();
        let text = format!("the template has no function `{wanted}`");
        Error::new(Kind::Input, "invoke", text).hint(format!("it has {}", names.join(", ")))
    })
}

/// Makes sure that the engine has the image under the name that functions.yml uses.
async fn bring(engine: &esb_image::docker::DockerEngine, image: &ImageRecord) -> Result<(), Error> {
    if engine.find(&image.reference).await?.is_some() {
        return Ok(());
    }
    if let Some(pull) = &image.pull {
        let platform = format!("linux/{}", engine.info().architecture);
        engine.pull(pull, &platform).await?;
        engine.tag(pull, &image.reference).await?;
        return Ok(());
    }
    if let Some((layout, name)) = &image.layout {
        let architecture = engine.info().architecture.clone();
        let content = OciLayout::open(layout)?.image(name, None, &architecture).await?;
        let archive = ArchiveImage { image: content, names: vec![image.reference.clone()] };
        engine.load(std::slice::from_ref(&archive)).await?;
        return Ok(());
    }
    let text = format!("the engine has no image `{}`", image.reference);
    Err(Error::new(Kind::Input, "invoke", text).hint("run `esb build --to docker` again"))
}

/// Reads the variables of a function that `--secret-env` names from this process's environment, as
/// far as they are set.
fn secrets<'a>(
    project: &'a Project,
    function: &Function,
    environment: &'a Environment,
) -> BTreeMap<&'a str, &'a str> {
    let is_own = |name: &str| name == function.id.logical_id || name == function.effective_name();
    let own = project.secret_env.iter().filter(|(name, _)| is_own(name));
    own.filter_map(|(_, variable)| Some((variable.as_str(), environment.get(variable)?))).collect()
}

/// The variables that the Gateway would set for a worker.
fn function_environment(
    loaded: &Loaded,
    function: &Function,
    secrets: &BTreeMap<&str, &str>,
) -> BTreeMap<String, String> {
    use esb_model::EnvValue;
    let region = &loaded.app.region;
    let own = function.environment.iter().map(|(name, value)| {
        let value = match value {
            _ if secrets.contains_key(name.as_str()) => secrets[name.as_str()].to_owned(),
            EnvValue::Known(text) => text.clone(),
            EnvValue::Secret(text) => text.reveal().clone(),
            EnvValue::Symbolic(_) => String::new(),
        };
        (name.clone(), value)
    });
    let mut environment: BTreeMap<String, String> = BTreeMap::from([
        ("AWS_REGION".to_owned(), region.clone()),
        ("AWS_DEFAULT_REGION".to_owned(), region.clone()),
    ]);
    environment.extend(own);
    environment.extend([
        ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), function.effective_name().into_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION".to_owned(), "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT".to_owned(), function.effective_timeout().to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), function.effective_memory().to_string()),
    ]);
    environment
}

/// The Gateway's own rule for a failure in a response's body
/// (docs/contracts/platform.md#failures-of-a-call).
fn is_error(body: &[u8]) -> bool {
    if body.len() >= 10_000 {
        return false;
    }
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(body) else { return false };
    object.contains_key("errorType") || object.contains_key("errorMessage")
}
