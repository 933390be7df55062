//! A connection to an engine on another machine, through the `ssh` program.
//!
//! Owns one process for each connection, as Docker's own client has it: `docker system dial-stdio`
//! at the other end. Refuses questions: keys and hosts have to be known to `ssh` already.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll, ready},
};

use esb_oci::ProcessGroup;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::{address::SshHost, printable};

/// The most bytes that are kept of what `ssh` says.
const SAID: usize = 4096;

/// A running `ssh`, which ends when this is dropped.
pub(crate) struct Connection {
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    said: Vec<u8>,
    /// Something came from the engine.
    answered: bool,
    /// Also what `ssh` starts to reach its host.
    _group: Option<ProcessGroup>,
    _child: Child,
}

impl Connection {
    /// Starts `ssh`; whether it reaches its host shows at the first read.
    pub(crate) fn open(host: &SshHost) -> io::Result<Self> {
        let mut command = Command::new(&host.program);
        command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]);
        if let Some(port) = host.port {
            command.arg("-p").arg(port.to_string());
        }
        if let Some(user) = &host.user {
            command.args(["-l", user]);
        }
        command.args(["--", &host.name, "docker", "system", "dial-stdio"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let lost = || io::Error::other("`ssh` was started without its streams");
        Ok(Self {
            stdin: child.stdin.take().ok_or_else(lost)?,
            stdout: child.stdout.take().ok_or_else(lost)?,
            stderr: child.stderr.take().ok_or_else(lost)?,
            said: Vec::new(),
            answered: false,
            _group: child.id().and_then(ProcessGroup::of),
            _child: child,
        })
    }

    /// What `ssh` said before it ended, as an error.
    fn poll_reason(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let mut bytes = [0; 512];
            let mut into = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stderr).poll_read(cx, &mut into));
            let room = SAID - self.said.len();
            let new = into.filled();
            self.said.extend_from_slice(&new[..new.len().min(room)]);
            if read.is_err() || new.is_empty() || self.said.len() == SAID {
                let said = String::from_utf8_lossy(&self.said);
                let said = printable(said.trim());
                return Poll::Ready(io::Error::other(format!(
                    "`ssh` ended without an answer: {said}"
                )));
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stdout).poll_read(cx, into))?;
        self.answered |= into.filled().len() > before;
        if self.answered { Poll::Ready(Ok(())) } else { self.poll_reason(cx).map(Err) }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.stdin).poll_write(cx, bytes)) {
            // Why it went away says more.
            Err(_) if !self.answered => self.poll_reason(cx).map(Err),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
