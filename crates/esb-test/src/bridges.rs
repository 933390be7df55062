//! Network bridges that a Docker engine left behind when it was killed.

use std::process::Command;

/// Removes bridges of user-defined networks that nothing uses (`br-…`, down) and that have an address
/// of a subnet: the kernel would send packets for a new network with that subnet to them.
///
/// `subnet` is an IPv4 network of 24 bits, `10.0.0.0/24`. Does its best, as where `ip` is missing.
pub fn remove_unused_bridges(subnet: &str) {
    let Ok(output) = Command::new("ip").args(["-brief", "-4", "address"]).output() else { return };
    for bridge in unused(&String::from_utf8_lossy(&output.stdout), subnet) {
        let _best_effort = Command::new("ip").args(["link", "delete", &bridge]).output();
    }
}

/// The bridges of such a subnet that are down, in what `ip -brief -4 address` prints.
fn unused(table: &str, subnet: &str) -> Vec<String> {
    let Some(prefix) = subnet.strip_suffix("0/24") else { return Vec::new() };
    let is_unused = |line: &&str| {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        name.starts_with("br-")
            && words.next() == Some("DOWN")
            && words.any(|address| address.starts_with(prefix))
    };
    let names = table.lines().filter(is_unused).filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bridges_that_are_down_and_of_the_subnet_are_unused() {
        let table = "lo UNKNOWN 127.0.0.1/8\n\
                     br-1 DOWN 10.1.2.1/24\n\
                     br-2 UP 10.1.2.1/24\n\
                     br-3 DOWN 10.1.20.1/24\n\
                     eth0 DOWN 10.1.2.9/24\n";
        assert_eq!(unused(table, "10.1.2.0/24"), ["br-1"]);
        assert!(unused(table, "10.1.0.0/16").is_empty());
    }
}
