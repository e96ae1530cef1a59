//! What is known of one request, gathered on its way and told at its end.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use firegate_core::armor::Screened;
use firegate_core::conceal;
use firegate_core::forwarded::Client;
use firegate_core::observed;
use firegate_core::reason::Code;
use firegate_core::snapshot::Backend;
use firegate_core::time::SharedClock;
use firegate_core::trace::TraceContext;
use http::header::{HOST, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::access_log::{AccessLog, AccessLogPolicy};
use super::line::{AccessLine, Refusal};
use crate::connection::Arrival;
use crate::connection::framing::Violation;
use crate::generation::{Generation, ProcessOptions};
use crate::metrics::{Decisions, Ending, Route};
use crate::moment;
use crate::panics::Panics;
use crate::refused::Refused;
use crate::request_id::RequestId;
use crate::stream::{BodyProgress, CutNotice};

/// The status of a request whose client left before the answer: what nginx writes, and Google's for `CANCELLED`
/// (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Where the records of a worker's requests end up.
#[derive(Debug)]
pub(crate) struct Telemetry {
    access_log: AccessLog,
    clock: SharedClock,
    panics: Arc<Panics>,
    /// Whether the worker waits for no request any more.
    gives_up: AtomicBool,
}

/// What is known of one request. It is told, in the log and in the metrics, when it is dropped: whatever becomes of a request,
/// it is told once.
#[derive(Debug)]
pub(crate) struct RequestRecord {
    telemetry: Arc<Telemetry>,
    policy: Arc<AccessLogPolicy>,
    decisions: Arc<Decisions>,
    began: Instant,
    request_id: RequestId,
    /// The head could not be read, and the request only stands for it.
    is_unread: bool,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    trace: Option<TraceContext>,
    client: Client,
    backend: Option<Arc<Backend>>,
    route: Route,
    user_id: Option<String>,
    /// The user was let in without a look at their account.
    is_unchecked: bool,
    request_bytes: Option<Arc<AtomicU64>>,
    sent: Option<Sent>,
    /// Who tells how a WebSocket went on.
    tunnel: Option<oneshot::Sender<Box<RequestRecord>>>,
    answer: Option<Answer>,
    refusal: Option<Refusal>,
    screened: Option<Screened>,
    pub(super) response_bytes: u64,
    connection: CutNotice,
    /// How far the bodies are.
    progress: Option<BodyProgress>,
    /// Why the answer did not reach its end.
    pub(super) cut: Option<Cow<'static, str>>,
}

/// That the request was sent to its service.
#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    attempts: u32,
    /// The origin of the endpoint that was asked last.
    endpoint: Arc<str>,
    /// How long the service took, once it has answered.
    latency: Option<Duration>,
}

/// The answer's head.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: StatusCode,
    ending: Ending,
}

impl Telemetry {
    pub(crate) fn new(process: &ProcessOptions, panics: Arc<Panics>) -> Self {
        let (access_log, clock) = (AccessLog::new(process.log.clone()), Arc::clone(&process.clock));
        Self { access_log, clock, panics, gives_up: AtomicBool::new(false) }
    }

    /// The worker waits for no request any more: what is under way ends with it, and not with its client.
    pub(crate) fn give_up(&self) {
        self.gives_up.store(true, Ordering::Relaxed);
    }

    /// The panics of this process.
    pub(super) fn panics(&self) -> &Panics {
        &self.panics
    }

    /// Hands over what is to be logged when it has become old. Runs on the worker.
    pub(crate) async fn run(&self) {
        self.access_log.run().await;
    }

    /// Begins the record of a request, of which nothing is read yet: its client is whoever has opened the connection.
    pub(crate) fn begin(
        self: &Arc<Self>,
        generation: &Generation,
        request_id: RequestId,
        parts: &Parts,
        arrival: Arrival,
        connection: CutNotice,
    ) -> Box<RequestRecord> {
        let [mut host, mut user_agent, mut referer] = [None, None, None];
        for (name, value) in &parts.headers {
            let told = if *name == HOST {
                &mut host
            } else if *name == USER_AGENT {
                &mut user_agent
            } else if *name == REFERER {
                &mut referer
            } else {
                continue;
            };
            told.get_or_insert_with(|| value.clone());
        }
        Box::new(RequestRecord {
            telemetry: Arc::clone(self),
            policy: Arc::clone(&generation.access_log),
            decisions: Arc::clone(&generation.decisions),
            began: moment::now(),
            request_id,
            is_unread: parts.extensions.get::<Violation>().is_some(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            host,
            user_agent,
            referer,
            trace: None,
            client: Client { address: arrival.peer.ip(), scheme: arrival.scheme(), is_vouched_for: false },
            backend: None,
            route: Route::NONE,
            user_id: None,
            is_unchecked: false,
            request_bytes: None,
            sent: None,
            tunnel: None,
            answer: None,
            refusal: None,
            screened: None,
            response_bytes: 0,
            connection,
            progress: None,
            cut: None,
        })
    }
}

impl RequestRecord {
    /// By what the bytes of the request's body are counted.
    pub(crate) fn request_bytes(&mut self) -> Arc<AtomicU64> {
        Arc::clone(self.request_bytes.get_or_insert_default())
    }

    /// The headers say who the client is, and which trace the request belongs to.
    pub(crate) fn comes_from(&mut self, client: Client, trace: Option<TraceContext>) {
        self.client = client;
        self.trace = trace;
    }

    /// The request's path leads to this backend.
    pub(crate) fn routed(&mut self, backend: &Arc<Backend>, route: Route) {
        self.backend = Some(Arc::clone(backend));
        self.route = route;
    }

    /// The request's path leads elsewhere, to no backend.
    pub(crate) fn redirected(&mut self, route: Route) {
        self.route = route;
    }

    /// The request is about this backend, without being sent there.
    pub(crate) fn is_for(&mut self, backend: &Arc<Backend>) {
        self.backend = Some(Arc::clone(backend));
    }

    /// A security policy has looked at the request.
    pub(crate) fn screened(&mut self, screened: &Screened) {
        self.screened = Some(screened.clone());
    }

    /// The request is a user's.
    pub(crate) fn is_of_user(&mut self, user_id: &str) {
        if self.policy.tells_user_ids {
            self.user_id = Some(user_id.to_owned());
        }
    }

    /// The request is that of a user who was let in without a look at their account. Such a user is named in any case: whoever
    /// looks for those who had no right to come in has nothing else to find them by.
    pub(crate) fn is_of_unchecked_user(&mut self, user_id: &str) {
        self.is_unchecked = true;
        self.user_id = Some(user_id.to_owned());
    }

    /// The request is about to be sent to an endpoint of its service, perhaps once more.
    pub(crate) fn sending(&mut self, endpoint: &Arc<str>) {
        let endpoint = Arc::clone(endpoint);
        self.sent = Some(match self.sent.take() {
            Some(sent) => Sent { attempts: sent.attempts + 1, endpoint, ..sent },
            // How long the request took until here is Firegate's own share, and within one poll.
            None => Sent { at: Instant::now(), attempts: 1, endpoint, latency: None },
        });
    }

    /// Whether the request was sent to a service.
    pub(crate) fn was_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// The service has answered, or failed to.
    pub(crate) fn sent(&mut self) {
        if let Some(sent) = &mut self.sent {
            sent.latency = Some(moment::now().duration_since(sent.at));
        }
    }

    /// The answer switches protocols; who gets the record at `tunnel` tells what went through until the end.
    pub(crate) fn switches(&mut self, tunnel: oneshot::Sender<Box<Self>>) {
        self.tunnel = Some(tunnel);
    }

    /// The request is forwarded, and its bodies have begun.
    pub(crate) fn goes_by(&mut self, progress: BodyProgress) {
        self.progress = Some(progress);
    }

    /// Why an answer that has come to an end is none of the service's own, if it is not.
    pub(super) fn ended_by_door(&self) -> Option<Cow<'static, str>> {
        self.progress.as_ref().and_then(BodyProgress::cut).map(Cow::Borrowed)
    }

    /// Why an answer is dropped that nobody has ended; `by_client` unless the worker gives up or the connection was cut.
    pub(super) fn dropped(&self, by_client: &'static str) -> Cow<'static, str> {
        let has_given_up = self.telemetry.gives_up.load(Ordering::Relaxed);
        let by_door = if has_given_up { Some("the proxy stopped") } else { self.connection.why() };
        Cow::Borrowed(by_door.unwrap_or(by_client))
    }

    /// Where it ends up.
    pub(super) fn telemetry(&self) -> Arc<Telemetry> {
        Arc::clone(&self.telemetry)
    }

    /// The answer is on its way: its body has the record, or, of one that switches protocols, the tunnel.
    pub(super) fn for_body(mut self: Box<Self>) -> Option<Box<Self>> {
        let Some(tunnel) = self.tunnel.take() else { return Some(self) };
        // A tunnel that is over already leaves the record to be told as it is.
        tunnel.send(self).err().into_iter().for_each(drop);
        None
    }

    /// What went through a tunnel, and why it was ended, unless one of the sides ended it.
    pub(crate) fn tunnelled(&mut self, to_service: u64, to_client: u64, cut: Option<&'static str>) {
        self.request_bytes().fetch_add(to_service, Ordering::Relaxed);
        self.response_bytes = to_client;
        self.cut = cut.map(Cow::Borrowed);
    }

    /// The request is not forwarded, or its answer not handed on.
    pub(crate) fn refused(&mut self, refused: &Refused) {
        self.refusal = Some(Refusal::of(refused));
    }

    /// The request is forwarded although it would be refused.
    pub(crate) fn would_be_refused(&mut self, refusal: &observed::Refusal) {
        self.refusal = Some(Refusal::observed(refusal));
    }

    /// What the request would have been refused for, and is not, because its backend is only observed.
    pub(crate) fn observed(&self) -> Option<Code> {
        self.refusal.as_ref().filter(|refusal| refusal.is_observed).map(|refusal| refusal.code)
    }

    /// The answer's head is there.
    pub(crate) fn answered(&mut self, status: StatusCode, ending: Ending) {
        self.answer = Some(Answer { status, ending });
        self.decisions.count(ending, self.route);
        let share = self.sent.as_ref().map(|sent| sent.at.duration_since(self.began));
        let latency = moment::now().duration_since(self.began);
        self.decisions.answered(self.route, latency, share);
    }

    /// What the client and the log know it by.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// Whether the answer ends with its head (RFC 9110, section 6.4.1).
    pub(super) fn answer_has_no_body(&self) -> bool {
        let status = self.answer.map(|answer| answer.status);
        self.method == Method::HEAD
            || status.is_some_and(|status| {
                status.is_informational()
                    || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            })
    }

    /// Tells what is known, once.
    fn tell(&self) {
        let latency = moment::now().duration_since(self.began);
        let request_bytes = self.request_bytes.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed));
        let ending = self.answer.map_or(Ending::Cancelled, |answer| answer.ending);
        self.decisions.ended(self.route, request_bytes, self.response_bytes, self.cut.is_some());
        let target = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let target = conceal::url(target.as_bytes());
        let host = self.uri.authority().map(|authority| authority.as_str().as_bytes());
        let host = host.or(self.host.as_ref().map(HeaderValue::as_bytes)).unwrap_or_default();
        let user_agent = self.user_agent.as_ref().map(|value| conceal::tokens(value.as_bytes()));
        let referer = self.referer.as_ref().map(|value| conceal::url(value.as_bytes()));
        let line = AccessLine {
            at: self.telemetry.clock.since_epoch(),
            request_id: self.request_id.as_str(),
            is_unread: self.is_unread,
            method: self.method.as_str(),
            scheme: self.client.scheme,
            host: &conceal::tokens(host),
            target: &target,
            protocol: self.version,
            user_agent: user_agent.as_deref(),
            referer: referer.as_deref(),
            remote: self.client.address,
            status: self.answer.map_or(CLIENT_CLOSED_REQUEST, |answer| answer.status.as_u16()),
            request_bytes,
            response_bytes: self.response_bytes,
            latency,
            upstream_latency: self.sent.as_ref().and_then(|sent| sent.latency),
            attempts: self.sent.as_ref().map_or(0, |sent| sent.attempts),
            endpoint: self.sent.as_ref().map(|sent| &*sent.endpoint),
            trace: self.trace.as_ref(),
            project: &self.policy.project,
            backend: self.backend.as_ref().map_or("", |backend| backend.name.as_str()),
            route: self.decisions.route_name(self.route),
            outcome: ending.outcome(),
            refusal: self.refusal.as_ref(),
            screened: self.screened.as_ref(),
            user_id: self.user_id.as_deref(),
            is_unchecked: self.is_unchecked,
            cut: self.cut.as_deref(),
        };
        self.telemetry.access_log.append(&self.policy, &line);
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if self.answer.is_none() {
            self.decisions.count(Ending::Cancelled, self.route);
            self.cut = Some(self.dropped("the client left before the answer"));
        }
        self.tell();
    }
}
