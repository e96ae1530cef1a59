//! Observe mode: a backend with `enforce: observe` gets the requests that the rules refuse too, and what would have been
//! refused is told. It gets nothing with them that it would not get without Firegate: no Google credential, no assertion and
//! no identity header. For that they have a type of their own, from which nothing of the kind can be had.

use std::borrow::Cow;
use std::sync::Arc;

use firegate_files::configuration::{AppCheck, TokenSource};
use http::HeaderName;

use crate::armor::Policy;
use crate::facts::RequestFacts;
use crate::permit::{Lease, Permit};
use crate::reason::{Code, Denial, Fault, Stage};
use crate::route::{HeaderActions, RouteEntry};
use crate::snapshot::Backend;
use crate::token_source::{PresentedToken, TokenRemoval, presented_token};

/// A request that is forwarded although it would be refused.
#[derive(Debug)]
pub struct Observed {
    backend: Arc<Backend>,
    refusal: Refusal,
    removal: TokenRemoval,
    route: Option<RouteEntry>,
}

/// Why a request would not be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rules refuse it.
    Denial(Denial),
    /// It could not be decided.
    Fault(Fault),
}

/// What is forwarded: by leave, or because its backend is only observed. Closed on purpose.
#[derive(Debug)]
pub enum Forwarding {
    /// The caller may.
    Permitted(Box<Permit>),
    /// The caller may not, and is let through as they would be without Firegate.
    Observed(Box<Observed>),
}

/// The headers of a request by which its security policy decided, and those that were set or removed on its way: what its
/// trailers say of them, nobody has looked at, and some servers add them to its head.
#[derive(Clone, Debug, Default)]
pub struct DecidedHeaders {
    policy: Option<Arc<Policy>>,
    actions: HeaderActions,
}

impl DecidedHeaders {
    /// Whether this is one of them, under whatever name servers may take for it.
    pub fn contain(&self, name: &HeaderName) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.decides_about(name))
            || self.actions.decide_about(name)
    }
}

impl Observed {
    /// Made by the decision alone. `is_callers_own` says whether a token in the place of the user's is none that Firegate
    /// judges, a webhook's for instance, and goes on as it came.
    pub(crate) fn new(
        backend: Arc<Backend>,
        route: Option<RouteEntry>,
        facts: &RequestFacts<'_>,
        refusal: Refusal,
        is_callers_own: impl Fn(&PresentedToken<'_>) -> bool,
    ) -> Self {
        let forwards = backend.forwards_user_token();
        let app_check = *backend.app_check() != AppCheck::Off && !forwards;
        let removal = match presented_token(facts, backend.token_sources()) {
            Ok(token) => TokenRemoval::of(token.filter(|token| !is_callers_own(token)).as_ref(), forwards),
            // Nobody can say which of several is the user's: none of them goes on.
            Err(_) if !forwards => {
                let removes = |source| backend.token_sources().contains(&source);
                TokenRemoval {
                    authorization: removes(TokenSource::Authorization),
                    cookie: removes(TokenSource::Cookie),
                    query: removes(TokenSource::Query),
                    websocket_protocol: removes(TokenSource::WebsocketProtocol),
                    app_check: false,
                }
            }
            Err(_) => TokenRemoval::default(),
        };
        Self { backend, refusal, removal: TokenRemoval { app_check, ..removal }, route }
    }

    /// Why it would be refused.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The backend that it goes to.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// How it goes there.
    pub fn route(&self) -> Option<&RouteEntry> {
        self.route.as_ref()
    }
}

impl Refusal {
    /// The stable name.
    pub fn code(&self) -> Code {
        match self {
            Self::Denial(denial) => denial.reason.code(),
            Self::Fault(fault) => fault.code,
        }
    }

    /// The HTTP status that it would be answered with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Denial(denial) => denial.reason.status(),
            Self::Fault(fault) => fault.code.entry().status,
        }
    }

    /// Where it was decided.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Denial(denial) => denial.stage,
            Self::Fault(fault) => fault.stage,
        }
    }

    /// What to do next, for the operator.
    pub fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Denial(denial) => denial.reason.hint(),
            Self::Fault(fault) => Cow::Borrowed(fault.code.entry().fix),
        }
    }

    /// The evidence, for the operator alone.
    pub fn evidence(&self) -> String {
        match self {
            Self::Denial(denial) => denial.reason.to_string(),
            Self::Fault(fault) => fault.detail.clone(),
        }
    }
}

impl Forwarding {
    /// The leave, if there is one. Credentials, assertions and identity headers are made from it and from nothing else.
    pub fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Permitted(permit) => Some(permit),
            Self::Observed(_) => None,
        }
    }

    /// The backend that the request goes to.
    pub fn backend(&self) -> &Arc<Backend> {
        match self {
            Self::Permitted(permit) => permit.backend(),
            Self::Observed(observed) => observed.backend(),
        }
    }

    /// How the request goes there.
    pub fn route(&self) -> Option<&RouteEntry> {
        match self {
            Self::Permitted(permit) => permit.route(),
            Self::Observed(observed) => observed.route(),
        }
    }

    /// What its head alone may say.
    pub fn decided_headers(&self) -> DecidedHeaders {
        let actions = self.route().and_then(RouteEntry::headers).cloned().unwrap_or_default();
        DecidedHeaders { policy: self.backend().security_policy.clone(), actions }
    }

    /// What of the request goes no further.
    pub fn removal(&self) -> TokenRemoval {
        match self {
            Self::Permitted(permit) => permit.removal(),
            Self::Observed(observed) => observed.removal,
        }
    }

    /// How long the stream may last. What is observed is not ended either.
    pub fn lease(&self) -> Lease<'_> {
        self.permit().map_or(Lease { until: None, revocable: None }, Permit::lease)
    }
}
