//! `esb image fetch`: what a site without a network needs.

use serde_json::json;

use crate::{
    cli::{BuildArgs, FetchArgs, GlobalArgs},
    environment::Environment,
    exit::Failure,
    pipeline::{Order, Run, fetch},
    printer::{Printer, table},
    reporter::bytes,
};

pub(crate) async fn run(
    args: &FetchArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let dir = fetch::folder(&args.to)?;
    let build = BuildArgs {
        template: args.template.clone(),
        platform: args.platform.clone(),
        jobs: args.jobs,
        lock: args.lock,
        access: args.access.clone(),
        ..BuildArgs::default()
    };
    let order = Order { global, build: &build, deploy: None, asked: None };
    let run = Run::new(&order, environment, printer)?;
    let fetched = fetch::fetch(&run, &order, dir).await?;
    let mirrors: Vec<String> = fetch::registries(&fetched)
        .into_iter()
        .map(|registry| format!("{registry}=oci:{}", dir.display()))
        .collect();
    if printer.json {
        let images: Vec<_> = fetched
            .iter()
            .map(|image| {
                json!({
                    "source": image.source,
                    "platform": image.platform.to_string(),
                    "digest": image.digest.to_string(),
                    "bytes": image.bytes,
                    "found_in": image.from,
                })
            })
            .collect();
        printer.document(&json!({
            "schema": 1,
            "layout": dir.display().to_string(),
            "images": images,
            "mirrors": mirrors,
        }));
        return Ok(());
    }
    let head = ["image", "platform", "digest", "size"].map(str::to_owned);
    let rows: Vec<Vec<String>> = fetched
        .iter()
        .map(|image| {
            let platform = image.platform.to_string();
            vec![image.source.clone(), platform, image.digest.short(), bytes(image.bytes)]
        })
        .collect();
    for line in table(printer, &head, &rows) {
        printer.out(&line);
    }
    let mirrors: Vec<String> = mirrors.iter().map(|mirror| format!("--mirror {mirror}")).collect();
    printer.out(&format!("use it with {}", mirrors.join(" ")));
    Ok(())
}
