//! Describes the machine on which figures were measured, without its name.

use std::fs;

/// `2 cores (AMD EPYC), 23 GiB of memory, load 1.2 at the start`.
pub(crate) fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    describe(cores, &read("/proc/cpuinfo"), &read("/proc/meminfo"), load)
}

fn describe(cores: usize, processors: &str, memory: &str, load: &str) -> String {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let model =
        field(processors, "model name").map_or(String::new(), |model| format!(" ({model})"));
    let kilobytes = field(memory, "MemTotal")
        .and_then(|text| text.split(' ').next().and_then(|word| word.parse::<u64>().ok()));
    let memory = kilobytes.map_or(String::new(), |kilobytes| {
        format!(", {} GiB of memory", (kilobytes + 512 * 1024) / (1024 * 1024))
    });
    let load = if load.is_empty() { String::new() } else { format!(", load {load} at the start") };
    format!("{cores} cores{model}{memory}{load}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said() {
        let known =
            describe(2, "processor\t: 0\nmodel name\t: Chip 7\n", "MemTotal: 8100000 kB\n", "0.5");
        assert_eq!(known, "2 cores (Chip 7), 8 GiB of memory, load 0.5 at the start");
        assert_eq!(describe(4, "", "", ""), "4 cores");
    }
}
