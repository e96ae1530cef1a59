//! The way of a request as text: stage by stage, and at the end the answer, the line that decided and what to change.

use super::super::firegate_door::DoorVerdict;
use super::super::page::{BAD, BOLD, Cell, DIM, GOOD, OPEN, PLAIN, Page};
use super::{Finding, FindingVerdict, RequestExplanation, StageLine, StageVerdict};

const INDENT: Cell<'static> = ("", PLAIN, 2);
/// The width of the words "would refuse" and "not reached", and of the space behind them.
const VERDICT_WIDTH: usize = 14;
const STAGE_WIDTH: usize = 10;
const FINDING_WIDTH: usize = 10;
const LABEL_WIDTH: usize = 12;

/// The explanation as text of at most 100 columns. The words say everything; colours only help the eye.
pub fn render_request_text(explanation: &RequestExplanation, colours: bool) -> String {
    let mut page = Page::new(colours);
    page.heading(&format!("{} {}", explanation.method, explanation.url));
    let client = format!("{}: {}", explanation.client, explanation.client_is);
    page.line(&[INDENT, ("from", DIM, LABEL_WIDTH)], &client);
    page.heading("The way of the request");
    explanation.stages.iter().for_each(|line| stage(&mut page, line));
    page.heading("Answer");
    answer(&mut page, explanation);
    if !explanation.notes.is_empty() {
        page.heading("Notes");
        for note in &explanation.notes {
            page.line(&[("  - ", DIM, 4)], note);
        }
    }
    page.finish()
}

fn stage(page: &mut Page, line: &StageLine) {
    let (word, style) = match line.verdict {
        StageVerdict::Passed => ("passed", GOOD),
        StageVerdict::Depends => ("depends", OPEN),
        StageVerdict::Refused => ("REFUSED", BAD),
        StageVerdict::WouldBeRefused => ("would refuse", OPEN),
        StageVerdict::Answered => ("answered", GOOD),
        StageVerdict::NotReached => ("not reached", DIM),
    };
    let place = line.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let cells = [INDENT, (word, style, VERDICT_WIDTH), (line.stage, BOLD, STAGE_WIDTH)];
    page.line(&cells, &format!("{}{place}", line.summary));
    line.findings.iter().for_each(|line| finding(page, line));
}

fn finding(page: &mut Page, finding: &Finding) {
    let (word, style) = match finding.verdict {
        FindingVerdict::Matches => ("matches", GOOD),
        FindingVerdict::DoesNotMatch => ("does not", DIM),
        FindingVerdict::Near => ("near", OPEN),
        FindingVerdict::Preview => ("preview", OPEN),
        FindingVerdict::NotKnown => ("unknown", OPEN),
    };
    let place = finding.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let below = ("", PLAIN, VERDICT_WIDTH);
    page.line(
        &[INDENT, below, (word, style, FINDING_WIDTH)],
        &format!("{}{place}: {}", finding.what, finding.why),
    );
    let below = [INDENT, below, ("", PLAIN, FINDING_WIDTH)];
    for part in &finding.parts {
        let values = if part.values.is_empty() {
            String::new()
        } else {
            format!(", where {}", part.values.join(", "))
        };
        let [indent, first, second] = below;
        page.line(
            &[indent, first, second, ("- ", DIM, 2)],
            &format!("{} is {}{values}", part.text, part.result),
        );
    }
}

fn answer(page: &mut Page, explanation: &RequestExplanation) {
    let answer = &explanation.answer;
    let (word, style) = match answer.verdict {
        DoorVerdict::Passes => ("passes", GOOD),
        DoorVerdict::Depends => ("depends", OPEN),
        DoorVerdict::Refused => ("refused", BAD),
    };
    let word = answer.status.map_or_else(|| word.to_owned(), |status| status.to_string());
    let text = match (answer.verdict, answer.code) {
        (DoorVerdict::Refused, Some(code)) => format!("{code}: {}", answer.message),
        _ => answer.message.clone(),
    };
    page.line(&[INDENT, (&word, style, LABEL_WIDTH)], &text);
    if let Some(status) = answer.grpc_status {
        let text =
            format!("the request is gRPC: its client gets 200, and the reason as grpc-status {status}");
        page.line(&[INDENT, ("as", DIM, LABEL_WIDTH)], &text);
    }
    if let Some(evidence) = &answer.evidence {
        page.line(&[INDENT, ("because", DIM, LABEL_WIDTH)], evidence);
    }
    if let Some(place) = &explanation.decided_at {
        page.line(&[INDENT, ("decided at", DIM, LABEL_WIDTH)], &place.to_string());
    }
    if let Some(hint) = &answer.hint {
        page.line(&[INDENT, ("to change", DIM, LABEL_WIDTH)], hint);
    }
}
