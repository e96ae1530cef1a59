//! `cargo xtask bench slow`: slowhttptest holds a thousand connections by sending or reading as slowly as it can, and honest
//! users go on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::door::hot_token;
use super::load::{H2load, Outcome};
use super::running::Place;
use super::site::{Party, Site};
use crate::process::progress;

/// How many slow connections there are, and how many of them come in a second.
const SLOW_CONNECTIONS: &str = "1000";
const SLOW_ARRIVALS: &str = "500";

/// How long they are tried, in seconds, and what sends nothing for this long is no longer slow but silent.
const ATTACK_SECONDS: &str = "40";
const PAUSE_SECONDS: &str = "5";

/// What honest users send in a second, and for how long.
const HONEST_RATE: f64 = 500.0;
const HONEST_SECONDS: u64 = 10;

/// The share of their rate that honest users have to keep.
const HONEST_SHARE_MIN: f64 = 0.95;

/// The ways to be slow: slowhttptest's flag, and what it does.
const ATTACKS: [(&str, &str, &str); 3] = [
    ("-H", "slow head", "/v1/orders/42"),
    ("-B", "slow body", "/open/orders/42"),
    ("-X", "slow reading", "/open/orders/42"),
];

/// What became of the slow ones.
struct Held {
    /// The most that were open at once.
    most: u64,
    /// The second in which the last one was closed, if it was.
    last_closed: Option<u64>,
}

/// Attacks in each way, and prints. True if honest users kept their rate.
pub(super) fn run() -> Result<bool> {
    let site = Site::prepare()?;
    let _origin = site.start_origin(Place::Other)?;
    let firegate = site.start(Party::Firegate, 1)?;
    let token = hot_token(&site.folder)?;
    let alone = honest(&site, &token)?;
    println!(
        "\n| attack | most open | all closed after, s | honest users' rate | their p99, ms | alone | memory, MiB | |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    let mut all_well = true;
    for (flag, name, path) in ATTACKS {
        progress(&format!("slowhttptest {flag}: {name}"));
        let report = site.folder.join(format!("slow{flag}"));
        let mut attack =
            slowhttptest(&site, flag, path, &report).spawn().context("cannot run slowhttptest")?;
        // By then they are all there.
        std::thread::sleep(Duration::from_secs(4));
        let beside = honest(&site, &token)?;
        let memory_mib = firegate.memory_mib()?;
        attack.wait()?;
        let held = read_report(&report.with_extension("csv"))?;
        let rate = |outcome: &Outcome| outcome.requests as f64 / outcome.seconds;
        let kept = rate(&beside) / rate(&alone);
        let well = kept >= HONEST_SHARE_MIN && beside.refused == 0 && beside.errors == 0;
        all_well &= well;
        let closed = held.last_closed.map_or_else(|| "never".to_owned(), |second| second.to_string());
        println!(
            "| {name} | {} | {closed} | {:.0} % | {:.1} | {:.1} | {memory_mib:.1} | {} |",
            held.most,
            kept * 100.0,
            beside.p99_ms,
            alone.p99_ms,
            if well { "met" } else { "MISSED" }
        );
    }
    Ok(all_well)
}

fn slowhttptest(site: &Site, flag: &str, path: &str, report: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "timeout", "90", "slowhttptest", flag, "-g", "-o"]).arg(report);
    command.args(["-c", SLOW_CONNECTIONS, "-r", SLOW_ARRIVALS, "-l", ATTACK_SECONDS, "-i", PAUSE_SECONDS]);
    command.args(["-x", "10", "-p", "3"]);
    // It reads 5 bytes every 5 seconds out of a window of a few.
    command.args(if flag == "-X" {
        &["-w", "10", "-y", "20", "-n", "5", "-z", "5", "-k", "3"][..]
    } else {
        &[]
    });
    command.args(["-t", if flag == "-B" { "POST" } else { "GET" }, "-u"]);
    command.arg(format!("http://{}{path}", site.proxy()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn honest(site: &Site, token: &str) -> Result<Outcome> {
    H2load {
        address: site.proxy(),
        is_http2: false,
        path: "/v1/orders/42",
        token: Some(token),
        clients: 32,
        streams: 1,
        requests: HONEST_RATE as u64 * HONEST_SECONDS,
        rate: Some(HONEST_RATE),
        place: Place::Other,
    }
    .run(&site.folder.join("honest.tsv"))
}

/// Reads `Seconds,Closed,Pending,Connected,Service Available`.
fn read_report(path: &Path) -> Result<Held> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no report in {}", path.display()))?;
    let mut held = Held { most: 0, last_closed: None };
    let mut last_second = 0;
    for line in text.lines().skip(1) {
        let fields =
            line.split(',').map(|field| field.trim().parse::<u64>().unwrap_or(0)).collect::<Vec<_>>();
        let &[second, _, pending, connected, ..] = fields.as_slice() else { continue };
        held.most = held.most.max(connected);
        last_second = second;
        if connected + pending > 0 {
            held.last_closed = None;
        } else if held.most > 0 && held.last_closed.is_none() {
            held.last_closed = Some(second);
        }
    }
    // The tool ends before its time when nobody is left, and without a line that says so.
    let attack_seconds = ATTACK_SECONDS.parse::<u64>().context("a number of seconds")?;
    if held.last_closed.is_none() && last_second < attack_seconds {
        held.last_closed = Some(last_second + 1);
    }
    Ok(held)
}
