//! `cargo xtask bench soak`: users, forgers and strangers for as long as you like, while the issuer rotates its keys. Every
//! answer is judged: a forged token that passes is a failure, once is enough.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::crowd::Connection;
use super::running::{Place, Running};
use super::site::{Party, Site};
use super::statistics::slope;
use super::tokens::{Issuer, forge, publish};
use crate::process::progress;

/// How many connections the crowd comes by, and how many requests they send in a second in all.
const CONNECTIONS: u32 = 16;
const RATE: u32 = 500;

/// How long a new key is published before it signs: longer than Firegate waits between two fetches for the sake of unknown
/// keys, of which the strangers here always bring one. Google's are published for hours.
const PUBLISHED_AHEAD: Duration = Duration::from_secs(60);

/// How often memory and descriptors are looked at. What a process takes at first is no growth.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);
const SETTLING_SHARE: f64 = 0.25;

/// The memory may grow by this much in an hour.
const GROWTH_MIB_PER_HOUR_MAX: f64 = 1.0;

/// How many wrong verdicts are printed; all are counted.
const PRINTED_MAX: u64 = 20;

/// A token, or none, and what its answer has to be.
struct Question {
    what: &'static str,
    token: Option<String>,
    expected: u16,
}

/// What the crowd shares.
struct Crowd {
    users: usize,
    questions: RwLock<Vec<Question>>,
    stop: AtomicBool,
    answered: AtomicU64,
    wrong: AtomicU64,
    broken: AtomicU64,
}

/// What was seen at one moment.
struct Sample {
    hours: f64,
    memory_mib: f64,
    descriptors: f64,
}

/// Soaks with so many users, whose issuer has a new key every so often, and prints. True if no verdict was wrong, and neither
/// memory nor descriptors grew.
pub(super) fn run(minutes: u32, users: usize, rotation: Duration) -> Result<bool> {
    let site = Site::prepare()?;
    let _origin = site.start_origin(Place::Other)?;
    let firegate = site.start(Party::Firegate, 1)?;
    let crowd = Crowd {
        users,
        questions: RwLock::new(questions(&site.issuer, users)?),
        stop: AtomicBool::new(false),
        answered: AtomicU64::new(0),
        wrong: AtomicU64::new(0),
        broken: AtomicU64::new(0),
    };
    progress(&format!("{minutes} minutes, {RATE} requests per second"));
    let samples = std::thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (crowd, site) = (&crowd, &site);
            scope.spawn(move || crowd.ask(site, number));
        }
        let samples = watch(&site, &firegate, &crowd, Duration::from_secs(u64::from(minutes) * 60), rotation);
        crowd.stop.store(true, Ordering::Relaxed);
        samples
    })?;
    Ok(report(&crowd, &samples))
}

/// One of each kind.
fn questions(issuer: &Issuer, users: usize) -> Result<Vec<Question>> {
    let stranger = Issuer::new()?;
    let (token, other) = (issuer.token(1)?, issuer.token(2)?);
    let forged = forge(&token, &other).context("three parts")?;
    let question = |what, token, expected| Question { what, token, expected };
    let mut questions = (10..10 + users)
        .map(|user| Ok(question("a user", Some(issuer.token(user)?), 200)))
        .collect::<Result<Vec<_>>>()?;
    questions.extend([
        question("nobody", None, 401),
        question("a forged signature", Some(forged), 401),
        question("an expired token", Some(issuer.expired_token(3)?), 401),
        question("a user of another project", Some(issuer.token_of_another_project(4)?), 401),
        question("a key that nobody published", Some(stranger.token(5)?), 401),
        question("no token at all", Some("a.b.c".to_owned()), 401),
    ]);
    Ok(questions)
}

impl Crowd {
    /// Asks at the rate of one connection until it is told to stop; the connections begin at different questions.
    fn ask(&self, site: &Site, number: u32) {
        let pause = Duration::from_secs(1) * CONNECTIONS / RATE;
        let mut connection = None;
        let mut next = Instant::now();
        for turn in (number as usize)..usize::MAX {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = self.ask_once(site, &mut connection, turn) {
                connection = None;
                if self.broken.fetch_add(1, Ordering::Relaxed) < PRINTED_MAX {
                    println!("a connection broke: {error:#}");
                }
            }
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn ask_once(&self, site: &Site, kept: &mut Option<Connection>, turn: usize) -> Result<()> {
        let connection = match kept {
            Some(connection) => connection,
            None => kept.insert(Connection::open(site.proxy())?),
        };
        let (what, token, expected) = {
            let questions = self.questions.read().unwrap_or_else(PoisonError::into_inner);
            let Question { what, token, expected } = &questions[turn % questions.len()];
            (*what, token.clone(), *expected)
        };
        let status = connection.get("/v1/orders/42", token.as_deref())?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        if status != expected && self.wrong.fetch_add(1, Ordering::Relaxed) < PRINTED_MAX {
            println!("WRONG: {what} was answered {status}, and not {expected}");
        }
        Ok(())
    }
}

/// Looks at the process, and rotates the issuer's keys.
fn watch(
    site: &Site,
    firegate: &Running,
    crowd: &Crowd,
    duration: Duration,
    rotation: Duration,
) -> Result<Vec<Sample>> {
    let since = Instant::now();
    let mut samples = Vec::new();
    let mut former = None;
    let mut rotated = since;
    while since.elapsed() < duration {
        std::thread::sleep(SAMPLE_INTERVAL.min(duration));
        let sample = Sample {
            hours: since.elapsed().as_secs_f64() / 3600.0,
            memory_mib: firegate.memory_mib()?,
            descriptors: firegate.descriptors()? as f64,
        };
        println!(
            "{:5.1} min {:6.1} MiB {} descriptors, {} answered, {} wrong",
            sample.hours * 60.0,
            sample.memory_mib,
            sample.descriptors,
            crowd.answered.load(Ordering::Relaxed),
            crowd.wrong.load(Ordering::Relaxed)
        );
        samples.push(sample);
        if rotated.elapsed() >= rotation {
            let issuer = Issuer::new()?;
            publish(&site.folder, &[former.as_ref().unwrap_or(&site.issuer), &issuer])?;
            std::thread::sleep(PUBLISHED_AHEAD);
            let questions = questions(&issuer, crowd.users)?;
            *crowd.questions.write().map_err(|_| anyhow!("the crowd panicked"))? = questions;
            println!("the issuer has a new key");
            former = Some(issuer);
            rotated = Instant::now();
        }
    }
    Ok(samples)
}

fn report(crowd: &Crowd, samples: &[Sample]) -> bool {
    let settled = samples.get((samples.len() as f64 * SETTLING_SHARE) as usize..).unwrap_or_default();
    let of = |figure: fn(&Sample) -> f64| settled.iter().map(figure).collect::<Vec<_>>();
    let hours = of(|sample| sample.hours);
    let growth = slope(&hours, &of(|sample| sample.memory_mib));
    let descriptors = of(|sample| sample.descriptors);
    let range =
        descriptors.iter().fold((f64::MAX, 0.0_f64), |(least, most), of| (least.min(*of), most.max(*of)));
    let (answered, wrong) = (crowd.answered.load(Ordering::Relaxed), crowd.wrong.load(Ordering::Relaxed));
    let broken = crowd.broken.load(Ordering::Relaxed);
    println!("\n| soak | figure | goal |\n|---|---:|---|");
    println!("| answers | {answered} | |");
    println!("| wrong verdicts | {wrong} | 0 |");
    println!("| connections that broke | {broken} | 0 |");
    println!("| memory's growth, MiB per hour | {growth:.2} | < {GROWTH_MIB_PER_HOUR_MAX} |");
    println!("| descriptors | {}–{} | stable |", range.0, range.1);
    wrong == 0 && broken == 0 && growth < GROWTH_MIB_PER_HOUR_MAX
}
