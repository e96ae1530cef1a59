//! Row 7: what Firegate holds, for connections that are busy, for those that are idle, and for what it remembers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::crowd::Connection;
use super::load::{CONNECTIONS, Wrk};
use super::running::{Place, Running};
use super::site::{Party, Site};
use super::statistics::Goal;
use super::tokens::{FEW_USERS, USERS};
use crate::process::progress;

/// How many connections are idle at once.
const IDLE_CONNECTIONS: usize = 10_000;

/// How long Firegate may take to come to rest before its memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// How long after its last request a connection rests at the latest: two seconds that nobody used it, seen by looks once a
/// second, and the allocator's time to give memory back.
const CONNECTIONS_REST: Duration = Duration::from_secs(8);

/// Measures and prints. True if every connection was served.
pub(super) fn run(site: &Site) -> Result<bool> {
    println!("\n| row | memory | figure | goal |\n|---|---|---:|---|");
    let busy = busy_mib(site)?;
    row(&format!("{CONNECTIONS} busy connections, MiB"), busy, Some(Goal { landing: 24.0, aim: 16.0 }));
    let Idle { at_once, at_rest, served } = idle_kib(site)?;
    row(&format!("each connection, of {served} just after one request, KiB"), at_once, None);
    let name = format!("each idle connection, of {served} after one request, KiB");
    row(&name, at_rest, Some(Goal { landing: 20.0, aim: 12.0 }));
    let Remembered { verdict, read_tokens_mib, with_assertion } = remembered_bytes(site)?;
    row("all tokens that were read lately, MiB", read_tokens_mib, None);
    row("each verdict, bytes", verdict, Some(Goal { landing: 512.0, aim: 512.0 }));
    row(
        "each verdict with its assertion, bytes",
        with_assertion,
        Some(Goal { landing: 1536.0, aim: 1536.0 }),
    );
    Ok(served == IDLE_CONNECTIONS)
}

fn row(name: &str, figure: f64, goal: Option<Goal>) {
    let verdict = goal.map_or(String::new(), |goal| format!("{goal}: {}", goal.verdict(figure)));
    println!("| 7 | {name} | {figure:.1} | {verdict} |");
}

/// In the midst of a load.
fn busy_mib(site: &Site) -> Result<f64> {
    let running = warm(site, 1)?;
    let tokens = site.folder.join("hot.txt");
    let load = Wrk::start(site.proxy(), "/v1/orders/42", Some(&tokens), 3, Place::Other)?;
    std::thread::sleep(Duration::from_secs(2));
    let memory_mib = running.memory_mib()?;
    load.finish()?;
    Ok(memory_mib)
}

/// What a connection takes, in KiB, and how many were answered.
struct Idle {
    at_once: f64,
    at_rest: f64,
    served: usize,
}

/// What is taken by what is remembered of users.
struct Remembered {
    verdict: f64,
    read_tokens_mib: f64,
    with_assertion: f64,
}

/// Each connection asks once and then stays.
fn idle_kib(site: &Site) -> Result<Idle> {
    // Two workers, because one is not meant to have so many.
    let running = warm(site, 2)?;
    let before = running.memory_mib()?;
    progress(&format!("{IDLE_CONNECTIONS} connections"));
    let since = Instant::now();
    let mut connections = Vec::with_capacity(IDLE_CONNECTIONS);
    let mut fault = None;
    while connections.len() < IDLE_CONNECTIONS {
        let opened = Connection::open(site.proxy()).and_then(|mut connection| {
            connection.get("/open/orders/42", None)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => connections.push(connection),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let opening = since.elapsed();
    let each = |mib: f64| (mib - before) * 1024.0 / connections.len() as f64;
    let at_once = each(running.memory_mib()?);
    std::thread::sleep(CONNECTIONS_REST);
    let at_rest = each(running.memory_mib()?);
    if let Some(error) = fault {
        println!("the connection after {} failed: {error:#}", connections.len());
    }
    println!("{} connections were opened in {:.1} s", connections.len(), opening.as_secs_f64());
    Ok(Idle { at_once, at_rest, served: connections.len() })
}

/// A signature's verdict alone, and with the assertion that is signed for its user. Verdicts are so small that all users' are
/// counted, for what eight thousand take finds room that the load before has left. Whoever comes a second time is read from
/// memory as well, which is bounded for all of them together and no part of either.
fn remembered_bytes(site: &Site) -> Result<Remembered> {
    let each = |mib: f64, users: usize| mib * 1024.0 * 1024.0 / users as f64;
    progress(&format!("{USERS} users"));
    let verdict = each(Growing::new(site)?.by("/unsigned/orders/42", "cold.txt")?, USERS);
    let mut growing = Growing::new(site)?;
    growing.by("/unsigned/orders/42", "few.txt")?;
    let read_tokens_mib = growing.by("/unsigned/orders/42", "few.txt")?;
    let with_assertion = verdict + each(growing.by("/v1/orders/42", "few.txt")?, FEW_USERS);
    Ok(Remembered { verdict, read_tokens_mib, with_assertion })
}

/// A Firegate whose memory grows.
struct Growing<'a> {
    site: &'a Site,
    running: Running,
    connection: Connection,
    memory_mib: f64,
}

impl<'a> Growing<'a> {
    fn new(site: &'a Site) -> Result<Self> {
        let running = warm(site, 1)?;
        let connection = Connection::open(site.proxy())?;
        Ok(Self { site, memory_mib: running.memory_mib()?, running, connection })
    }

    /// By how many MiB, when each user has come once.
    fn by(&mut self, path: &str, tokens: &str) -> Result<f64> {
        let tokens = std::fs::read_to_string(self.site.folder.join(tokens)).context("no tokens")?;
        for token in tokens.lines() {
            self.connection.get(path, Some(token))?;
        }
        std::thread::sleep(REST);
        let former = std::mem::replace(&mut self.memory_mib, self.running.memory_mib()?);
        Ok(self.memory_mib - former)
    }
}

/// Firegate after a load and at rest: what it allocates once is there already.
fn warm(site: &Site, workers: u32) -> Result<Running> {
    let running = site.start(Party::Firegate, workers)?;
    let tokens = site.folder.join("hot.txt");
    for path in ["/v1/orders/42", "/unsigned/orders/42"] {
        Wrk::start(site.proxy(), path, Some(&tokens), 1, Place::Other)?.finish()?;
    }
    std::thread::sleep(REST);
    Ok(running)
}
