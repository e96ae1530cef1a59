//! Row 6: HTTP/2 in, HTTP/1.1 out. Row 8: two workers beside one, and how few connections lie on them.

use std::time::Duration;

use anyhow::Result;

use super::BenchArguments;
use super::door::{hot_token, print_ratio};
use super::load::{CONNECTIONS, H2load, Outcome, Wrk};
use super::running::{Place, Running};
use super::site::{Party, Site};
use super::statistics::{Goal, Rounds};
use crate::process::progress;

/// How many requests each client of row 6 has under way.
const STREAMS: u32 = 8;

/// How many requests are counted, and how many go before.
const REQUESTS: u64 = 40_000;
const WARM_UP_REQUESTS: u64 = 4_000;

/// How few clients are to lie evenly, and how often they come.
const FEW_CLIENTS: u32 = 8;
const ARRIVALS: u32 = 10;

/// How many requests those few send in all, so that each worker's share of them shows in its time.
const FEW_REQUESTS: u64 = 8_000;

/// Row 6.
pub(super) fn run(site: &Site, arguments: &BenchArguments) -> Result<bool> {
    let (mut nginx, mut firegate) = (Rounds::default(), Rounds::default());
    let mut all_well = true;
    for round in 1..=arguments.rounds {
        progress(&format!("http2: round {round} of {}", arguments.rounds));
        for (party, figures) in [(Party::NginxHttp2, &mut nginx), (Party::Firegate, &mut firegate)] {
            let token = hot_token(&site.folder)?;
            let running = site.start(party, 1)?;
            let load = H2load {
                address: site.proxy(),
                is_http2: true,
                path: "/v1/orders/42",
                token: Some(&token),
                clients: CONNECTIONS,
                streams: STREAMS,
                requests: WARM_UP_REQUESTS,
                rate: None,
                place: Place::Other,
            };
            let log = site.folder.join("http2.tsv");
            load.run(&log)?;
            let before = running.processor_seconds()?;
            let outcome = H2load { requests: REQUESTS, ..load }.run(&log)?;
            let microseconds = (running.processor_seconds()? - before) / outcome.requests as f64 * 1e6;
            println!(
                "{:34} {microseconds:6.1} µs {:8.0}/s p99 {:6.2} ms",
                party.name(),
                outcome.requests as f64 / outcome.seconds,
                outcome.p99_ms
            );
            all_well &= outcome.refused == 0 && outcome.errors == 0;
            figures.push(microseconds);
        }
    }
    println!(
        "\nHTTP/2 in, HTTP/1.1 out, {CONNECTIONS} connections × {STREAMS} streams: nginx {nginx:.1} µs, firegate {firegate:.1} µs"
    );
    println!("\n| row | of | by | processor time, times | goal |\n|---|---|---|---:|---|");
    let goal = Some(Goal { landing: 1.5, aim: 1.0 });
    print_ratio("6", "firegate", "nginx", (&firegate, &nginx), goal);
    Ok(all_well)
}

/// Row 8. Everything floats, because there are as many workers as cores.
pub(super) fn workers(site: &Site, arguments: &BenchArguments) -> Result<bool> {
    let _origin = site.start_origin(Place::Anywhere)?;
    let (mut one, mut two) = (Rounds::default(), Rounds::default());
    let mut all_well = true;
    for round in 1..=arguments.rounds {
        progress(&format!("workers: round {round} of {}", arguments.rounds));
        for (workers, figures) in [(1, &mut one), (2, &mut two)] {
            let running = site.start(Party::Firegate, workers)?;
            let (outcome, microseconds) = hot(site, &running, arguments.seconds)?;
            println!(
                "{workers} workers: {microseconds:6.1} µs {:8.0}/s",
                outcome.requests as f64 / outcome.seconds
            );
            all_well &= outcome.errors == 0;
            figures.push(microseconds);
        }
    }
    println!("\n| row | of | by | processor time, times | goal |\n|---|---|---|---:|---|");
    let goal = Some(Goal { landing: 1.1, aim: 1.1 });
    print_ratio("8", "two workers", "one worker", (&two, &one), goal);
    distribution(site)?;
    Ok(all_well)
}

fn hot(site: &Site, running: &Running, seconds: u32) -> Result<(Outcome, f64)> {
    let tokens = site.folder.join("hot.txt");
    let load = |seconds| {
        Wrk::start(site.proxy(), "/v1/orders/42", Some(&tokens), seconds, Place::Anywhere)?.finish()
    };
    load(1)?;
    let before = running.processor_seconds()?;
    let outcome = load(seconds)?;
    let used = running.processor_seconds()? - before;
    Ok((outcome, used / outcome.requests as f64 * 1e6))
}

/// How a few HTTP/2 clients lie on two workers. Each sends as many requests as the others, so a worker's share of the
/// processor time is its share of the clients.
fn distribution(site: &Site) -> Result<()> {
    let running = site.start(Party::Firegate, 2)?;
    let token = hot_token(&site.folder)?;
    let mut found = Vec::new();
    for _ in 0..ARRIVALS {
        let before = running.thread_seconds("firegate-worke")?;
        let load = H2load {
            address: site.proxy(),
            is_http2: true,
            path: "/v1/orders/42",
            token: Some(&token),
            clients: FEW_CLIENTS,
            streams: 4,
            requests: FEW_REQUESTS,
            rate: None,
            place: Place::Anywhere,
        };
        load.run(&site.folder.join("few.tsv"))?;
        let after = running.thread_seconds("firegate-worke")?;
        let used = after.iter().zip(&before).map(|(after, before)| after.1 - before.1).collect::<Vec<_>>();
        let (all, most) = (used.iter().sum::<f64>(), used.iter().copied().fold(0.0, f64::max));
        // The first look may come before the workers have begun.
        if all > 0.0 {
            found.push(most / all * f64::from(FEW_CLIENTS));
        }
        // The connections of the former load are closed before the next ones come.
        std::thread::sleep(Duration::from_millis(200));
    }
    let shares = found.iter().map(|most| format!("{most:.1}")).collect::<Vec<_>>().join(", ");
    let worst = found.iter().copied().fold(0.0, f64::max).round();
    let verdict = if worst <= 5.0 { "met" } else { "MISSED" };
    println!(
        "\nOf {FEW_CLIENTS} HTTP/2 clients the busier of two workers had, by its share of the time: {shares}. Goal: never worse than \
         5 to 3: {verdict}"
    );
    Ok(())
}
