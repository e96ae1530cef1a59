//! Programs that run while something is measured: what they cost, and that they end.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::tools::has_tool;

/// How long a program may take to listen, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked whether it does.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What Linux counts a process's time in: a hundredth of a second on every machine (proc(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The core of what is measured.
    Measured,
    /// The core of everything else.
    Other,
    /// Wherever the system puts it.
    Anywhere,
}

/// A program that is stopped when this goes out of scope, after an error too. It also ends with the thread that started it.
pub(super) struct Running {
    child: Child,
    name: &'static str,
}

impl Place {
    /// A command that runs there.
    pub(super) fn command(self, program: &Path) -> Command {
        let core = match self {
            Self::Measured => "0",
            Self::Other => "1",
            Self::Anywhere => return Command::new(program),
        };
        if !has_tool("taskset") || std::thread::available_parallelism().map_or(1, usize::from) < 2 {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", core]).arg(program);
        command
    }
}

impl Running {
    /// Starts a program and waits until it listens. What it prints goes to `log`.
    pub(super) fn start(
        name: &'static str,
        command: &Command,
        address: SocketAddr,
        log: &Path,
    ) -> Result<Self> {
        ensure!(!listens(address), "{address} is taken before {name} is started");
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            guarded.env(key, value.unwrap_or_default());
        }
        guarded.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = guarded.spawn().with_context(|| format!("cannot run {name}"))?;
        let mut running = Self { child, name };
        let since = Instant::now();
        while !listens(address) {
            if let Some(status) = running.child.try_wait()? {
                let written = std::fs::read_to_string(log).unwrap_or_default();
                let last = written.lines().next_back().unwrap_or_default();
                bail!("{name} ended with {status}: {last} (see {})", log.display());
            }
            ensure!(since.elapsed() < PATIENCE, "{name} does not listen on {address}; see {}", log.display());
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(running)
    }

    /// Its processes, the first one before those that it started.
    fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut at = 0;
        while let Some(process) = found.get(at).copied() {
            at += 1;
            let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { continue };
            for thread in threads.flatten() {
                let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                found.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
            }
        }
        found
    }

    /// The processor time that it used so far, in seconds: its own and the system's on its behalf.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        let mut seconds = 0.0;
        for process in self.processes() {
            seconds += stat_seconds(&format!("/proc/{process}/stat"))
                .with_context(|| format!("{} is gone", self.name))?;
        }
        Ok(seconds)
    }

    /// The processor time of each of its threads whose name begins so, by name.
    pub(super) fn thread_seconds(&self, prefix: &str) -> Result<Vec<(String, f64)>> {
        let mut found = Vec::new();
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?.flatten() {
            let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            if name.starts_with(prefix)
                && let Some(seconds) = stat_seconds(&thread.path().join("stat").display().to_string())
            {
                found.push((name.trim().to_owned(), seconds));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    /// Its share of the memory, in MiB: pages that several processes have count in parts (proc(5), `Pss`).
    pub(super) fn memory_mib(&self) -> Result<f64> {
        let mut kib = 0.0;
        for process in self.processes() {
            let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))
                .with_context(|| format!("{} is gone", self.name))?;
            let pss = rollup
                .lines()
                .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok());
            kib += pss.unwrap_or(0.0_f64);
        }
        Ok(kib / 1024.0)
    }

    /// How many descriptors its first process has open.
    pub(super) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let processes = self.processes();
        signal("TERM", &processes[..1]);
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        eprintln!("{} does not end, and is killed", self.name);
        signal("KILL", &processes);
        let _ = self.child.wait();
    }
}

/// Sends a signal to processes by their ids.
fn signal(name: &str, processes: &[u32]) {
    let ids = processes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    // Whoever has ended already is not there to be told.
    let _ = Command::new("sh").args(["-c", &format!("kill -{name} {ids}")]).stderr(Stdio::null()).status();
}

/// Whether somebody listens there.
fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// User and system time from a `stat` file (proc(5)). The name in it may hold blanks and brackets.
fn stat_seconds(path: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(path).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}
