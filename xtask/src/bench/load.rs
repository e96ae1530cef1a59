//! The loads: wrk sends tokens of a file as fast as they are answered, h2load sends one at a rate or over HTTP/2.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::running::Place;
use super::statistics::percentile;
use crate::workspace::root;

/// How many connections wrk keeps busy.
pub(super) const CONNECTIONS: u32 = 64;

/// No load lasts longer, whatever becomes of what it is for: in seconds.
const LOAD_SECONDS_MAX: &str = "120";

/// What the load saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Answers that were not 2xx.
    pub(super) refused: u64,
    /// Connections that broke, and answers that never came.
    pub(super) errors: u64,
}

/// A load of wrk that is under way.
pub(super) struct Wrk(Child);

impl Wrk {
    /// Sends requests to `path` with the tokens of a file, or with none.
    pub(super) fn start(
        address: SocketAddr,
        path: &str,
        tokens: Option<&Path>,
        seconds: u32,
        place: Place,
    ) -> Result<Self> {
        let mut wrk = bounded(place, "wrk");
        wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency", "-s"]);
        wrk.arg(root().join("bench/tokens.lua")).arg(format!("http://{address}")).args(["--", path]);
        wrk.args(tokens).stdin(Stdio::null()).stdout(Stdio::piped());
        wrk.spawn().map(Self).context("cannot run wrk")
    }

    /// Waits for its end.
    pub(super) fn finish(self) -> Result<Outcome> {
        let output = self.0.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse_wrk(&text).with_context(|| format!("wrk says nothing that can be read:\n{text}"))
    }
}

/// A load of h2load.
#[derive(Clone, Copy, Debug)]
pub(super) struct H2load<'a> {
    pub(super) address: SocketAddr,
    /// HTTP/2 with prior knowledge, or HTTP/1.1.
    pub(super) is_http2: bool,
    pub(super) path: &'a str,
    pub(super) token: Option<&'a str>,
    pub(super) clients: u32,
    /// How many requests each client has under way at once.
    pub(super) streams: u32,
    /// How many there are in all.
    pub(super) requests: u64,
    /// How many of all clients there are in a second, if not as many as possible.
    pub(super) rate: Option<f64>,
    pub(super) place: Place,
}

impl H2load<'_> {
    /// Runs it to its end; each request's time is kept in `log` for as long as it takes to read it.
    pub(super) fn run(self, log: &Path) -> Result<Outcome> {
        self.start(log)?.finish()
    }

    /// Starts it.
    pub(super) fn start(self, log: &Path) -> Result<RunningH2load> {
        let mut h2load = bounded(self.place, "h2load");
        // It appends to the file of the load before.
        let _ = std::fs::remove_file(log);
        if !self.is_http2 {
            h2load.arg("--h1");
        }
        for (flag, value) in [("-c", self.clients.into()), ("-m", self.streams.into()), ("-n", self.requests)]
        {
            h2load.arg(flag).arg(value.to_string());
        }
        if let Some(rate) = self.rate {
            h2load.arg(format!("--rps={}", rate / f64::from(self.clients)));
        }
        if let Some(token) = self.token {
            h2load.arg("-H").arg(format!("authorization: Bearer {token}"));
        }
        h2load.arg(format!("--log-file={}", log.display()));
        h2load.arg(format!("http://{}{}", self.address, self.path));
        h2load.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = h2load.spawn().context("cannot run h2load")?;
        Ok(RunningH2load { child, log: log.to_owned() })
    }
}

/// A load of h2load that is under way.
pub(super) struct RunningH2load {
    child: Child,
    log: std::path::PathBuf,
}

impl RunningH2load {
    /// Waits for its end.
    pub(super) fn finish(self) -> Result<Outcome> {
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let log = std::fs::read_to_string(&self.log).context("h2load wrote no log")?;
        let _ = std::fs::remove_file(&self.log);
        let outcome = parse_h2load(&text, &log);
        let outcome = outcome.with_context(|| format!("h2load says nothing that can be read:\n{text}"))?;
        ensure!(outcome.requests > 0, "h2load was not answered:\n{text}");
        Ok(outcome)
    }
}

/// A command that ends by itself, and with the thread that started it.
fn bounded(place: Place, program: &str) -> Command {
    let placed = place.command(Path::new(program));
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "timeout", LOAD_SECONDS_MAX]);
    command.arg(placed.get_program()).args(placed.get_args());
    command
}

/// The last line of `tokens.lua`: requests, µs, µs of the median and of the 99th percentile, refused, errors.
fn parse_wrk(text: &str) -> Option<Outcome> {
    let line = text.lines().find_map(|line| line.strip_prefix("OUTCOME "))?;
    let numbers = line.split(' ').map(|number| number.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let &[requests, microseconds, p50, p99, refused, errors] = numbers.as_slice() else { return None };
    Some(Outcome {
        requests,
        seconds: microseconds as f64 / 1e6,
        p50_ms: p50 as f64 / 1e3,
        p99_ms: p99 as f64 / 1e3,
        refused,
        errors,
    })
}

/// The summary, and the log of every request: start, status, µs until the end of the answer.
fn parse_h2load(text: &str, log: &str) -> Option<Outcome> {
    let finished = text.lines().find_map(|line| line.strip_prefix("finished in "))?;
    let seconds = parse_duration(finished.split(',').next()?)?;
    let counts = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |name: &str| {
        let part = counts.split(", ").find_map(|part| part.strip_suffix(name))?;
        part.trim().parse::<u64>().ok()
    };
    let (done, failed) = (count(" done")?, count(" failed")?);
    let mut times = Vec::new();
    let mut refused = 0;
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        let (status, time) = (fields.next()?.parse::<i32>().ok()?, fields.next()?.parse::<u64>().ok()?);
        if status > 0 {
            times.push(time);
            refused += u64::from(!(200..300).contains(&status));
        }
    }
    let (p50_ms, p99_ms) = (percentile(&mut times, 0.5) / 1e3, percentile(&mut times, 0.99) / 1e3);
    let errors = failed.saturating_sub(refused);
    Some(Outcome { requests: done, seconds, p50_ms, p99_ms, refused, errors })
}

/// `3.01s`, `301.50ms`, `45us`.
fn parse_duration(text: &str) -> Option<f64> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loads_print_is_read() {
        let wrk = "  1000 requests in 3.00s\nOUTCOME 1000 3000000 2500 9000 1 2\n";
        let expected =
            Outcome { requests: 1000, seconds: 3.0, p50_ms: 2.5, p99_ms: 9.0, refused: 1, errors: 2 };
        assert_eq!(parse_wrk(wrk), Some(expected));
        assert_eq!(parse_wrk("unable to connect"), None);
        let h2load = "finished in 301.50ms, 9.9 req/s, 1MB/s\n\
            requests: 4 total, 4 started, 4 done, 2 succeeded, 2 failed, 1 errored, 0 timeout\n";
        let log = "1\t200\t1000\n1\t200\t3000\n1\t401\t2000\n1\t-1\t9000\n";
        let expected =
            Outcome { requests: 4, seconds: 0.3015, p50_ms: 2.0, p99_ms: 3.0, refused: 1, errors: 1 };
        assert_eq!(parse_h2load(h2load, log), Some(expected));
        assert_eq!(parse_duration("3.01s"), Some(3.01));
    }
}
