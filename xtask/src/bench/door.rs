//! `cargo xtask bench door`: the whole front door over sockets, beside nginx, HAProxy and Envoy, in turns.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::{Outcome, Wrk};
use super::running::{Place, Running};
use super::site::{Party, Site};
use super::statistics::{Goal, Rounds};
use super::{BenchArguments, http2, latency, memory};
use crate::process::progress;

/// How long a proxy is warmed up before it is measured, in seconds.
const WARM_UP_SECONDS: u32 = 1;

/// Of this many requests one may end otherwise than is expected: those that the end of the load cut off.
const REQUESTS_PER_STRAY: u64 = 1000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// One user's token, over and over.
    Hot,
    /// A token for each of many users.
    Cold,
    /// The same to a service that is told of the user without a signature, as the peers tell of theirs.
    ColdUnsigned,
    /// As many tokens that nobody signed.
    Forged,
    /// No token, to a service that everyone may call.
    Open,
}

/// Somebody, and what they are sent.
#[derive(Clone, Copy, Debug)]
struct Case {
    party: Option<Party>,
    traffic: Traffic,
}

/// What is measured in each round, in this order.
const CASES: [Case; 15] = {
    use Party::{Envoy, EnvoyRemembering, Firegate, FiregateForgetful, Haproxy, NginxLogged, NginxPlain};
    use Traffic::{Cold, ColdUnsigned, Forged, Hot, Open};
    const fn case(party: Party, traffic: Traffic) -> Case {
        Case { party: Some(party), traffic }
    }
    [
        Case { party: None, traffic: Hot },
        case(NginxPlain, Hot),
        case(Firegate, Hot),
        case(Firegate, Open),
        case(NginxLogged, Hot),
        case(Haproxy, Hot),
        case(EnvoyRemembering, Hot),
        case(Haproxy, Cold),
        case(FiregateForgetful, ColdUnsigned),
        case(FiregateForgetful, Cold),
        case(Firegate, Cold),
        case(Envoy, Cold),
        case(Haproxy, Forged),
        case(Firegate, Forged),
        case(Envoy, Forged),
    ]
};

/// What Firegate's processor time in a case may be of another one's.
struct Comparison {
    row: &'static str,
    ours: &'static str,
    theirs: &'static str,
    goal: Option<Goal>,
}

const COMPARISONS: [Comparison; 9] = [
    compare("1", "firegate/hot", "nginx-plain/hot", Some(Goal { landing: 1.25, aim: 1.0 })),
    compare("1", "firegate/hot", "firegate/open", Some(Goal { landing: 1.2, aim: 1.2 })),
    compare("1", "firegate/hot", "nginx-logged/hot", None),
    compare("2", "firegate/hot", "haproxy/hot", Some(Goal { landing: 0.35, aim: 0.25 })),
    compare("3", "firegate-forgetful/cold-unsigned", "haproxy/cold", Some(Goal { landing: 0.5, aim: 0.45 })),
    compare("3", "firegate-forgetful/cold", "haproxy/cold", None),
    compare("4", "firegate/forged", "haproxy/forged", Some(Goal { landing: 0.6, aim: 0.45 })),
    compare("", "firegate/hot", "envoy-remembering/hot", None),
    compare("", "firegate-forgetful/cold-unsigned", "envoy/cold", None),
];

const fn compare(
    row: &'static str,
    ours: &'static str,
    theirs: &'static str,
    goal: Option<Goal>,
) -> Comparison {
    Comparison { row, ours, theirs, goal }
}

/// All rounds of one case.
#[derive(Default)]
struct Figures {
    /// Why there are none.
    not_run: Option<String>,
    microseconds: Rounds,
    rate: Rounds,
    p50_ms: Rounds,
    p99_ms: Rounds,
    memory_mib: Rounds,
}

/// Measures all that is asked for. True unless somebody answered otherwise than they should.
pub(super) fn run(arguments: &BenchArguments) -> Result<bool> {
    let mut site = Site::prepare()?;
    site.install_envoy()?;
    let origin = site.start_origin(Place::Other)?;
    let mut all_well = tokens(&site, &origin, arguments)?;
    let mut measure = |part: &str, run: &dyn Fn() -> Result<bool>| {
        if !part.contains(&arguments.only) {
            return;
        }
        // A part that cannot be measured takes none of the others along.
        all_well &= run().unwrap_or_else(|error| {
            println!("\n{part}: not run: {error:#}");
            false
        });
    };
    measure("latency", &|| latency::run(&site, arguments));
    measure("http2", &|| http2::run(&site, arguments));
    measure("memory", &|| memory::run(&site));
    drop(origin);
    measure("workers", &|| http2::workers(&site, arguments));
    Ok(all_well)
}

impl Traffic {
    const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cold => "cold",
            Self::ColdUnsigned => "cold-unsigned",
            Self::Forged => "forged",
            Self::Open => "open",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Hot | Self::Cold | Self::Forged => "/v1/orders/42",
            Self::ColdUnsigned => "/unsigned/orders/42",
            Self::Open => "/open/orders/42",
        }
    }

    const fn tokens(self) -> Option<&'static str> {
        match self {
            Self::Hot => Some("hot.txt"),
            Self::Cold | Self::ColdUnsigned => Some("cold.txt"),
            Self::Forged => Some("forged.txt"),
            Self::Open => None,
        }
    }

    /// Whether the answers are what they should be.
    fn is_answered(self, outcome: &Outcome) -> bool {
        let expected = if self == Self::Forged { outcome.requests } else { 0 };
        outcome.errors == 0
            && outcome.refused.abs_diff(expected) <= (outcome.requests / REQUESTS_PER_STRAY).max(2)
    }
}

impl Case {
    fn name(self) -> String {
        format!("{}/{}", self.party.map_or("origin", Party::name), self.traffic.name())
    }
}

/// One load after a warm-up: what came of it, the processor time for each request in µs, and the memory in its midst.
fn measure(
    site: &Site,
    case: Case,
    (measured, address): (&Running, SocketAddr),
    seconds: u32,
) -> Result<(Outcome, f64, f64)> {
    let tokens = case.traffic.tokens().map(|file| site.folder.join(file));
    let load = |seconds| Wrk::start(address, case.traffic.path(), tokens.as_deref(), seconds, Place::Other);
    load(WARM_UP_SECONDS)?.finish()?;
    let before = measured.processor_seconds()?;
    let running = load(seconds)?;
    std::thread::sleep(Duration::from_secs(u64::from(seconds)) / 2);
    let memory_mib = measured.memory_mib()?;
    let outcome = running.finish()?;
    let used = measured.processor_seconds()? - before;
    ensure!(outcome.requests > 0, "{} answered nothing", case.name());
    Ok((outcome, used / outcome.requests as f64 * 1e6, memory_mib))
}

/// Rows 1 to 4: what a request costs, by whom and by what kind of token.
fn tokens(site: &Site, origin: &Running, arguments: &BenchArguments) -> Result<bool> {
    let cases = CASES.iter().filter(|case| case.name().contains(&arguments.only));
    let cases = cases.copied().collect::<Vec<_>>();
    if cases.is_empty() {
        return Ok(true);
    }
    let mut figures = cases.iter().map(|case| (case.name(), Figures::default())).collect::<Vec<_>>();
    let mut all_well = true;
    for round in 1..=arguments.rounds {
        progress(&format!("tokens: round {round} of {}", arguments.rounds));
        for (case, (name, figures)) in cases.iter().zip(&mut figures) {
            if figures.not_run.is_some() {
                continue;
            }
            let proxy = match case.party.map(|party| (party, site.start(party, 1))) {
                None => None,
                Some((_, Ok(proxy))) => Some(proxy),
                Some((party, Err(error))) if party.is_firegate() => return Err(error),
                Some((_, Err(error))) => {
                    println!("{name}: not run: {error:#}");
                    // It becomes a cell of a table.
                    figures.not_run = Some(format!("{error:#}").replace(['\n', '|'], " "));
                    continue;
                }
            };
            let measured = match &proxy {
                Some(proxy) => (proxy, site.proxy()),
                None => (origin, site.origin()),
            };
            let (outcome, microseconds, memory_mib) = measure(site, *case, measured, arguments.seconds)?;
            let rate = outcome.requests as f64 / outcome.seconds;
            println!(
                "{name:34} {microseconds:6.1} µs {rate:8.0}/s p50 {:6.2} ms p99 {:6.2} ms {memory_mib:6.1} MiB",
                outcome.p50_ms, outcome.p99_ms
            );
            if !case.traffic.is_answered(&outcome) {
                println!(
                    "{name}: WRONG: {} of {} refused, {} errors",
                    outcome.refused, outcome.requests, outcome.errors
                );
                all_well = false;
            }
            figures.microseconds.push(microseconds);
            figures.rate.push(rate);
            figures.p50_ms.push(outcome.p50_ms);
            figures.p99_ms.push(outcome.p99_ms);
            figures.memory_mib.push(memory_mib);
        }
    }
    print(&figures);
    Ok(all_well)
}

fn print(figures: &[(String, Figures)]) {
    println!(
        "\n| who / what | processor time of a request, µs | requests per second | p50 ms | p99 ms | memory, MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, figures) in figures {
        println!("{}", figures.row(name));
    }
    let find = |name: &str| figures.iter().find(|(found, _)| found == name).map(|(_, figures)| figures);
    println!("\n| row | of | by | processor time, times | goal |");
    println!("|---|---|---|---:|---|");
    for Comparison { row, ours, theirs, goal } in COMPARISONS {
        let (Some(our), Some(their)) = (find(ours), find(theirs)) else { continue };
        match our.not_run.as_ref().or(their.not_run.as_ref()) {
            Some(why) => println!("| {row} | {ours} | {theirs} | not run: {why} | |"),
            None => print_ratio(row, ours, theirs, (&our.microseconds, &their.microseconds), goal),
        }
    }
}

impl Figures {
    /// The row of a table that they make.
    fn row(&self, name: &str) -> String {
        let Self { not_run, microseconds, rate, p50_ms, p99_ms, memory_mib } = self;
        if let Some(why) = not_run {
            return format!("| {name} | not run: {why} | | | | |");
        }
        format!(
            "| {name} | {microseconds:.1} | {:.0} | {:.1} | {p99_ms:.1} | {:.1} |",
            rate.median(),
            p50_ms.median(),
            memory_mib.median()
        )
    }
}

/// One row of a table of ratios. Two that cannot be told apart are no difference, whatever their medians are.
pub(super) fn print_ratio(
    row: &str,
    ours: &str,
    theirs: &str,
    (our, their): (&Rounds, &Rounds),
    goal: Option<Goal>,
) {
    let ratios = our.per(their);
    let same = if our.overlaps(their) { ", no difference" } else { "" };
    let verdict = goal.map_or(String::new(), |goal| format!("{goal}: {}", goal.verdict(ratios.median())));
    println!("| {row} | {ours} | {theirs} | {ratios:.2}{same} | {verdict} |");
}

/// The one hot token.
pub(super) fn hot_token(folder: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(folder.join("hot.txt"))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_why_it_has_no_figures() {
        let mut figures = Figures::default();
        for rounds in [
            &mut figures.microseconds,
            &mut figures.rate,
            &mut figures.p50_ms,
            &mut figures.p99_ms,
            &mut figures.memory_mib,
        ] {
            rounds.push(2.0);
        }
        let row = figures.row("haproxy/hot");
        assert_eq!(row, "| haproxy/hot | 2.0 (2.0–2.0) | 2 | 2.0 | 2.0 (2.0–2.0) | 2.0 |");
        figures.not_run = Some("haproxy ended with exit status: 1".to_owned());
        let row = figures.row("haproxy/hot");
        assert_eq!(row, "| haproxy/hot | not run: haproxy ended with exit status: 1 | | | | |");
    }
}
