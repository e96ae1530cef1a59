//! The real binary, as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

/// How long a line may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `firegate serve`, which ends with the test.
pub(crate) struct Served {
    process: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(crate) url: Url,
    /// Where the metrics are, if the configuration names a listener for them.
    pub(crate) admin: Option<Url>,
    /// What it has written so far.
    written: watch::Sender<String>,
    /// How much of that [`Served::next_line`] has looked at.
    seen_bytes: usize,
    /// Its stderr, while nobody reads it.
    unread: Option<BufReader<ChildStderr>>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts it with a configuration in a folder of its own, and reads its log.
    pub(crate) fn start(configuration: &str, log_format: &str, log_filter: &str) -> Self {
        let mut served = Self::start_unread(configuration, log_format, log_filter);
        served.read();
        served
    }

    /// Starts it, and reads no line more than it takes to know that it listens.
    pub(crate) fn start_unread(configuration: &str, log_format: &str, log_filter: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        std::fs::write(folder.join("firegate.yaml"), configuration).expect("a file");
        let arguments = ["--listen", "127.0.0.1:0", "--log-format", log_format, "-c", "firegate.yaml"];
        Self::launch(command(&arguments), &folder, &[("FIREGATE_LOG", log_filter.as_ref())])
    }

    /// Starts it in a folder, and reads its log.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        Self::launch_and_read(command(arguments), folder, &[])
    }

    /// The same, for a user whose home is that folder.
    pub(crate) fn start_at_home(home: &Path, arguments: &[&str]) -> Self {
        Self::launch_and_read(command(arguments), home, &[("HOME", home)])
    }

    /// Starts it with sockets that are handed over, as systemd does: descriptors 3 and 4, and three variables that say so.
    pub(crate) fn start_inheriting(
        public: &TcpListener,
        health: &TcpListener,
        folder: &Path,
        arguments: &[&str],
    ) -> Self {
        let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null\n\
                      LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=public:health exec \"$@\"";
        let [public, health] =
            [public, health].map(|socket| OwnedFd::from(socket.try_clone().expect("a descriptor")));
        let mut command = by_shell(script, arguments);
        command.stdin(public).stdout(health);
        Self::launch_and_read(command, folder, &[])
    }

    /// Starts it in a shell where a process may have so many descriptors.
    pub(crate) fn start_with_descriptors(count: usize, folder: &Path, arguments: &[&str]) -> Self {
        Self::start_by_shell(&format!("ulimit -n {count}\nexec \"$@\""), folder, arguments)
    }

    /// Starts it by a script, whose arguments are its command line.
    pub(crate) fn start_by_shell(script: &str, folder: &Path, arguments: &[&str]) -> Self {
        Self::launch_and_read(by_shell(script, arguments), folder, &[])
    }

    fn launch_and_read(command: Command, folder: &Path, environment: &[(&str, &Path)]) -> Self {
        let mut served = Self::launch(command, folder, environment);
        served.read();
        served
    }

    fn launch(mut command: Command, folder: &Path, environment: &[(&str, &Path)]) -> Self {
        command.env_clear().envs(environment.iter().copied()).current_dir(folder).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the binary runs");
        let mut unread = BufReader::new(process.stderr.take().expect("its log"));
        let (mut log, mut admin) = (String::new(), None);
        let address = loop {
            let start = log.len();
            assert_ne!(unread.read_line(&mut log).expect("a line"), 0, "it ended:\n{log}");
            let line = &log[start..];
            if line.contains("the metrics are told") {
                admin = Some(url(address(line)).join("metrics").expect("a path"));
            } else if line.contains("the front door listens") {
                break address(line);
            }
        };
        Self {
            process,
            address,
            url: url(address),
            admin,
            seen_bytes: log.len(),
            written: watch::channel(log).0,
            unread: Some(unread),
            reader: None,
        }
    }

    /// Reads its log from now on.
    pub(crate) fn read(&mut self) {
        let (mut unread, written) = (self.unread.take().expect("nobody reads it"), self.written.clone());
        self.reader = Some(std::thread::spawn(move || {
            let mut piece = [0; 16 * 1024];
            while let Ok(count @ 1..) = unread.read(&mut piece) {
                written.send_modify(|log| log.push_str(&String::from_utf8_lossy(&piece[..count])));
            }
        }));
    }

    /// Waits for a line of the log, and returns it.
    pub(crate) async fn line(&self, is_it: impl Fn(&str) -> bool) -> String {
        let mut written = self.written.subscribe();
        let found =
            tokio::time::timeout(PATIENCE, written.wait_for(|log| whole_lines(log).any(&is_it))).await;
        let log = found.unwrap_or_else(|_| panic!("no such line:\n{}", *self.written.borrow()));
        let log = log.expect("the sender lives");
        whole_lines(&log).find(|line| is_it(line)).expect("a line").to_owned()
    }

    /// Waits for a line with this part among those that nobody has waited for yet, and returns it.
    pub(crate) async fn next_line(&mut self, part: &str) -> String {
        let (mut written, start) = (self.written.subscribe(), self.seen_bytes);
        let is_there = |log: &String| whole_lines(&log[start..]).any(|line| line.contains(part));
        let found = tokio::time::timeout(PATIENCE, written.wait_for(is_there)).await;
        let log =
            found.unwrap_or_else(|_| panic!("{part:?} is not in:\n{}", &self.written.borrow()[start..]));
        let log = log.expect("the sender lives");
        for line in whole_lines(&log[start..]) {
            self.seen_bytes += line.len() + 1;
            if line.contains(part) {
                return line.to_owned();
            }
        }
        unreachable!("the line was there")
    }

    /// What it has written so far.
    pub(crate) fn so_far(&self) -> String {
        self.written.borrow().clone()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.process.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().expect("kill runs").success());
    }

    /// Its process's number.
    #[allow(dead_code, reason = "not every test asks")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.process.wait().expect("it ends")
    }

    /// The memory that is its own, as the system counts it.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Interrupts it, waits for its end, and returns everything that it has written.
    pub(crate) fn stop(mut self) -> String {
        self.signal("INT");
        self.process.wait().expect("it ends");
        self.reader.take().expect("somebody reads it").join().expect("to the end of the pipe");
        self.written.borrow().clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.arg("serve").args(arguments).stdout(Stdio::null());
    command
}

/// A shell that runs the script, which runs the binary.
fn by_shell(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_firegate"), "serve"]).args(arguments);
    command.stdout(Stdio::null());
    command
}

/// The lines that are written to their end.
fn whole_lines(log: &str) -> impl Iterator<Item = &str> {
    log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

/// The address that a line tells.
fn address(line: &str) -> SocketAddr {
    let port = line.rsplit("127.0.0.1:").next().expect("an address");
    let port = port.split(|character: char| !character.is_ascii_digit()).next().expect("a port");
    SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")))
}

fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}/")).expect("a URL")
}
