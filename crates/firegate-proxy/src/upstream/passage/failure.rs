//! A request that got no answer: what the client is told, and whether it may be sent once more.

use firegate_core::reason::{Code, Denial, Reason, Stage};
use http_body::Body as _;

use super::{Passage, Sending, fault};
use crate::limits::UPSTREAM_ATTEMPTS_MAX;
use crate::refused::Refused;
use crate::stream::{Body, BodyFailure, full};
use crate::upstream::connect::{ConnectError, ConnectErrorKind};
use crate::upstream::recoverable_body::BodyRecovery;
use crate::upstream::retries::{Miss, Retries};
use crate::upstream::unanswered::{UNFINISHED, Unanswered};

/// A request that got no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    refused: Refused,
    passage: Passage,
    /// What may be sent once more, if anything may.
    body: Option<Body>,
    /// Whether only another endpoint can help.
    needs_another: bool,
    miss: Miss,
    /// Whether it has no body, and so can be sent again if its route says so.
    is_without_body: bool,
    /// Whether it came just as the service let go of an open connection: sent by another one it takes nothing from those that
    /// are sent once more because something failed.
    came_too_late: bool,
}

/// How a request was sent.
pub(super) struct Sent {
    pub(super) has_body: bool,
    pub(super) is_idempotent: bool,
    /// By a connection that was open before.
    pub(super) is_reused: bool,
    pub(super) recovery: Option<BodyRecovery>,
}

impl Passage {
    /// No connection could be had: nothing was sent.
    pub(super) fn unconnected(self, error: &ConnectError, body: Body) -> Box<Failure> {
        let code = match error.kind {
            ConnectErrorKind::Unreachable => Code::UpstreamUnreachable,
            ConnectErrorKind::TimedOut => Code::UpstreamConnectTimedOut,
            ConnectErrorKind::Protocol => Code::UpstreamProtocol,
            ConnectErrorKind::NoWebSockets => Code::UpstreamWithoutWebSockets,
            ConnectErrorKind::NoRoomForWebSockets => Code::UpstreamOverloaded,
            ConnectErrorKind::OutOfResources | ConnectErrorKind::OutOfPorts => Code::Overloaded,
            ConnectErrorKind::Panicked => Code::Internal,
        };
        if error.kind.is_endpoints() {
            self.endpoint().failed();
        }
        if error.kind == ConnectErrorKind::NoRoomForWebSockets {
            self.upstream.load.count_refused();
        }
        let refused = fault(code, error.to_string());
        let may_go_elsewhere = error.kind.may_go_elsewhere();
        let miss = if may_go_elsewhere { Miss::NoConnection } else { Miss::Clients };
        Box::new(Failure {
            refused,
            passage: self,
            is_without_body: body.is_end_stream(),
            body: Some(body).filter(|_| may_go_elsewhere),
            needs_another: true,
            miss,
            came_too_late: false,
        })
    }

    /// There was a connection, and no answer.
    pub(super) fn unanswered(
        mut self,
        unanswered: Unanswered,
        sending: &Sending<'_>,
        sent: Sent,
    ) -> Box<Failure> {
        self.avoids_open = true;
        if let Some(failure) = sending.progress.failure() {
            let refused = self.broken_off(failure);
            return self.failure(refused, None, Miss::Clients, false);
        }
        let came_too_late = sent.is_reused && unanswered.is_goodbye();
        if !unanswered.is_clients() && !came_too_late {
            self.endpoint().failed();
        }
        let code = if self.is_late() { Code::UpstreamTimedOut } else { unanswered.code() };
        let refused = fault(code, unanswered.to_string());
        let was_not_processed = unanswered.was_not_processed();
        let miss = match &unanswered {
            unanswered if unanswered.is_clients() => Miss::Clients,
            _ if was_not_processed => Miss::NotProcessed,
            Unanswered::TimedOut => Miss::TimedOut,
            _ => Miss::Broken,
        };
        let is_twice_as_once = sent.is_idempotent && unanswered.is_break();
        let body = match unanswered {
            Unanswered::Unsent(request, _) => Some(request.into_body()),
            _ if sent.has_body => {
                // What was had back of it is to be taken before the client is waited for again.
                sending.progress.note_awaits_client(false);
                sent.recovery.filter(|_| was_not_processed).and_then(BodyRecovery::recover)
            }
            _ => (was_not_processed || is_twice_as_once).then(|| full("")),
        };
        let failure = self.failure(refused, body, miss, !sent.has_body);
        Box::new(Failure { came_too_late, ..*failure })
    }

    /// Why a request is given up whose body did not reach its end. It says nothing of the endpoint.
    fn broken_off(&self, failure: BodyFailure) -> Refused {
        let denial = |reason| Denial { reason, stage: Stage::Upstream };
        Refused::Denial(denial(match failure {
            BodyFailure::LeaseOver => Reason::LeaseOver,
            BodyFailure::Malformed => Reason::RequestMalformed { why: "the body is malformed" },
            BodyFailure::TooLarge => Reason::BodyTooLarge { bytes_max: self.upstream.body_bytes_max },
            BodyFailure::TooSlow | BodyFailure::Idle => Reason::BodyTooSlow,
            BodyFailure::Left => {
                return Refused::Departed(denial(Reason::RequestMalformed { why: "the body broke off" }));
            }
            BodyFailure::TooLong => return fault(Code::UpstreamTimedOut, UNFINISHED.to_owned()),
            BodyFailure::Panicked => {
                return fault(Code::Internal, "the request's body was broken off".to_owned());
            }
            BodyFailure::CopyBroken => {
                return fault(Code::UpstreamBrokeOff, "the copy of the body was broken off".to_owned());
            }
        }))
    }

    fn failure(
        self,
        refused: Refused,
        body: Option<Body>,
        miss: Miss,
        is_without_body: bool,
    ) -> Box<Failure> {
        Box::new(Failure {
            refused,
            passage: self,
            body,
            needs_another: false,
            miss,
            is_without_body,
            came_too_late: false,
        })
    }
}

impl Failure {
    /// Why there is no answer.
    pub(crate) fn refused(self) -> Refused {
        self.refused
    }

    /// What is to be sent once more, and where. Nothing of the request was sent, or it has no body and sending it twice does
    /// what sending it once does (RFC 9110, section 9.2.2), or the service said that it did nothing with it and no more
    /// than the first piece was taken of its body.
    ///
    /// # Errors
    /// Why there is no answer, if it may not be sent once more.
    pub(crate) fn again(self) -> Result<(Passage, Body), Refused> {
        let Self { refused, passage, body, needs_another, came_too_late, .. } = self;
        let has_another = passage.attempts + 1 < passage.upstream.members.len();
        let may = (has_another || !needs_another) && passage.attempts + 1 < UPSTREAM_ATTEMPTS_MAX;
        match body.filter(|_| may) {
            Some(body) if came_too_late && !passage.is_late() => Ok((passage.once_more(), body)),
            body => Self::repeat(refused, passage, body),
        }
    }

    /// The same as [`Self::again`], for a request whose route says when it is tried again.
    ///
    /// # Errors
    /// Why there is no answer, if it may not be sent once more.
    pub(crate) async fn again_by(self, retries: &mut Retries) -> Result<(Passage, Body), Refused> {
        let may_resend = self.body.is_some() || self.is_without_body;
        if retries.are_used_up() {
            return Err(self.refused);
        }
        if !may_resend || self.came_too_late || !retries.cover(self.miss) {
            return self.again();
        }
        let pause = retries.spend();
        let Self { refused, passage, body, .. } = self;
        tokio::time::sleep(pause).await;
        Self::repeat(refused, passage, Some(body.unwrap_or_else(|| full(""))))
    }

    fn repeat(
        refused: Refused,
        mut passage: Passage,
        body: Option<Body>,
    ) -> Result<(Passage, Body), Refused> {
        let Some(body) = body else { return Err(refused) };
        if passage.begin_repeat() { Ok((passage.once_more(), body)) } else { Err(refused) }
    }
}
