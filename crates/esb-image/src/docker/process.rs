//! Signals the first process of a container directly, where it runs on this machine: without the
//! engine in between, a worker ends at the chosen moment.

use super::container_info::ContainerInfo;

/// A process that is surely of the container, whatever number another one has later.
#[cfg(target_os = "linux")]
pub(super) struct Process(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Process {
    /// None when the container runs on another machine, as far as can be seen from here.
    pub(super) fn of(container: &ContainerInfo) -> Option<Self> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let pid = Pid::from_raw(container.pid?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let groups = format!("/proc/{}/cgroup", container.pid?);
        let groups = esb_oci::read_file(groups.as_ref(), 64 * 1024).ok()?;
        let groups = String::from_utf8_lossy(&groups);
        (!container.id.is_empty() && groups.contains(&container.id)).then_some(Self(process))
    }

    /// Kills it. Without the right to, the engine still does.
    pub(super) fn kill(&self) {
        use rustix::process::{Signal, pidfd_send_signal};
        let _may_not = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct Process;

#[cfg(not(target_os = "linux"))]
impl Process {
    pub(super) fn of(_: &ContainerInfo) -> Option<Self> {
        None
    }

    pub(super) fn kill(&self) {}
}
