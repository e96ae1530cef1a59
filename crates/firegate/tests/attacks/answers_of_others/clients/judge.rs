//! Whether what came is what may come.

use http::Method;

use super::super::asked::{Asked, Plan, content};
use super::super::frames::End;
use super::{Client, Sending, Wants};

/// Who an answer is from, as its head says.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) status: u16,
    pub(super) answer_to: Option<String>,
    /// By which configuration the request came to the service.
    pub(super) answered_by: Option<String>,
    /// By which configuration the answer came from the door.
    pub(super) configuration: Option<String>,
    pub(super) is_doors_own: bool,
}

/// An answer as far as it came.
pub(super) struct Answered {
    pub(super) origin: Origin,
    pub(super) got: Vec<u8>,
    /// The trailer of an answer that came to its end; else how it broke off.
    pub(super) ended: Result<Option<String>, String>,
}

impl Origin {
    /// What a head says of it.
    pub(super) fn of(status: u16, field: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            status,
            answer_to: field("x-answer-to"),
            answered_by: field("x-answered-by"),
            configuration: field("x-configuration"),
            is_doors_own: field("x-firegate-reason").is_some(),
        }
    }
}

impl Client {
    fn check(&self, what: &str, sending: &Sending, shown: &str, holds: bool) {
        self.found.check(|| format!("{what}: {}: {shown}", sending.shown()), holds);
    }

    /// Whether an answer is to this request, and no more than it was.
    pub(super) fn judge(&mut self, sending: &Sending, answered: &Answered) {
        let Sending { asked, method, wants, .. } = sending;
        let Asked { number, plan, answer_bytes, .. } = *asked;
        let Answered { origin, got, ended } = answered;
        let start = String::from_utf8_lossy(got.get(..20).unwrap_or(got)).into_owned();
        let shown = format!("{origin:?}, {} bytes {start:?}, {ended:?}", got.len());
        let check = |what: &str, holds: bool| self.check(what, sending, &shown, holds);
        if origin.is_doors_own {
            check("the door refuses", self.may_be_refused(sending, origin.status));
            self.told.refused += 1;
            return;
        }
        self.judge_origin(sending, origin, &shown);
        let is_status = match origin.status {
            204 => plan == Plan::Empty,
            403 => *wants != Wants::Answer,
            status => status == 200,
        };
        check("a status", is_status);
        check("no WebSocket", !plan.is_tunnel());
        check("another's content", *got == content('d', number, got.len()));
        let expected = if *method == Method::HEAD || plan == Plan::Empty { 0 } else { answer_bytes };
        match ended {
            Ok(trailer) => {
                check("part of an answer for the whole", got.len() == expected);
                check("a trailer", trailer.as_ref().is_none_or(|trailer| *trailer == number.to_string()));
                self.told.whole += 1;
            }
            Err(_) => {
                check("an answer broke off that was whole", self.terms.may_fail || !plan.is_whole());
                self.told.broken += 1;
            }
        }
    }

    /// Whether what came by a WebSocket is this one's.
    pub(super) fn judge_tunnel(
        &mut self,
        sending: &Sending,
        origin: &Origin,
        end: Result<(usize, End), String>,
    ) {
        let Asked { plan, answer_bytes, .. } = sending.asked;
        let shown = format!("{origin:?}, {end:?}");
        let check = |what: &str, holds: bool| self.check(what, sending, &shown, holds);
        self.judge_origin(sending, origin, &shown);
        check("a WebSocket", sending.wants != Wants::Answer && plan.is_tunnel());
        match end {
            Err(_) => check("a WebSocket of another", false),
            Ok((bytes, End::Closed)) => {
                check("part of a WebSocket for the whole", bytes == answer_bytes && plan.is_whole());
                self.told.tunnels += 1;
            }
            Ok((bytes, End::Cut | End::BrokenOff)) => {
                check("a WebSocket broke off", self.terms.may_fail || !plan.is_whole());
                check("more than there is", bytes <= answer_bytes);
                self.told.broken_tunnels += 1;
            }
        }
    }

    /// Whether a service answered this request, and might.
    fn judge_origin(&self, sending: &Sending, origin: &Origin, shown: &str) {
        let Asked { user, number, .. } = sending.asked;
        let check = |what: &str, holds: bool| self.check(what, sending, shown, holds);
        check("a token that nobody signed", user != self.terms.nobody);
        check("another's answer", origin.answer_to.as_deref() == Some(number.to_string().as_str()));
        if let Some(by) = &origin.configuration {
            check("a mix of two configurations", origin.answered_by.as_ref() == Some(by));
            check("a user who is not let through", (self.terms.let_through_by)(user).contains(&by.as_str()));
        }
    }

    /// Whether the door itself may answer so.
    fn may_be_refused(&self, sending: &Sending, status: u16) -> bool {
        let Asked { user, plan, .. } = sending.asked;
        if user == self.terms.nobody {
            return status == 401;
        }
        let fails = self.terms.may_fail || !plan.is_whole();
        // Over HTTP/2 every success would open a WebSocket.
        let opens_none = sending.wants != Wants::Answer && !plan.is_tunnel();
        match status {
            403 => (self.terms.let_through_by)(user).len() < 2,
            502 => fails || opens_none,
            503 | 504 => fails,
            _ => false,
        }
    }
}
