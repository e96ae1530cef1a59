//! Rows 4 and 5: what a client waits at a fixed rate, alone and beside a flood of forged tokens.

use anyhow::{Context as _, Result};

use super::BenchArguments;
use super::door::{hot_token, print_ratio};
use super::load::{H2load, Outcome, Wrk};
use super::running::{Place, Running};
use super::site::{Party, Site};
use super::statistics::{Goal, Rounds};
use super::tokens::forge;
use crate::process::progress;

/// The share of nginx's greatest rate at which the wait is measured.
const SHARE_OF_PEAK: f64 = 0.3;

/// How many connections the fixed rate comes by.
const CLIENTS: u32 = 64;

/// How many requests honest users send in a second beside a flood.
const HONEST_RATE: f64 = 500.0;

/// For how long honest users send at least. They connect all at once, and wait the longest for their first answers, which
/// have to be fewer than one in a hundred.
const HONEST_SECONDS_MIN: u32 = 16;

/// How many forged tokens a flood sends in a second. Both send in bursts, whose intervals must be no multiples of each other:
/// they would meet always or never.
const FLOOD_RATE: f64 = 1900.0;

/// Measures both rows.
pub(super) fn run(site: &Site, arguments: &BenchArguments) -> Result<bool> {
    let peak = peak_rate(site, arguments.seconds)?;
    let rate = (peak * SHARE_OF_PEAK).round();
    let (mut nginx, mut firegate) = (Rounds::default(), Rounds::default());
    let (mut nginx_added, mut firegate_added) = (Rounds::default(), Rounds::default());
    let (mut nginx_microseconds, mut firegate_microseconds) = (Rounds::default(), Rounds::default());
    let (mut alone, mut flooded) = (Rounds::default(), Rounds::default());
    let (mut memory_before, mut memory_after) = (Rounds::default(), Rounds::default());
    let mut all_well = true;
    for round in 1..=arguments.rounds {
        progress(&format!("latency: round {round} of {}, {rate} requests per second", arguments.rounds));
        let token = hot_token(&site.folder)?;
        let steady = |address, rate: f64| {
            let load = H2load { address, rate: Some(rate), ..calm(site, &token, arguments.seconds, rate) };
            load.run(&site.folder.join("steady.tsv"))
        };
        let weighed = |proxy: &Running| -> Result<(Outcome, f64)> {
            let before = proxy.processor_seconds()?;
            let outcome = steady(site.proxy(), rate)?;
            let used = proxy.processor_seconds()? - before;
            Ok((outcome, used / outcome.requests as f64 * 1e6))
        };
        let direct = steady(site.origin(), rate)?;
        let (plain, microseconds) = weighed(&site.start(Party::NginxPlain, 1)?)?;
        nginx_microseconds.push(microseconds);
        let door = site.start(Party::Firegate, 1)?;
        let (ours, microseconds) = weighed(&door)?;
        firegate_microseconds.push(microseconds);
        let honest_seconds = arguments.seconds.max(HONEST_SECONDS_MIN);
        let honest = calm(site, &token, honest_seconds, HONEST_RATE).run(&site.folder.join("steady.tsv"))?;
        memory_before.push(door.memory_mib()?);
        let beside = beside_flood(site, &token, honest_seconds)?;
        memory_after.push(door.memory_mib()?);
        all_well &= [&direct, &plain, &ours, &honest, &beside].iter().all(|outcome| is_clean(outcome));
        nginx.push(plain.p99_ms);
        firegate.push(ours.p99_ms);
        // A proxy that adds nothing that can be measured adds a hundredth of a millisecond.
        nginx_added.push((plain.p99_ms - direct.p99_ms).max(0.01));
        firegate_added.push((ours.p99_ms - direct.p99_ms).max(0.01));
        alone.push(honest.p99_ms);
        flooded.push(beside.p99_ms);
    }
    println!(
        "\nAt {rate} requests per second, {SHARE_OF_PEAK} × nginx's greatest rate ({peak:.0}/s), p99 in ms"
    );
    println!("\n| row | of | by | p99, times | goal |\n|---|---|---|---:|---|");
    let goal = Some(Goal { landing: 1.2, aim: 1.2 });
    print_ratio("5", "firegate, added", "nginx-plain, added", (&firegate_added, &nginx_added), goal);
    print_ratio("5", "firegate", "nginx-plain", (&firegate, &nginx), None);
    let goal = Some(Goal { landing: 2.0, aim: 2.0 });
    print_ratio("4", "honest users beside a flood", "alone", (&flooded, &alone), goal);
    // At their own greatest rates the faster one wakes the others less often, and its wakings count as its work.
    println!("\nprocessor time of a request at this rate, the same for both, in µs\n");
    println!("| row | of | by | processor time, times | goal |\n|---|---|---|---:|---|");
    let at_rate = (&firegate_microseconds, &nginx_microseconds);
    print_ratio("1", "firegate at this rate", "nginx-plain at this rate", at_rate, None);
    println!("\nnginx-plain {nginx_microseconds:.1} µs, firegate {firegate_microseconds:.1} µs");
    println!(
        "\nnginx-plain {nginx:.2}, firegate {firegate:.2}, honest users alone {alone:.2} and beside a flood {flooded:.2}"
    );
    println!("memory before the flood {memory_before:.1} MiB, after it {memory_after:.1} MiB");
    Ok(all_well)
}

/// How many requests nginx answers in a second at most.
fn peak_rate(site: &Site, seconds: u32) -> Result<f64> {
    let _nginx = site.start(Party::NginxPlain, 1)?;
    let tokens = site.folder.join("hot.txt");
    let load = || Wrk::start(site.proxy(), "/v1/orders/42", Some(&tokens), seconds, Place::Other)?.finish();
    load()?;
    let outcome = load()?;
    Ok(outcome.requests as f64 / outcome.seconds)
}

/// A load at a rate.
fn calm<'a>(site: &Site, token: &'a str, seconds: u32, rate: f64) -> H2load<'a> {
    H2load {
        address: site.proxy(),
        is_http2: false,
        path: "/v1/orders/42",
        token: Some(token),
        clients: CLIENTS,
        streams: 1,
        requests: (rate * f64::from(seconds)) as u64,
        rate: Some(rate),
        place: Place::Other,
    }
}

/// What honest users wait while somebody floods the door with one forged token: none is remembered, each costs a whole check.
fn beside_flood(site: &Site, token: &str, seconds: u32) -> Result<Outcome> {
    let forged = forge(token, &site.issuer.token(1)?).context("three parts")?;
    // It begins before the honest ones do, and goes on after them.
    let flood = calm(site, &forged, seconds + 2, FLOOD_RATE);
    let flood = flood.start(&site.folder.join("flood.tsv"))?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let honest = calm(site, token, seconds, HONEST_RATE).run(&site.folder.join("steady.tsv"))?;
    flood.finish()?;
    Ok(honest)
}

fn is_clean(outcome: &Outcome) -> bool {
    let clean = outcome.refused == 0 && outcome.errors == 0;
    if !clean {
        println!("WRONG: {} refused, {} errors", outcome.refused, outcome.errors);
    }
    clean
}
