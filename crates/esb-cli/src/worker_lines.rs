//! The lines of a summary that are about workers.

use esb_deploy::Replaced;

use crate::escape;

/// The lines for people.
pub(crate) fn lines(replaced: &Replaced) -> Vec<String> {
    let mut lines = Vec::new();
    if !replaced.idle.is_empty() {
        lines.push(format!("workers replaced: {}", replaced.idle.join(", ")));
    }
    if replaced.cut > 0 {
        lines.push(format!("calls that began in the moment of a replacement: {}", replaced.cut));
    }
    if !replaced.busy.is_empty() {
        let names = replaced.busy.join(", ");
        lines.push(format!("workers that are still busy with old code: {names}"));
    }
    // A restart of the Gateway ends them all.
    for (name, reason) in replaced.kept.iter().filter(|_| replaced.restarted.is_none()) {
        lines.push(format!("worker {name} was not replaced: {reason}"));
    }
    for (name, reason) in &replaced.lost {
        lines.push(format!(
            "worker {name} is gone, and the Gateway may call another container in its place: \
             {reason}"
        ));
    }
    lines.extend(replaced.none_found.clone());
    if let Some(gateway) = &replaced.restarted {
        lines.push(format!("Gateway `{gateway}` was restarted, and all workers with it"));
    }
    if let Some(command) = &replaced.command {
        lines.push(match (replaced.lost.is_empty(), replaced.busy.is_empty()) {
            (false, _) => format!("run now: {command}"),
            (_, false) => {
                format!("the next deploy replaces them; now, and with their calls: {command}")
            }
            _ => format!("workers run old code until: {command} (`--restart-gateway` runs it)"),
        });
    }
    lines.iter().map(|line| escape::line(line).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_of_the_gateway_ends_what_was_kept() {
        let kept = vec![("w".to_owned(), "why".to_owned())];
        let mut replaced = Replaced { kept, ..Replaced::default() };
        assert_eq!(lines(&replaced), ["worker w was not replaced: why"]);
        replaced.restarted = Some("g".to_owned());
        assert_eq!(lines(&replaced), ["Gateway `g` was restarted, and all workers with it"]);
    }
}
