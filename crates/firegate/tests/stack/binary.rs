//! The real binary, as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

/// How long a line may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `firegate serve`, which ends with the test.
pub(crate) struct Served {
    process: Child,
    pub(crate) url: Url,
    /// Where the metrics are, if the configuration names a listener for them.
    pub(crate) admin: Option<Url>,
    /// What it has written so far.
    written: watch::Sender<String>,
    /// Its stderr, while nobody reads it.
    unread: Option<BufReader<ChildStderr>>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts it, and reads its log.
    pub(crate) fn start(configuration: &str, log_format: &str, log_filter: &str) -> Self {
        let mut served = Self::start_unread(configuration, log_format, log_filter);
        served.read();
        served
    }

    /// Starts it, and reads no line more than it takes to know that it listens.
    pub(crate) fn start_unread(configuration: &str, log_format: &str, log_filter: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let file = folder.join("firegate.yaml");
        std::fs::write(&file, configuration).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_firegate"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", log_format, "-c"])
            .arg(file)
            .env_clear()
            .env("FIREGATE_LOG", log_filter)
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut unread = BufReader::new(process.stderr.take().expect("its log"));
        let (mut log, mut admin) = (String::new(), None);
        let url = loop {
            let start = log.len();
            assert_ne!(unread.read_line(&mut log).expect("a line"), 0, "it ended:\n{log}");
            let line = &log[start..];
            if line.contains("the metrics are told") {
                admin = Some(address(line).join("metrics").expect("a path"));
            } else if line.contains("the front door listens") {
                break address(line);
            }
        };
        Self { process, url, admin, written: watch::channel(log).0, unread: Some(unread), reader: None }
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

    /// What it has written so far.
    pub(crate) fn so_far(&self) -> String {
        self.written.borrow().clone()
    }

    /// Interrupts it, waits for its end, and returns everything that it has written.
    pub(crate) fn stop(mut self) -> String {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
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

/// The lines that are written to their end.
fn whole_lines(log: &str) -> impl Iterator<Item = &str> {
    log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

/// The URL of the address that a line tells.
fn address(line: &str) -> Url {
    let port = line.rsplit("127.0.0.1:").next().expect("an address");
    let port = port.split(|character: char| !character.is_ascii_digit()).next().expect("a port");
    Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a URL")
}
