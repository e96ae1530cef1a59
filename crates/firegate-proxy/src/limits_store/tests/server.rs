//! A Redis server of a test's own. The stories of the binary use it too.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A process of `redis-server`, on loopback.
pub(crate) struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
    child: Child,
}

impl RedisServer {
    /// Starts one, and waits until it takes connections. `PORT` in an argument is its port, `DIR` its directory.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory");
        Self::start_in(directory, arguments)
    }

    /// The same, with files that are there.
    pub(crate) fn start_in(directory: TempDir, arguments: &[&str]) -> Self {
        // Somebody else may take the port before the server does; then it is another one.
        for _ in 0..20 {
            let port = free_port();
            let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
            if let Some(child) = spawn(port, directory.path(), &arguments) {
                return Self { port, arguments, directory, child };
            }
        }
        panic!("redis-server does not start: is it installed? `cargo xtask test` installs it");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on the same port, without what it knew.
    pub(crate) fn restart(&mut self) {
        self.child =
            spawn(self.port, self.directory.path(), &self.arguments).expect("the port is still free");
    }

    /// It neither answers nor closes a connection.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(process, signal).expect("it runs");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // A frozen process takes this signal too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    // A cluster's node takes the port 10,000 above its own too.
    loop {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        if port < 55_000 {
            return port;
        }
    }
}

/// None if the server ends instead of taking connections.
fn spawn(port: u16, directory: &Path, arguments: &[String]) -> Option<Child> {
    let (port, directory) = (port.to_string(), directory.to_string_lossy());
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--dir", &directory, "--daemonize", "no", "--logfile", ""]);
    command.args(arguments.iter().map(|argument| argument.replace("PORT", &port).replace("DIR", &directory)));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    let is_ready =
        lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
    // Its log is read to its end, lest it waits for somebody to.
    std::thread::spawn(move || lines.for_each(drop));
    if is_ready {
        return Some(child);
    }
    let _ = child.wait();
    None
}
