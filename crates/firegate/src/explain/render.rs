//! The explanation as text: the evidence first, the answers and the advice last, where a terminal leaves the eye.

use serde_json::{Map, Value};

use super::checks::CheckVerdict;
use super::firegate_door::DoorVerdict;
use super::page::{BAD, BOLD, DIM, GOOD, OPEN, PLAIN, Page, TIE};
use super::summary::{TokenForm, TokenSummary};
use super::{CheckLine, CloudRunAnswer, Explanation, FiregateAnswer, Instant, MemberLine};

const INDENT: (&str, anstyle::Style, usize) = ("", PLAIN, 2);
/// The width of the words "not checked" and "does not", and of a space on either side.
const VERDICT_WIDTH: usize = 13;
const NAME_WIDTH: usize = 15;
const LABEL_WIDTH: usize = 10;
const DOOR_WIDTH: usize = 13;

/// The explanation as text of at most 100 columns. The words say everything; colours only help the eye.
pub fn render_text(explanation: &Explanation, colours: bool) -> String {
    let mut page = Page::new(colours);
    token(&mut page, &explanation.token);
    checks(&mut page, &explanation.checks);
    members(&mut page, explanation.backend.as_deref(), &explanation.members);
    page.heading(&format!("Answers to GET {} with this token", explanation.path));
    firegate(&mut page, &explanation.firegate);
    if let Some(answer) = &explanation.cloud_run {
        cloud_run(&mut page, answer);
    }
    page.heading("Advice");
    page.line(&[INDENT], &explanation.advice);
    if let Some(command) = &explanation.command {
        page.gap();
        command_lines(&mut page, command);
    }
    if !explanation.notes.is_empty() {
        page.heading("Notes");
        for note in &explanation.notes {
            page.line(&[("  - ", DIM, 4)], note);
        }
    }
    page.finish()
}

/// The command with an option to a line, as a shell takes it.
fn command_lines(page: &mut Page, command: &str) {
    let mut options = command.split(" --").peekable();
    let mut dashes = "";
    while let Some(option) = options.next() {
        let end = if options.peek().is_some() { " \\" } else { "" };
        let indent = if dashes.is_empty() { "    " } else { "      " };
        page.line(&[(indent, PLAIN, indent.len())], &format!("{dashes}{option}{end}"));
        dashes = "--";
    }
}

fn token(page: &mut Page, token: &TokenSummary) {
    let who = match token.form {
        TokenForm::GoogleIdToken => "account",
        _ => "user",
    };
    let by = match (&token.uid, &token.email) {
        (Some(uid), Some(email)) => format!(", {who} {uid:?} ({email})"),
        (Some(uid), None) => format!(", {who} {uid:?}"),
        (None, _) => String::new(),
    };
    page.heading(&format!("{}{by}", capitalised(token.form.as_str())));
    members_of(page, "header", &token.header);
    members_of(page, "claims", &token.claims);
    for (label, instant) in
        [("signed in", &token.signed_in), ("issued", &token.issued), ("expires", &token.expires)]
    {
        if let Some(instant) = instant {
            page.line(&[INDENT, (label, DIM, LABEL_WIDTH + 1)], &date(instant));
        }
    }
}

/// The members of a JSON object, as many to a line as fit.
fn members_of(page: &mut Page, label: &str, members: &Map<String, Value>) {
    if !members.is_empty() {
        let pairs = members.iter().map(|(name, value)| format!("{name}:{TIE}{value}").replace(' ', TIE));
        page.line(&[INDENT, (label, DIM, LABEL_WIDTH + 1)], &pairs.collect::<Vec<_>>().join(", "));
    }
}

fn date(instant: &Instant) -> String {
    match &instant.utc {
        Some(utc) => format!("{utc}, {}", instant.relative),
        None => format!("{}, beyond any calendar", instant.seconds),
    }
}

fn checks(page: &mut Page, checks: &[CheckLine]) {
    page.heading("Checks, in Firegate's order");
    if checks.is_empty() {
        page.line(&[INDENT], "none could be made: the text cannot be taken apart as a JSON Web Token");
    }
    for check in checks {
        let (word, style) = match check.verdict {
            CheckVerdict::Passed => ("passed", GOOD),
            CheckVerdict::Failed => ("FAILED", BAD),
            CheckVerdict::NotChecked => ("not checked", OPEN),
        };
        let cells = [
            INDENT,
            (word, style, VERDICT_WIDTH),
            (check.name, BOLD, NAME_WIDTH),
            ("expected", DIM, LABEL_WIDTH),
        ];
        page.line(&cells, &check.expected);
        let below = ("", PLAIN, VERDICT_WIDTH + NAME_WIDTH);
        page.line(&[INDENT, below, ("found", DIM, LABEL_WIDTH)], &check.found);
        let why = match (check.code, &check.evidence) {
            (Some(code), Some(evidence)) => Some(format!("{code}: {evidence}")),
            (Some(code), None) => Some(code.to_owned()),
            (None, evidence) => evidence.clone(),
        };
        if let Some(why) = why {
            page.line(&[INDENT, below, ("that is", DIM, LABEL_WIDTH)], &why);
        }
    }
}

fn members(page: &mut Page, backend: Option<&str>, members: &[MemberLine]) {
    let Some(backend) = backend else { return };
    page.heading(&format!("Members that may call {backend:?}"));
    if members.is_empty() {
        page.line(&[INDENT], "none: nobody may call it");
    }
    for member in members {
        let (word, style) = match member.matches {
            Some(true) => ("matches", GOOD),
            Some(false) => ("does not", BAD),
            None => ("not checked", OPEN),
        };
        page.line(&[INDENT, (word, style, VERDICT_WIDTH)], &member.member);
        page.line(&[INDENT, ("", PLAIN, VERDICT_WIDTH)], &member.why);
    }
}

fn firegate(page: &mut Page, answer: &FiregateAnswer) {
    let code = answer.code.unwrap_or_default();
    let action = answer.action.map(|action| format!(" (action: {action})")).unwrap_or_default();
    let text = match answer.verdict {
        DoorVerdict::Refused => format!("{code}: {}{action}", answer.message),
        DoorVerdict::Passes | DoorVerdict::Depends => answer.message.clone(),
    };
    door(page, "Firegate", answer.verdict, answer.status, &text);
    let below = ("", PLAIN, DOOR_WIDTH);
    if let Some(evidence) = &answer.evidence {
        page.line(&[INDENT, below, ("because", DIM, LABEL_WIDTH)], evidence);
    }
}

fn cloud_run(page: &mut Page, answer: &CloudRunAnswer) {
    let cause = answer.cause.map(|cause| format!("{cause}: ")).unwrap_or_default();
    door(page, "Cloud Run", answer.verdict, answer.status, &format!("{cause}{}", answer.message));
    let below = ("", PLAIN, DOOR_WIDTH);
    page.line(&[INDENT, below, ("asked at", DIM, LABEL_WIDTH)], &answer.url);
    if let Some(body) = answer.body {
        page.line(&[INDENT, below, ("body", DIM, LABEL_WIDTH)], body);
    }
    for remark in &answer.remarks {
        page.line(&[INDENT, below, ("- ", DIM, 2)], remark);
    }
}

fn door(page: &mut Page, name: &str, verdict: DoorVerdict, status: Option<u16>, text: &str) {
    let (word, style) = match verdict {
        DoorVerdict::Passes => ("passes", GOOD),
        DoorVerdict::Depends => ("depends", OPEN),
        DoorVerdict::Refused => ("refused", BAD),
    };
    let word = status.map_or_else(|| word.to_owned(), |status| status.to_string());
    page.line(&[INDENT, (name, BOLD, DOOR_WIDTH), (&word, style, LABEL_WIDTH)], text);
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| format!("{}{}", first.to_uppercase(), characters.as_str()))
        .unwrap_or_default()
}
