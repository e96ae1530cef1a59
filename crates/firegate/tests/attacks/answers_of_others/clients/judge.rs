//! Whether what came is what may come.

use http::Method;

use super::super::asked::{Asked, Plan, content, messages};
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
    pub(super) ended: Result<Trailer, String>,
}

/// What is said behind an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Trailer {
    pub(super) to: Option<String>,
    pub(super) grpc_status: Option<String>,
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
            204 => plan.is_empty(),
            403 => *wants != Wants::Answer,
            status => status == 200,
        };
        check("a status", is_status);
        check("no WebSocket", !plan.is_tunnel());
        let expected = if *method == Method::HEAD || plan.is_empty() { 0 } else { answer_bytes };
        let may_break_off = self.may_fail(*asked) || sending.speaks_too_early();
        if plan == Plan::Messages && *method != Method::HEAD {
            self.judge_messages(sending, got, ended, &shown);
            return;
        }
        check("another's content", *got == content('d', number, got.len()));
        match ended {
            Ok(trailer) => {
                check("part of an answer for the whole", got.len() == expected);
                check("a trailer", trailer.to.as_ref().is_none_or(|to| *to == number.to_string()));
                self.told.whole += 1;
            }
            Err(_) => {
                check("an answer broke off that was whole", may_break_off);
                self.told.broken += 1;
            }
        }
    }

    /// Whether a stream of messages is this request's: those that came are whole, and all if it ends well.
    fn judge_messages(
        &mut self,
        sending: &Sending,
        got: &[u8],
        ended: &Result<Trailer, String>,
        shown: &str,
    ) {
        let Asked { number, answer_bytes, .. } = sending.asked;
        let check = |what: &str, holds: bool| self.check(what, sending, shown, holds);
        let whole = messages(number, got);
        let Ok(trailer) = ended else {
            check("a stream broke off that was whole", self.may_fail(sending.asked));
            self.told.broken += 1;
            return;
        };
        // Over HTTP/1 there are no trailers, and what comes to its end is whole.
        if trailer.grpc_status.as_deref().is_none_or(|status| status == "0") {
            check("part of a stream for the whole", whole == Some(answer_bytes));
            check("another's trailer", trailer.to.as_ref().is_none_or(|to| *to == number.to_string()));
            check("no status", trailer.grpc_status.is_some() != self.speaks_http1());
            self.told.whole += 1;
        } else {
            check("a stream was ended", self.may_fail(sending.asked));
            check("part of a message, or another's", whole.is_some());
            self.told.cut += 1;
        }
    }

    /// Whether what a service does may come to nothing.
    fn may_fail(&self, asked: Asked) -> bool {
        self.terms.may_fail || (self.terms.expires)(asked.user) || !asked.plan.is_whole()
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
                check("a WebSocket broke off", self.may_fail(sending.asked));
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
        let Some(by) = origin.answered_by.as_deref().filter(|by| *by != "none") else { return };
        // What opens a WebSocket has none of the headers that a URL map adds.
        let is_told = origin.configuration.is_some() || sending.wants != Wants::Answer;
        let is_one = origin.configuration.as_deref().is_none_or(|configuration| configuration == by);
        check("a mix of two configurations", is_told && is_one);
        check("a user who is not let through", (self.terms.let_through_by)(user).contains(&by));
    }

    /// Whether the door itself may answer so.
    fn may_be_refused(&self, sending: &Sending, status: u16) -> bool {
        let Asked { user, plan, .. } = sending.asked;
        if user == self.terms.nobody {
            return status == 401;
        }
        let fails = self.may_fail(sending.asked);
        // Over HTTP/2 every success would open a WebSocket.
        let opens_none = sending.wants != Wants::Answer && !plan.is_tunnel();
        match status {
            401 => (self.terms.expires)(user),
            403 => (self.terms.let_through_by)(user).len() < 2,
            502 => fails || opens_none,
            // On a busy machine a client may be waited for that has much to send.
            408 => self.terms.may_fail && !sending.content.is_empty(),
            503 | 504 => fails,
            _ => false,
        }
    }
}
