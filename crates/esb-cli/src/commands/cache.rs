//! `esb cache`: shows what the content store holds, makes it smaller, and verifies it.

use std::time::Duration;

use esb_deploy::{Error, Kind, STORE_LIMIT};
use esb_oci::{ContentStore, LockWait};

use crate::{
    cli::{CacheArgs, CacheCommand, GlobalArgs},
    connections::trusted_folder,
    documents::{
        CacheDocument, CheckedKind, CollectedDocument, Content, DamagedEntry, VerifiedCacheDocument,
    },
    environment::Environment,
    escape,
    exit_code::CliError,
    inputs,
    printer::Printer,
    reporter::bytes,
    tables,
};

/// How long a collection waits for builds to end.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(
    args: &CacheArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let brand = inputs::brand(global, environment.settings().text("brand"))?;
    let folder = trusted_folder(environment, &brand, printer)?;
    match args.command {
        None => {
            let store = ContentStore::open(folder)?;
            tell_damage(&store, printer);
            Ok(show(&store, printer)?)
        }
        Some(CacheCommand::Gc { max_size }) => {
            let store = ContentStore::open(folder)?;
            tell_damage(&store, printer);
            store.tell_waits(move |wait| printer.note(&wait.to_string()));
            Ok(collect(&store, max_size.unwrap_or(STORE_LIMIT), printer)?)
        }
        Some(CacheCommand::Verify { dry_run }) => {
            let tell = |wait: &LockWait| printer.note(&wait.to_string());
            let store = if dry_run {
                ContentStore::open(folder)?
            } else {
                ContentStore::open_held_telling(folder, tell)?
            };
            verify(&store, dry_run, printer)
        }
    }
}

/// Tells what opening the store found damaged.
fn tell_damage(store: &ContentStore, printer: Printer) {
    for damage in store.take_damage() {
        printer.warning(&format!("{damage}; the next run makes it again"));
    }
}

fn verify(store: &ContentStore, dry_run: bool, printer: Printer) -> Result<(), CliError> {
    let mut verified = store.verify(!dry_run)?;
    esb_image::verify_packages(store, !dry_run, &mut verified)?;
    let path = store.root().display().to_string();
    if printer.json {
        let checked = verified
            .checked
            .iter()
            .map(|(kind, count)| CheckedKind { kind: kind.clone(), count: *count });
        let damaged = verified.damaged.iter().map(|damage| DamagedEntry {
            kind: damage.kind(),
            path: damage.path().display().to_string(),
        });
        let (checked, damaged) = (checked.collect(), damaged.collect());
        printer.document(&VerifiedCacheDocument { path, checked, damaged, removed: !dry_run });
    } else {
        let head = ["content", "checked"];
        let row = |(kind, count): (&String, &usize)| vec![kind.clone(), count.to_string()];
        tables::print(printer, &head, &verified.checked.iter().map(row).collect::<Vec<_>>());
        for damage in &verified.damaged {
            printer.out(&damage.to_string());
        }
    }
    let count = verified.damaged.len();
    if count == 0 {
        if !printer.json {
            printer.note("nothing is damaged");
        }
        return Ok(());
    }
    let entries = if count == 1 { "1 entry" } else { &format!("{count} entries") };
    let end = if dry_run { "nothing was removed" } else { "what is damaged was removed" };
    let text = format!("the content store has damage in {entries}; {end}");
    let error = Error::new(Kind::Difference, "store", text);
    let hint = if dry_run {
        "`esb cache verify` removes it, and the next run makes it again"
    } else {
        "the next run makes it again"
    };
    let error = error.hint(hint);
    Err(if printer.json { CliError::told(error) } else { error.into() })
}

fn show(store: &ContentStore, printer: Printer) -> Result<(), Error> {
    let contents = store.contents()?;
    let path = store.root().display().to_string();
    if printer.json {
        let kinds = contents.kinds.into_iter().map(|(kind, amount)| Content {
            kind: Some(kind),
            count: amount.count,
            bytes: amount.bytes,
        });
        let contents_of_kinds = kinds.collect();
        let bytes = contents.bytes;
        printer.document(&CacheDocument { path, bytes, contents: contents_of_kinds });
        return Ok(());
    }
    let head = ["content", "count", "size"];
    let rows: Vec<_> = contents
        .kinds
        .iter()
        .map(|(kind, amount)| vec![kind.clone(), amount.count.to_string(), bytes(amount.bytes)])
        .collect();
    tables::print(printer, &head, &rows);
    printer.out(&format!("{} in {}", bytes(contents.bytes), escape::line(&path)));
    Ok(())
}

fn collect(store: &ContentStore, limit: u64, printer: Printer) -> Result<(), Error> {
    let collected = store.collect(limit, PATIENCE)?;
    if printer.json {
        let removed = collected.removed;
        printer.document(&CollectedDocument {
            path: store.root().display().to_string(),
            removed: Content { kind: None, count: removed.count, bytes: removed.bytes },
            bytes: collected.left,
        });
        return Ok(());
    }
    printer.out(&format!(
        "removed {} in {} entries, {} left",
        bytes(collected.removed.bytes),
        collected.removed.count,
        bytes(collected.left)
    ));
    Ok(())
}

/// Bytes from a number with a unit: decimal (`10GB`, `10G`) or binary (`10GiB`).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is not a size: write 500MB, 10GB or 2GiB", text.escape_debug());
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().to_ascii_lowercase();
    let (scale, binary) = match unit.strip_suffix("ib") {
        Some(scale) => (scale, true),
        None => (unit.strip_suffix('b').unwrap_or(&unit), false),
    };
    let power = match scale {
        "" if !binary => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    let step: u64 = if binary { 1024 } else { 1000 };
    number.checked_mul(step.pow(power)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("123", 123),
            ("123B", 123),
            ("5k", 5000),
            ("500MB", 500_000_000),
            ("10 GB", 10_000_000_000),
            ("2GiB", 2 << 30),
            ("1T", 1_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "1.5G", "1X", "1iB", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
