//! Recorded requests, played to a configuration: what would become of them, beside what became of them. `entries` reads a log
//! piece by piece, `recorded` makes a request of each, `waiting` puts them into the order of time, `would` decides each, and
//! `report` puts what would change in groups.

mod chance;
mod entries;
mod recorded;
mod report;
mod waiting;
mod would;

use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use firegate_core::snapshot::Snapshot;
use firegate_core::time::SharedClock;
use firegate_files::configuration::Configuration;
use firegate_files::yaml::Document;

pub use report::{BadLine, Change, Example, Group, PreviewGroup, Simulation, render_simulation_text};

use crate::named_files::is_standard_input;
use crate::standard_error;

use super::limits::{LOG_DISORDER_MAX, PROGRESS_INTERVAL};
use super::request::Places;
use entries::{Entries, Found};
use recorded::Recorded;
use report::Tally;
use waiting::{Entry, Waiting};
use would::Player;

/// Plays a log to a configuration. Nothing is sent anywhere.
///
/// # Errors
/// If the log cannot be read, or the database of regions cannot be opened.
pub(super) fn simulate(
    log: &Path,
    configuration: &Configuration,
    document: Option<&Document>,
    clock: &SharedClock,
) -> anyhow::Result<Simulation> {
    let reader: Box<dyn Read> = if is_standard_input(log) {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(log).with_context(|| format!("the log {} cannot be read", log.display()))?)
    };
    let geography = firegate_proxy::open_geography(configuration)?;
    let snapshot = Snapshot::compile(configuration).with_geography(geography);
    let mut player = Player::new(snapshot, configuration, Places { document });
    let mut progress = Progress::new(clock);
    let (mut entries, mut tally) = (Entries::new(BufReader::new(reader)), Tally::default());
    let mut waiting = Waiting::default();
    let mut play = |Entry { line, recorded, .. }: Entry, tally: &mut Tally| {
        let knows_backend = player.knows_backend_of(&recorded);
        tally.add(line, &recorded, &player.play(&recorded), knows_backend);
    };
    while let Some(found) = entries.next().context("the log cannot be read to its end")? {
        match found {
            Found::Entry(line, text) => match Recorded::read(&text) {
                Ok(recorded) => {
                    let timeless = waiting.take(Entry { line, recorded, bytes: text.len() });
                    timeless.into_iter().for_each(|entry| play(entry, &mut tally));
                }
                Err(why) => tally.bad_line(line, why),
            },
            Found::Bad(line, why) => tally.bad_line(line, why.to_owned()),
        }
        while let Some(entry) = waiting.next(false) {
            play(entry, &mut tally);
        }
        progress.tell(tally.requests());
    }
    while let Some(entry) = waiting.next(true) {
        play(entry, &mut tally);
    }
    progress.end();
    Ok(tally.finish(notes(player.out_of_order)))
}

fn notes(out_of_order: u64) -> Vec<String> {
    let mut notes = vec![
        "the addresses are taken from the log as the clients', whatever `behind` says".to_owned(),
        "of headers the log tells Host, User-Agent and Referer; a body, a token and all others are not known"
            .to_owned(),
    ];
    if out_of_order > 0 {
        notes.push(format!(
            "{out_of_order} entries are older than one before them, by more than {} seconds, or have no time, and limits cannot be \
             counted for them: write the log with `gcloud logging read --order=asc`",
            LOG_DISORDER_MAX.as_secs()
        ));
    }
    notes
}

/// What is told on a terminal while a long log is read.
struct Progress<'a> {
    clock: &'a SharedClock,
    is_told: bool,
    next: Duration,
    /// Whether there is a line that has to go.
    is_open: bool,
}

impl<'a> Progress<'a> {
    fn new(clock: &'a SharedClock) -> Self {
        let is_told = std::io::stderr().is_terminal();
        Self { clock, is_told, next: clock.steady() + PROGRESS_INTERVAL, is_open: false }
    }

    fn tell(&mut self, requests: u64) {
        if self.is_told && self.clock.steady() >= self.next {
            standard_error::tell(&format!("\r{requests} requests"));
            self.is_open = true;
            self.next = self.clock.steady() + PROGRESS_INTERVAL;
        }
    }

    fn end(&self) {
        if self.is_open {
            standard_error::tell("\n");
        }
    }
}
