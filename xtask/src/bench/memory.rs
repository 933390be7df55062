//! Measures the peak memory of a process.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    checks::{Outcome, Trouble},
    command::words,
};

const POLL: Duration = Duration::from_millis(10);

/// Runs a process to its end; gives the peak of its resident memory in MiB, as the kernel counts
/// it. What it had in its last milliseconds alone may be missed.
pub(crate) fn peak(command: &mut Command) -> Outcome<f64> {
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    loop {
        peak = peak.max(high_water(&fs::read_to_string(&status).unwrap_or_default()));
        if let Some(ended) = process.try_wait()? {
            if !ended.success() {
                return Err(Trouble::Failed(format!("{} ended with {ended}", words(command))));
            }
            return Ok(super::report::count_u64(peak) / 1024.0);
        }
        thread::sleep(POLL);
    }
}

/// Kilobytes.
fn high_water(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_seen_and_a_failure_told() {
        assert_eq!(high_water("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n"), 2048);
        let peak = peak(Command::new("sleep").arg("0.2")).unwrap();
        assert!(peak > 0.1, "{peak}");
        assert!(super::peak(&mut Command::new("false")).is_err());
    }
}
