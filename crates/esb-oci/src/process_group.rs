//! Programs with all that they start, as groups that end together.
//!
//! A program that is run for a while (a package installer, `ssh`, a credential helper) may start
//! others. It gets a process group of its own, and whoever gives the program up ends the group.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// The groups of programs that run now.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// The process group of a program that was started with `process_group(0)`. It is killed when this
/// is dropped before the program is known to have ended.
#[derive(Debug)]
pub struct ProcessGroup {
    leader: i32,
    is_left: bool,
}

impl ProcessGroup {
    /// The group of the program with this process id; none for a number that no process has.
    pub fn of(leader: u32) -> Option<Self> {
        let leader = i32::try_from(leader).ok().filter(|id| *id > 1)?;
        running(|groups| groups.insert(leader));
        Some(Self { leader, is_left: false })
    }

    /// Says that the program ended by itself: what it left running, such as an agent, is meant to.
    pub fn leave(mut self) {
        self.is_left = true;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let is_running = running(|groups| groups.remove(&self.leader));
        if is_running && !self.is_left {
            kill(self.leader);
        }
    }
}

/// Kills the groups of all programs that still run: the process is about to end, and threads that
/// wait for a program are not.
pub fn kill_process_groups() {
    running(std::mem::take).into_iter().for_each(kill);
}

fn running<T>(work: impl FnOnce(&mut BTreeSet<i32>) -> T) -> T {
    work(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

fn kill(leader: i32) {
    if let Some(leader) = Pid::from_raw(leader) {
        // It may have ended in the meantime.
        let _gone = kill_process_group(leader, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        os::unix::process::CommandExt as _,
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// A program that starts another one, which holds the pipe open.
    fn start() -> (Child, BufReader<std::process::ChildStdout>, ProcessGroup) {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo started; wait"]).stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let group = ProcessGroup::of(child.id()).unwrap();
        (child, output, group)
    }

    #[test]
    fn a_program_that_is_given_up_ends_with_what_it_started() {
        let (mut child, mut output, group) = start();
        drop(group);
        // Ends only when nobody holds the other end any more.
        output.read_to_end(&mut Vec::new()).unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn what_a_program_leaves_running_stays() {
        let (mut child, _output, group) = start();
        let leader = Pid::from_child(&child);
        group.leave();
        assert_eq!(rustix::process::test_kill_process_group(leader), Ok(()));
        kill(child.id().try_into().unwrap());
        child.wait().unwrap();
    }
}
