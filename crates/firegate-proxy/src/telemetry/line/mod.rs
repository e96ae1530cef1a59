//! Log lines as bytes. Whatever a client chose is escaped here, and nowhere else: no line can be broken, forged or dressed up
//! by what stands in a request.

mod json;
mod security_policy;
mod text;

use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use firegate_core::armor::Screened;
use firegate_core::conceal;
use firegate_core::observed;
use firegate_core::reason::{Code, Denial, Fault, Stage};
use firegate_core::time::CivilTime;
use firegate_core::trace::TraceContext;
use http::Version;

use super::log_queue::LogForm;
use crate::refused::Refused;

/// How bad it is that something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Warning,
}

/// What is told of one request. Texts are as the client sent them, but without tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessLine<'a> {
    /// When it was over, since 1970-01-01.
    pub(crate) at: Duration,
    pub(crate) request_id: &'a str,
    /// The head could not be read: what is said of its request is only what stands for it.
    pub(crate) is_unread: bool,
    pub(crate) method: &'a str,
    pub(crate) scheme: &'static str,
    pub(crate) host: &'a [u8],
    /// Path and query.
    pub(crate) target: &'a [u8],
    pub(crate) protocol: Version,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) referer: Option<&'a [u8]>,
    pub(crate) remote: IpAddr,
    pub(crate) status: u16,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) latency: Duration,
    /// How long the service took to answer, all attempts together.
    pub(crate) upstream_latency: Option<Duration>,
    /// How often the request was sent to the service; 0 if it was not.
    pub(crate) attempts: u32,
    pub(crate) trace: Option<&'a TraceContext>,
    pub(crate) project: &'a str,
    /// The backend's name, empty if the request had none.
    pub(crate) backend: &'a str,
    /// The route's name, as the metrics call it.
    pub(crate) route: Option<&'a str>,
    /// Where the service was asked, the last time.
    pub(crate) endpoint: Option<&'a str>,
    /// How it ended, as the metrics call it.
    pub(crate) outcome: &'static str,
    pub(crate) refusal: Option<&'a Refusal>,
    /// What the backend's security policy did.
    pub(crate) screened: Option<&'a Screened>,
    pub(crate) user_id: Option<&'a str>,
    /// The user was let in without a look at their account: `revocation.on_failure: allow`.
    pub(crate) is_unchecked: bool,
    /// Why the answer did not reach its end.
    pub(crate) cut: Option<&'a str>,
}

/// Why a request was refused, with the evidence that the client does not get.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) stage: Stage,
    pub(crate) evidence: String,
    /// What to do next.
    pub(crate) hint: Cow<'static, str>,
    /// It is a failure, and not the rules' answer.
    pub(crate) is_fault: bool,
    /// The request is forwarded all the same, because its backend is only observed.
    pub(crate) is_observed: bool,
}

impl Refusal {
    pub(crate) fn of(refused: &Refused) -> Self {
        match refused {
            Refused::Denial(Denial { reason, stage }) | Refused::Departed(Denial { reason, stage }) => {
                let (evidence, hint) =
                    (without_tokens(reason.to_string()), hint_without_tokens(reason.hint()));
                Self {
                    code: reason.code(),
                    stage: *stage,
                    evidence,
                    hint,
                    is_fault: false,
                    is_observed: false,
                }
            }
            Refused::Fault(Fault { code, stage, detail }) => {
                let (evidence, hint) = (without_tokens(detail.clone()), Cow::Borrowed(code.entry().fix));
                Self { code: *code, stage: *stage, evidence, hint, is_fault: true, is_observed: false }
            }
        }
    }

    pub(crate) fn observed(refusal: &observed::Refusal) -> Self {
        Self {
            code: refusal.code(),
            stage: refusal.stage(),
            evidence: without_tokens(refusal.evidence()),
            hint: hint_without_tokens(refusal.hint()),
            is_fault: matches!(refusal, observed::Refusal::Fault(_)),
            is_observed: true,
        }
    }
}

/// Evidence quotes what a stranger wrote into a token, and what Google or a service answered to one. Neither ought to hold a
/// token that lets anybody in, and nothing keeps them from it.
fn without_tokens(evidence: String) -> String {
    let concealed = match conceal::tokens(evidence.as_bytes()) {
        Cow::Borrowed(_) => None,
        Cow::Owned(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
    };
    concealed.unwrap_or(evidence)
}

/// The same for an advice, which may name what was sent.
fn hint_without_tokens(hint: Cow<'static, str>) -> Cow<'static, str> {
    match hint {
        Cow::Borrowed(hint) => Cow::Borrowed(hint),
        Cow::Owned(hint) => Cow::Owned(without_tokens(hint)),
    }
}

impl AccessLine<'_> {
    pub(crate) fn severity(&self) -> Severity {
        let failed = self.refusal.is_some_and(|refusal| refusal.is_fault);
        if failed || self.cut.is_some() || self.is_unchecked { Severity::Warning } else { Severity::Info }
    }

    /// What is known of the user's account, where it ought to be known and is not.
    fn user_status(&self) -> Option<&'static str> {
        self.is_unchecked.then_some("unchecked")
    }

    /// The word that stands before a line that somebody ought to read.
    fn message(&self) -> Option<&'static str> {
        match (self.refusal, self.cut) {
            (Some(refusal), _) if refusal.is_observed => Some("would be refused"),
            (Some(refusal), _) => Some(if refusal.is_fault { "failed" } else { "refused" }),
            (None, Some(_)) => Some("cut short"),
            (None, None) => self.is_unchecked.then_some("let in without a look-up"),
        }
    }
}

/// Appends one line with its line feed.
pub(crate) fn write(form: LogForm, line: &AccessLine<'_>, to: &mut Vec<u8>) {
    match form {
        LogForm::Json => json::write(line, to),
        LogForm::Text { coloured } => text::write(line, coloured, to),
    }
    to.push(b'\n');
}

/// Why lines are missing that the sink did not take in time.
pub(super) const TOO_SLOW: &str =
    "log lines were dropped, because whoever reads the log takes them too slowly";

/// Why lines are missing that the sink refused.
pub(super) const NOT_WRITTEN: &str =
    "log lines were lost, because the log could not be written; hint: is its disk full?";

/// The line in the place of those that are missing.
pub(super) fn write_gap(form: LogForm, at: Duration, why: &str, lines: u64, to: &mut Vec<u8>) {
    match form {
        LogForm::Json => json::write_gap(at, why, lines, to),
        LogForm::Text { coloured } => text::write_gap(at, why, lines, coloured, to),
    }
    to.push(b'\n');
}

/// A moment since 1970-01-01 as RFC 3339 has it, in UTC and to the microsecond.
pub fn rfc_3339(at: Duration) -> String {
    let mut text = Vec::new();
    write_time(at, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// How many characters the date and the time of a second have.
const SECOND_LENGTH: usize = 19;

thread_local! {
    /// The second that was told last, and how: there are many lines in each.
    static TOLD: Cell<(u64, [u8; SECOND_LENGTH])> = const { Cell::new((0, *b"1970-01-01T00:00:00")) };
}

/// Appends a moment as RFC 3339 has it, in UTC and to the microsecond.
fn write_time(at: Duration, to: &mut Vec<u8>) {
    let (told, mut text) = TOLD.get();
    if told != at.as_secs() {
        text = second(at.as_secs());
        TOLD.set((at.as_secs(), text));
    }
    let mut rest = *b".000000Z";
    let [_point, digits @ .., _zone] = &mut rest;
    put_digits(at.subsec_micros().into(), digits);
    to.extend_from_slice(&text);
    to.extend_from_slice(&rest);
}

/// The date and the time of a second since 1970-01-01.
fn second(seconds: u64) -> [u8; SECOND_LENGTH] {
    let CivilTime { year, month, day, hour, minute, second } =
        CivilTime::of(i64::try_from(seconds).unwrap_or(i64::MAX));
    let mut text = *b"0000-00-00T00:00:00";
    // Each number with where its last digit stands.
    let numbers = [(year.min(9999), 4), (month, 7), (day, 10), (hour, 13), (minute, 16), (second, 19)];
    for (number, end) in numbers {
        put_digits(number.unsigned_abs(), text.get_mut(..end).unwrap_or_default());
    }
    text
}

/// Appends seconds to the microsecond, as Cloud Logging writes durations.
fn write_seconds(duration: Duration, to: &mut Vec<u8>) {
    write_number(duration.as_secs(), to);
    let mut text = *b".000000s";
    let [_point, digits @ .., _unit] = &mut text;
    put_digits(duration.subsec_micros().into(), digits);
    to.extend_from_slice(&text);
}

/// Appends a number in decimal digits.
fn write_number(number: u64, to: &mut Vec<u8>) {
    // The longest number has 20 digits.
    let mut digits = [b'0'; 20];
    let length = put_digits(number, &mut digits).max(1);
    to.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Puts a number's digits at the end of zeros, and returns how many there are.
fn put_digits(mut number: u64, zeros: &mut [u8]) -> usize {
    let mut length = 0;
    for digit in zeros.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
    }
    length
}

#[cfg(test)]
pub(super) mod tests;
