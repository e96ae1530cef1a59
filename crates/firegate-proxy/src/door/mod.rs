//! The front door: one request from its head to its answer. The decision is core's; here its needs are fetched, its
//! permit is turned into a request to the service, and its refusals are logged and rendered.

mod error_page;
mod forward;
mod hints;
mod mirror;
mod own_paths;

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use firegate_core::decision::{Decision, Outcome, Respond, Step, World};
use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::{self, client};
use firegate_core::observed::Forwarding;
use firegate_core::reason::{Code, Reason, Stage};
use firegate_core::route::{RouteEntry, Routed};
use firegate_core::time::UnixTime;
use firegate_core::trace::TraceContext;
use http::header::{CONNECTION, CONTENT_LENGTH, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, request::Parts};
use http_body::Body as _;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::client_places::ClientPlaces;
use crate::connection::framing::Violation;
use crate::connection::{Arrival, Drain};
use crate::exchange::ExchangeRefused;
use crate::generation::{Generation, ProcessOptions};
use crate::limits::{EXCHANGE_FORMS_PER_CLIENT_MAX, EXCHANGES_MAX, OWN_ANSWER_TIMEOUT};
use crate::listen::Entrance;
use crate::metrics::Ending;
use crate::moment::HeldClock;
use crate::panics::Panics;
use crate::refused::{Refused, denial, fault};
use crate::reload::Reloads;
use crate::request::{self, RequestHead};
use crate::request_id::{RequestId, RequestIds};
use crate::requests::{HeldBody, RequestsUnderWay};
use crate::respond::{ErrorForm, FIREGATE_REQUEST_ID, refusal};
use crate::stream::{
    Body, ClientBody, ClientUpgrade, ConnectionStreams, CutConnections, Lease, OpenStream, SentBody, Tunnels,
    full,
};
use crate::telemetry::{ObservedBody, RequestRecord, Telemetry};

pub(crate) use hints::Hints;
use mirror::Mirrors;
pub use own_paths::{OwnAnswer, OwnPath};
use own_paths::{PreflightMarker, preflight, redirect};

/// What every worker shares.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The configuration in force.
    generation: ArcSwap<Generation>,
    pub(crate) process: ProcessOptions,
    /// The public side, which no other configuration changes.
    pub(crate) entrance: Entrance,
    pub(crate) reloads: Reloads,
    pub(crate) panics: Arc<Panics>,
    pub(crate) requests: RequestsUnderWay,
    pub(crate) cut_connections: Arc<CutConnections>,
    pub(crate) hints: Hints,
    request_ids: RequestIds,
    /// The places of token exchanges under way.
    pub(crate) exchanges: Semaphore,
    /// Whose forms the token endpoint waits for.
    pub(crate) exchange_forms: ClientPlaces,
    mirrors: Mirrors,
}

impl Shared {
    pub(crate) fn new(
        process: ProcessOptions,
        entrance: Entrance,
        panics: Arc<Panics>,
        generation: Generation,
    ) -> Self {
        let clock = Arc::new(HeldClock(process.clock));
        let process = ProcessOptions { clock, ..process };
        Self {
            generation: ArcSwap::from_pointee(generation),
            reloads: Reloads::new(process.clock.now()),
            // An emulator's tokens are not signed.
            hints: Hints::new(process.is_local && process.lookup_bearer.is_none()),
            process,
            entrance,
            panics,
            requests: RequestsUnderWay::default(),
            cut_connections: Arc::default(),
            request_ids: RequestIds::new(),
            exchanges: Semaphore::new(EXCHANGES_MAX),
            exchange_forms: ClientPlaces::new(EXCHANGE_FORMS_PER_CLIENT_MAX),
            mirrors: Mirrors::new(),
        }
    }

    /// The generation in force. Takes no lock.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Puts another generation in force for the requests that come from now on.
    pub(crate) fn replace(&self, generation: Generation) {
        self.entrance.go_by(generation.forwarded_trust.clone());
        generation.control.take_effect();
        self.generation.store(Arc::new(generation));
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.process.clock.now()
    }

    /// How many requests were not mirrored for want of a place.
    pub(crate) fn mirrors_dropped(&self) -> u64 {
        self.mirrors.dropped()
    }

    /// Whether requests may come: users can be identified, and the process is to go on.
    pub(crate) fn is_ready(&self) -> bool {
        !self.entrance.is_stopping() && self.generation().control.is_ready()
    }
}

/// A worker's front door.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    /// Which worker: its connections are its own.
    worker: usize,
    /// When the worker's connections end. Behind a pointer, for to clone a token takes its lock.
    stop: Arc<CancellationToken>,
    tunnels: Tunnels,
    telemetry: Arc<Telemetry>,
}

/// One request on its way, with the configuration that it is served by to its end.
#[derive(Debug)]
pub(crate) struct RequestContext<'a> {
    pub(crate) door: &'a Door,
    pub(crate) generation: Arc<Generation>,
    /// The connection that it came by.
    arrival: Arrival,
    /// By what the streams of its connection are listed.
    pub(crate) streams: &'a ConnectionStreams,
}

impl Door {
    pub(crate) fn new(
        shared: Arc<Shared>,
        worker: usize,
        drain: &Drain,
        tunnels: Tunnels,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self { shared, worker, stop: Arc::new(drain.begun().clone()), tunnels, telemetry }
    }

    /// Answers one request. What it streams is listed among the connection's streams. The door and they are borrowed by the
    /// requests of an HTTP/1 connection, which outlives them, and shared by the streams of HTTP/2, which are tasks. This is no
    /// `async fn`, which would have room for the request twice: as its argument, and in its parts. Inlined, so that what it
    /// returns is written where it stays: it is large, and little of it is there before it is polled.
    #[inline(always)]
    pub(crate) fn answer<D, S>(
        door: D,
        request: Request<SentBody>,
        upgrade: Option<ClientUpgrade>,
        arrival: Arrival,
        streams: S,
    ) -> impl Future<Output = Response<HeldBody<ObservedBody>>> + Send + use<D, S>
    where
        D: Deref<Target = Self> + Send,
        S: Deref<Target = ConnectionStreams> + Send,
    {
        let Shared { requests, request_ids, .. } = &*door.shared;
        let generation = door.shared.generation();
        let place = requests.begin(generation.configuration.requests_max);
        let on_connection = streams.begin_request();
        let trust = generation.forwarded_trust.as_ref();
        let given = forwarded::request_id(trust, arrival.peer.ip(), request.headers());
        let given = given.and_then(|value| value.to_str().ok());
        let request_id = given.map_or_else(|| request_ids.next(), |name| RequestId::Given(name.to_owned()));
        let (parts, body) = request.into_parts();
        let connection = streams.cut_notice();
        let mut record = door.telemetry.begin(&generation, request_id, &parts, arrival, connection);
        let body = ClientBody::new(body, || record.request_bytes());
        async move {
            let context = RequestContext { door: &door, generation, arrival, streams: &streams };
            let (response, watched) =
                context.answer(&parts, body, upgrade, place.is_some(), &mut record).await;
            response.map(|body| HeldBody::new(ObservedBody::new(body, record), place, on_connection, watched))
        }
    }
}

impl RequestContext<'_> {
    /// Answers the request in any case: a panic on its way is its own. With an answer of Firegate's own comes the watch over
    /// it: a client that does not read it must not keep its place. A service's is watched over by its bounds.
    async fn answer(
        &self,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<ClientUpgrade>,
        has_place: bool,
        record: &mut RequestRecord,
    ) -> (Response<Body>, Option<OpenStream>) {
        let Shared { panics, .. } = &*self.door.shared;
        let mut cors_entry = None;
        let served = {
            // Pinned where it stays: it is large, and whatever takes it by value copies it.
            let serving = pin!(self.serve(parts, body, upgrade, has_place, record, &mut cors_entry));
            panics.catch(serving).await
        };
        let served = served.unwrap_or_else(|panicked| {
            tracing::error!(%panicked, request_id = record.request_id(), "a request was given up");
            Err(fault(Code::Internal, Stage::Facts, panicked))
        });
        let ending = ending(&served, record);
        let is_own = served.is_err() || !record.was_sent();
        let is_unread = served.as_ref().err().is_some_and(Refused::is_of_the_head);
        let has_left = matches!(served, Err(Refused::Departed(_)));
        let mut response = served.unwrap_or_else(|refused| {
            if !has_left {
                record.refused(&refused);
            }
            refusal(&refused, ErrorForm::of(&parts.headers), record.request_id())
        });
        if is_unread && parts.version < Version::HTTP_2 {
            // Where a head may be read in two ways, so may be where it ends: what follows it has no meaning.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Who has left before the end of the request is told of as who has left before the answer.
        if !has_left {
            record.answered(response.status(), ending);
        }
        let cors = self.generation.snapshot.cors.as_ref();
        if let Some(cors) = cors_entry.as_ref().map_or(cors, |entry| entry.cors(cors))
            && response.extensions_mut().remove::<PreflightMarker>().is_none()
        {
            cors.decorate(the_one(&parts.headers, &ORIGIN), response.headers_mut());
        }
        if let Ok(value) = HeaderValue::from_str(record.request_id()) {
            response.headers_mut().insert(FIREGATE_REQUEST_ID, value);
        }
        if is_own {
            leave_the_head(&parts.method, &mut response);
        }
        let is_watched = is_own && !response.body().is_end_stream();
        let watched = is_watched.then(|| self.streams.open(&Lease::default(), Some(OWN_ANSWER_TIMEOUT)));
        (response, watched)
    }

    async fn serve(
        &self,
        parts: &Parts,
        body: ClientBody,
        upgrade: Option<ClientUpgrade>,
        has_place: bool,
        record: &mut RequestRecord,
        cors_entry: &mut Option<RouteEntry>,
    ) -> Result<Response<Body>, Refused> {
        let Generation { snapshot, forwarded_trust, .. } = &*self.generation;
        let arrival = self.arrival;
        let client = client(forwarded_trust.as_ref(), arrival.peer.ip(), arrival.scheme(), &parts.headers);
        record.comes_from(client, TraceContext::of(&parts.headers));
        if !has_place {
            let why = "`limits.requests_max` is reached";
            return Err(fault(Code::FiregateOverloaded, Stage::Facts, why));
        }
        if let Some(violation) = parts.extensions.get::<Violation>() {
            return Err(denial(violation.reason(), Stage::Facts));
        }
        let mut facts = request::read(parts, client.scheme).map_err(|reason| denial(reason, Stage::Facts))?;
        facts.random = self.door.shared.request_ids.random();
        (facts.client, facts.is_vouched_for) = (client.address, client.is_vouched_for);
        let head = RequestHead { facts, client, arrival };
        if !self.door.shared.process.answers_to(head.facts.host) {
            let host = head.facts.host.to_owned();
            return Err(denial(Reason::HostNotLocal { host }, Stage::Facts));
        }
        if let Some(own) = OwnAnswer::of(&head.facts, snapshot).map_err(Refused::Denial)? {
            // Seldom asked for, and large: every other request would carry the room for it.
            return Ok(Box::pin(self.at_own_path(own, &head, parts, body, record)).await);
        }
        let outcome = self.decide(|world| Decision::start(&head.facts, world)).await;
        *cors_entry = self.note_route(&outcome, &head.facts, record);
        match outcome {
            Outcome::Permit(permit) => {
                self.forward(Forwarding::Permitted(permit), &head, parts, body, upgrade, record).await
            }
            Outcome::Observed(observed) => {
                record.would_be_refused(observed.refusal());
                self.forward(Forwarding::Observed(observed), &head, parts, body, upgrade, record).await
            }
            Outcome::Respond(Respond::Preflight(answer)) => Ok(preflight(answer)),
            Outcome::Respond(Respond::Redirect(answer)) => Ok(redirect(answer)),
            Outcome::Denial(denial) => Err(Refused::Denial(denial)),
            Outcome::Fault(fault) => Err(Refused::Fault(fault)),
        }
    }

    /// Takes note of where a request goes or would have gone, and what its policy said. Returns the route if it has rules for
    /// other origins of its own.
    fn note_route(
        &self,
        outcome: &Outcome,
        facts: &RequestFacts<'_>,
        record: &mut RequestRecord,
    ) -> Option<RouteEntry> {
        let Generation { snapshot, decisions, .. } = &*self.generation;
        let screened = facts.screened.get();
        if let Some(screened) = screened {
            record.screened(screened);
        }
        let routed = match outcome {
            Outcome::Permit(_) | Outcome::Observed(_) => None,
            _ => snapshot.routes.select(facts).ok(),
        };
        if let Some(Routed::Redirect(route, _)) = routed {
            record.redirected(decisions.redirect(route));
        }
        let entry = match outcome {
            Outcome::Permit(permit) => permit.route(),
            Outcome::Observed(observed) => observed.route(),
            _ => routed.as_ref().and_then(Routed::entry),
        }?;
        let route = decisions.route(entry.route(), entry.backend());
        record.routed(entry.backend(), route);
        if let Some(screened) = screened {
            decisions.screened(route, screened);
        }
        entry.has_own_cors().then(|| entry.clone())
    }

    /// Drives the decision, fetching what it needs.
    pub(crate) async fn decide<'a>(&self, start: impl FnOnce(&World<'_>) -> Step<'a>) -> Outcome {
        let Generation { snapshot, control, .. } = &*self.generation;
        let shared = &self.door.shared;
        let (accounts, counters) = (control.accounts(), control.counters());
        let mut now = shared.now();
        let mut keys = control.key_ring(now);
        let mut step = start(&World { snapshot, keys: &keys.ring, accounts, counters, now });
        loop {
            let (need, decision) = match step {
                Step::Done(outcome) => return outcome,
                Step::Need(need, decision) => (need, decision),
            };
            // A warm request needs nothing, and carries no room for fetching.
            let answer = Box::pin(control.fetch(need, &keys)).await;
            now = shared.now();
            keys = control.key_ring(now);
            let world = World { snapshot, keys: &keys.ring, accounts, counters, now };
            step = decision.resume(answer, &world);
        }
    }
}

/// Leaves the head alone of an answer that has no content: to HEAD, with the length of what is left out (RFC
/// 9110, section 9.3.2), or with a status that says so, as a URL map can inject it. Over HTTP/2 hyper sends
/// the content all the same, for which clients give the whole answer up.
fn leave_the_head(method: &Method, response: &mut Response<Body>) {
    let has_none = matches!(response.status().as_u16(), 204 | 205 | 304);
    if *method != Method::HEAD && !has_none {
        return;
    }
    let length = response.body().size_hint().exact().filter(|length| *length > 0 && !has_none);
    if let Some(length) = length {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    *response.body_mut() = full("");
}

/// The value of a header that has exactly one: of two, nobody knows which the other side would go by.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// How a request ended, for the counters.
fn ending(served: &Result<Response<Body>, Refused>, record: &RequestRecord) -> Ending {
    match served {
        Ok(response) if let Some(ExchangeRefused(code)) = response.extensions().get() => {
            Ending::Refused(*code)
        }
        Ok(_) if let Some(code) = record.observed() => Ending::WouldRefuse(code),
        // The redirect of a security policy has a backend, to which nothing was sent.
        Ok(_) if !record.was_sent() => Ending::Respond,
        Ok(_) => Ending::Permit,
        Err(refused) => Ending::Refused(refused.code()),
    }
}
