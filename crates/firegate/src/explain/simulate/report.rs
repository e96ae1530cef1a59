//! What would change, in groups: what became of requests, what would become of them, and which line decides.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::limits::{
    BAD_LINES_SHOWN_MAX, EXAMPLES_SHOWN_MAX, SIMULATION_GROUPS_MAX, SIMULATION_GROUPS_SHOWN_MAX,
};
use super::super::page::{BAD, BOLD, Cell, DIM, GOOD, OPEN, PLAIN, Page, shortened};
use super::super::request::FileLine;
use super::recorded::{Recorded, Was, WasKind};
use super::would::{Would, WouldKind};

/// What would become of the requests of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// How many requests there are in the log.
    pub requests: u64,
    /// How many of them would be answered otherwise.
    pub changed: u64,
    /// How many would not.
    pub unchanged: u64,
    /// How many come as far as the user's token, which no log carries, now as they did then.
    pub left_to_token: u64,
    /// How many depend on something else that the log does not carry.
    pub undecided: u64,
    /// How many lines or entries are of no request.
    pub unread: u64,
    /// The requests by what became of them and what would, the most first.
    pub groups: Vec<Group>,
    /// What the rules would have ended that are only tried out.
    pub previews: Vec<PreviewGroup>,
    /// The first lines that are of no request.
    pub bad_lines: Vec<BadLine>,
    /// What was taken for granted.
    pub notes: Vec<String>,
}

/// Requests that fared alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Whether something changes for them.
    pub change: Change,
    /// What became of them.
    pub was: String,
    /// What would.
    pub would_be: String,
    /// The line that decides, or that asks for what is not known.
    pub place: Option<FileLine>,
    /// How many there are.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<Example>,
}

/// Whether something would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It would be answered otherwise.
    Changed,
    /// It depends on what the log does not carry.
    Undecided,
    /// Everything is alike up to the user's token.
    LeftToToken,
    /// It would be answered alike.
    Unchanged,
}

/// A request of the log, without its query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The line in which its entry begins.
    pub line: usize,
    /// The method.
    pub method: String,
    /// The URL without the query.
    pub url: String,
}

/// Requests that a rule would have ended which is only tried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviewGroup {
    /// The rule and what it would have done.
    pub what: String,
    /// Where it stands.
    pub place: FileLine,
    /// How many there are.
    pub count: u64,
}

/// A line that is of no request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Which one.
    pub line: usize,
    /// Why.
    pub why: String,
}

type GroupKey = (Change, String, String, Option<FileLine>);

/// The sums, while the log is read: bounded, whatever stands in it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    simulation: Simulation,
    groups: BTreeMap<GroupKey, (u64, Vec<Example>)>,
    previews: BTreeMap<(FileLine, String), u64>,
}

impl Tally {
    pub(super) fn requests(&self) -> u64 {
        self.simulation.requests
    }

    pub(super) fn add(&mut self, line: usize, recorded: &Recorded, would: &Would, knows_backend: bool) {
        let change = change(recorded, &would.kind, knows_backend);
        let simulation = &mut self.simulation;
        simulation.requests += 1;
        *match change {
            Change::Changed => &mut simulation.changed,
            Change::Undecided => &mut simulation.undecided,
            Change::LeftToToken => &mut simulation.left_to_token,
            Change::Unchanged => &mut simulation.unchanged,
        } += 1;
        if let Some((what, place)) = &would.preview {
            let key = (place.clone(), what.clone());
            if self.previews.len() < SIMULATION_GROUPS_MAX || self.previews.contains_key(&key) {
                *self.previews.entry(key).or_default() += 1;
            }
        }
        let mut key = (
            change,
            shortened(&was_words(&recorded.was, recorded, knows_backend)),
            shortened(&would.kind.words()),
            would.place.clone(),
        );
        if self.groups.len() >= SIMULATION_GROUPS_MAX && !self.groups.contains_key(&key) {
            key = (change, "others".to_owned(), "various".to_owned(), None);
        }
        let (count, examples) = self.groups.entry(key).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_SHOWN_MAX {
            let url = shortened(recorded.url.split(['?', '#']).next().unwrap_or_default());
            examples.push(Example { line, method: shortened(&recorded.method), url });
        }
    }

    pub(super) fn bad_line(&mut self, line: usize, why: String) {
        self.simulation.unread += 1;
        if self.simulation.bad_lines.len() < BAD_LINES_SHOWN_MAX {
            self.simulation.bad_lines.push(BadLine { line, why: shortened(&why) });
        }
    }

    pub(super) fn finish(self, notes: Vec<String>) -> Simulation {
        let groups = self.groups.into_iter().map(|((change, was, would_be, place), (count, examples))| {
            Group { change, was, would_be, place, count, examples }
        });
        let mut groups = groups.collect::<Vec<_>>();
        groups.sort_by_key(|group| (group.change, std::cmp::Reverse(group.count)));
        let previews = self.previews.into_iter();
        let previews = previews.map(|((place, what), count)| PreviewGroup { what, place, count }).collect();
        Simulation { groups, previews, notes, ..self.simulation }
    }
}

/// The backend is told where a configuration has one of this name: otherwise the names say nothing to each other.
fn was_words(was: &Was, recorded: &Recorded, knows_backend: bool) -> String {
    match &recorded.backend {
        Some(backend) if knows_backend && was.kind == WasKind::Forwarded => {
            was.words.replacen("forwarded", &format!("forwarded to {backend}"), 1)
        }
        _ => was.words.clone(),
    }
}

pub(super) fn change(recorded: &Recorded, would: &WouldKind, knows_backend: bool) -> Change {
    let was = &recorded.was;
    let is_elsewhere =
        |name: &str| knows_backend && recorded.backend.as_deref().is_some_and(|was| was != name);
    match (was.kind, would) {
        (_, WouldKind::Undecided(_)) => Change::Undecided,
        (
            WasKind::Forwarded,
            WouldKind::Passes(name) | WouldKind::Observed(name, ..) | WouldKind::LeftToToken(name),
        ) if is_elsewhere(name) => Change::Changed,
        (WasKind::Forwarded, WouldKind::ToOneOf(names)) if names.iter().all(|name| is_elsewhere(name)) => {
            Change::Changed
        }
        (_, WouldKind::ToOneOf(_)) => Change::Undecided,
        (WasKind::Forwarded, WouldKind::Passes(_) | WouldKind::Observed(..))
        | (WasKind::Answered, WouldKind::Answered) => Change::Unchanged,
        (WasKind::Forwarded | WasKind::RefusedToken | WasKind::RefusedCaller, WouldKind::LeftToToken(_)) => {
            Change::LeftToToken
        }
        (WasKind::Refused | WasKind::RefusedHead, WouldKind::Refused(status, code))
            if was.is_refusal(*status, code) =>
        {
            Change::Unchanged
        }
        (WasKind::Redirected, WouldKind::Redirected(status)) if *status == was.status => Change::Unchanged,
        _ => Change::Changed,
    }
}

impl WouldKind {
    fn words(&self) -> String {
        match self {
            Self::Passes(name) => format!("to {name}"),
            Self::Observed(name, status, code) => {
                format!("to {name}, where {status} {code} is only observed")
            }
            Self::LeftToToken(name) => format!("to {name}, if its token lets it"),
            Self::ToOneOf(names) => format!("to one of {}, as chance chooses", names.join(", ")),
            Self::Refused(status, code) => format!("{status} {code}"),
            Self::Redirected(status) => format!("{status}"),
            Self::Answered => "answered by Firegate itself".to_owned(),
            Self::Undecided(why) => format!("unknown: {why}"),
        }
    }
}

const COUNT_WIDTH: usize = 9;
const INDENT: Cell<'static> = ("", PLAIN, 2);

/// What would change, as text of at most 100 columns.
pub fn render_simulation_text(
    simulation: &Simulation,
    log: &str,
    configuration: &str,
    colours: bool,
) -> String {
    let mut page = Page::new(colours);
    page.heading(&format!("{} requests of {log} under {configuration}", simulation.requests));
    let sums = [
        (simulation.changed, "would be answered otherwise", BAD),
        (simulation.unchanged, "would be answered alike", GOOD),
        (simulation.left_to_token, "come as far as the user's token, which no log carries", OPEN),
        (simulation.undecided, "depend on something else that the log does not carry", OPEN),
        (simulation.unread, "lines or entries are of no request", OPEN),
    ];
    for (count, words, style) in sums {
        let style = if count == 0 { DIM } else { style };
        page.line(&[INDENT, (&format!("{count:>7}"), style, COUNT_WIDTH)], words);
    }
    for (change, heading) in [
        (Change::Changed, "Would be answered otherwise"),
        (Change::Undecided, "Cannot be decided by the log"),
        (Change::LeftToToken, "Left to the user's token"),
        (Change::Unchanged, "Would be answered alike"),
    ] {
        let groups = simulation.groups.iter().filter(|group| group.change == change).collect::<Vec<_>>();
        if !groups.is_empty() {
            page.heading(heading);
            groups.iter().take(SIMULATION_GROUPS_SHOWN_MAX).for_each(|group| self::group(&mut page, group));
            if let Some(more @ 1..) = groups.len().checked_sub(SIMULATION_GROUPS_SHOWN_MAX) {
                page.line(
                    &[INDENT, ("", PLAIN, COUNT_WIDTH)],
                    &format!("and {more} more groups; --output json has them all"),
                );
            }
        }
    }
    if !simulation.previews.is_empty() {
        page.heading("Rules that are only tried out");
        for PreviewGroup { what, place, count } in &simulation.previews {
            page.line(&[INDENT, (&format!("{count:>7}"), BOLD, COUNT_WIDTH)], &format!("{what} ({place})"));
        }
    }
    if !simulation.bad_lines.is_empty() {
        page.heading("Of no request");
        for BadLine { line, why } in &simulation.bad_lines {
            page.line(&[INDENT, (&format!("line {line}"), DIM, COUNT_WIDTH + 2)], why);
        }
    }
    if !simulation.notes.is_empty() {
        page.heading("Notes");
        simulation.notes.iter().for_each(|note| page.line(&[("  - ", DIM, 4)], note));
    }
    page.finish()
}

fn group(page: &mut Page, group: &Group) {
    let place = group.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let text = format!("{} → {}{place}", group.was, group.would_be);
    page.line(&[INDENT, (&format!("{:>7}", group.count), BOLD, COUNT_WIDTH)], &text);
    for Example { line, method, url } in &group.examples {
        page.line(&[INDENT, ("", PLAIN, COUNT_WIDTH), ("line", DIM, 5)], &format!("{line}: {method} {url}"));
    }
}
