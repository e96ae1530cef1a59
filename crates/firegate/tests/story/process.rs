//! `firegate serve` as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::gate::PATIENCE;

/// A running process. It is killed if it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Process {
    /// Starts it in a folder, and returns when it listens.
    pub(crate) fn start(arguments: &[&str], folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.arg("serve").args(arguments).stdout(Stdio::null());
        Self::launch(command, folder)
    }

    /// Starts it with sockets that are handed over, as systemd does: descriptors 3 and 4, and three variables that say so.
    pub(crate) fn start_inheriting(
        public: &TcpListener,
        health: &TcpListener,
        arguments: &[&str],
        folder: &Path,
    ) -> Self {
        let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null\n\
                      LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=public:health exec \"$@\"";
        let [public, health] =
            [public, health].map(|socket| OwnedFd::from(socket.try_clone().expect("a descriptor")));
        let mut command = by_shell(script, arguments);
        command.stdin(public).stdout(health);
        Self::launch(command, folder)
    }

    /// Starts it in a shell where a process may have so many descriptors.
    pub(crate) fn start_with_descriptors(count: usize, arguments: &[&str], folder: &Path) -> Self {
        let mut command = by_shell(&format!("ulimit -n {count}\nexec \"$@\""), arguments);
        command.stdout(Stdio::null());
        Self::launch(command, folder)
    }

    fn launch(mut command: Command, folder: &Path) -> Self {
        command.env_clear().current_dir(folder).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let (written, lines) = channel();
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).try_for_each(|line| written.send(line)).ok();
        });
        let mut process = Self { child, lines, address: String::new() };
        let line = process.wait_for("the front door listens");
        process.address = line.rsplit("address=").next().expect("an address").trim().to_owned();
        process
    }

    /// Waits for a line of its log that says this, and gives what it says.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("{part:?} is not in:\n{}", seen.join("\n")),
            }
        }
    }

    /// The memory that is its own, as the system counts it.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([&signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

/// A shell that runs the script, which runs the binary.
fn by_shell(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_firegate"), "serve"]).args(arguments);
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
