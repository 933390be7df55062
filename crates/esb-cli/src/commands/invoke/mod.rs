//! `esb invoke`: runs one function's image in the engine and invokes it through the Lambda Runtime
//! Interface Emulator.

mod code;
mod event;
mod failure;
mod log;
mod rie;

use std::{collections::BTreeMap, time::Duration};

use esb_deploy::{Error, ImageRecord, Kind, Loaded, Project, Record, read_record};
use esb_image::{Engine as _, RunSpec};
use esb_model::Function;
use esb_oci::{ArchiveImage, OciLayout};
use serde_json::Value;

use self::{failure::Failure, rie::Response};
use crate::{
    cli::{GlobalArgs, InvokeArgs},
    connections,
    documents::{ErrorFields, InvokeDocument, InvokeFailure},
    environment::Environment,
    exit_code::{CliError, Exit},
    inputs, loading,
    printer::Printer,
};

pub(crate) async fn run(
    args: &InvokeArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let project = inputs::project(global, &args.template, environment)?;
    let event = event::read(args.event.as_deref())?;
    let loaded = loading::load(&project, &args.template, environment)?;
    let function = find(&loaded, &args.function)?;
    let record = read_record(&project)?;
    let image = record.images.iter().find(|image| image.function == function.id.logical_id);
    let image = image.ok_or_else(|| {
        let text = format!("`{}` has no image in `{}`", args.function, project.environment);
        Error::new(Kind::Input, "invoke", text).hint("run `esb build` with the same `-e` again")
    })?;
    note_newer_code(&project, &loaded, function, &record, printer);
    let store = connections::open_store(environment, &project.brand, printer)?;
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
    let answer = rie::invoke(&*container, &event, Duration::from_secs(seconds)).await;
    let log = log::of_container(&*container).await;
    container.stop(Duration::ZERO).await?;
    let mut failure = match &answer {
        Ok(response) => Failure::of_response(response),
        Err(reason) => Some(Failure::of_no_response(reason)),
    };
    let is_verbose = printer.verbose > 0;
    let mut lines = log::lines(&log, failure.as_ref(), is_verbose);
    if let Some(failure) = failure.as_mut().filter(|_| !is_verbose) {
        log::take_java_trace(&mut lines, failure);
    }
    let skipped = args.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    let lines = &lines[skipped..];
    for line in lines {
        printer.err_as_it_is(&crate::escape::terminal(line));
    }
    finish(function, answer.ok().as_ref(), failure.as_ref(), lines, printer)
}

/// Prints the response, and makes the error of an invocation that failed.
fn finish(
    function: &Function,
    response: Option<&Response>,
    failure: Option<&Failure>,
    log: &[&str],
    printer: Printer,
) -> Result<(), CliError> {
    let body = response.map(|response| &*response.body);
    // What the emulator says is no response of the function.
    let body = body.filter(|_| failure.is_none_or(|failure| failure.is_of_runtime));
    let timeout = function.effective_timeout();
    let error = failure.map(|failure| failure.error(&function.effective_name(), timeout));
    if printer.json {
        printer.document(&InvokeDocument {
            function: function.effective_name().into_owned(),
            response: body.map(value),
            failure: failure.map(|failure| InvokeFailure {
                kind: failure.kind.clone(),
                message: failure.message.clone(),
                trace: failure.trace.clone(),
            }),
            log: log.iter().map(|line| (*line).to_owned()).collect(),
            error: error
                .as_ref()
                .map(|error| ErrorFields { exit: Exit::Invoke as u8, ..error.into() }),
        });
    } else if let Some(body) = body
        && (failure.is_none() || !Printer::shows_results())
    {
        Printer::out_bytes(body);
        if !body.ends_with(b"\n") {
            Printer::out_bytes(b"\n");
        }
    }
    match error {
        None => Ok(()),
        Some(error) => Err(CliError { exit: Exit::Invoke, ..CliError::told(error) }),
    }
}

/// A response as JSON, as text where it is none.
fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
}

/// Says when the code that the image was made of has changed since.
fn note_newer_code(
    project: &Project,
    loaded: &Loaded,
    function: &Function,
    record: &Record,
    printer: Printer,
) {
    let newer = record.built.and_then(|built| code::newer_file(project, loaded, function, built));
    if let Some(path) = newer {
        let path = crate::escape::line(&project.short(&path)).into_owned();
        printer.note(&format!(
            "note: `{path}` changed after the image was built; `esb build -e {}` makes a new one",
            project.environment
        ));
    }
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
