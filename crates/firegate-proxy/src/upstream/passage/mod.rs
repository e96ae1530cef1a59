//! The way of one request to its service: which endpoint it goes to, how it is sent, and when it may be sent once more.

mod failure;

use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firegate_core::reason::{Code, Fault, Stage};
use firegate_core::snapshot::Backend;
use futures_util::TryFutureExt as _;
use futures_util::future::Either;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::balance::{Tried, choose};
use super::connect::{ConnectError, ConnectErrorKind};
use super::connections::{Connection, Reuse, SharedStream};
use super::endpoint::{Endpoint, Obtained};
use super::expectation::Expectation;
use super::handshake::ask_over_http2;
use super::headers::OwnFields;
use super::http1::{Http1Connection, RequestTarget};
use super::load::Load;
use super::recoverable_body::BodyRecovery;
use super::service_body::{Answer, ServiceBody};
use super::service_host::ServiceHost;
use super::unanswered::Unanswered;
use crate::limits::UPSTREAM_STALE_CONNECTIONS_MAX;
use crate::moment;
use crate::refused::Refused;
use crate::stream::{Body, BodyProgress};
use failure::{Failure, Sent};

/// The way to one backend, as a generation of the configuration describes it. All workers share it.
#[derive(Debug)]
pub(crate) struct Upstream {
    members: Vec<Member>,
    load: Arc<Load>,
    requests_max: usize,
    body_bytes_max: u64,
    response_headers_timeout: Duration,
    total_timeout: Option<Duration>,
    /// Decides between endpoints that have as many requests under way.
    turn: AtomicUsize,
}

/// An endpoint, and for whom the tokens are that go there.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) audience: Arc<str>,
    /// The URL's origin, as the log tells it.
    pub(super) origin: Arc<str>,
}

/// A request's place among those under way to a backend, and the endpoint that was chosen for it. It is held until the
/// answer has ended. It goes from hand to hand with the request and then with its answer, and is in a box.
#[derive(Debug)]
pub(crate) struct Passage(Box<Way>);

/// How far a request is on its way.
#[derive(Debug)]
pub(crate) struct Way {
    upstream: Arc<Upstream>,
    worker: usize,
    member: usize,
    tried: Tried,
    attempts: usize,
    /// It got no answer by some connection. Others that are open may be as dead, and are not used for it.
    avoids_open: bool,
    /// Whether it has a place among the requests that are sent once more.
    is_repeat: bool,
    limits: TimeLimits,
    deadline: Option<Instant>,
    /// The client's, from the first time that the request is sent: a body that is held back is so each time.
    expectation: Option<Expectation>,
    /// The HTTP/2 connection that a WebSocket has its place on.
    tunnel: Option<SharedStream>,
}

/// Where a connection goes when its answer has ended.
#[derive(Debug)]
pub(super) struct WayBack {
    endpoint: Arc<Endpoint>,
    worker: usize,
}

/// How long a request may take, as far as its route says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLimits {
    /// From the end of the request to the end of its answer, instead of what the backend says of the answer's head.
    pub(crate) whole: Option<Duration>,
    /// For each try.
    pub(crate) per_try: Option<Duration>,
    /// From the head of the request to the end of its answer.
    pub(crate) stream: Option<Duration>,
}

/// What is to be sent, beside the request itself.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) target: PathAndQuery,
    /// The headers that Firegate says itself.
    pub(crate) own_fields: OwnFields<'a>,
    /// The host that the service is told, if not its own.
    pub(crate) host: Option<ServiceHost>,
    pub(crate) wants_upgrade: bool,
    pub(crate) progress: BodyProgress,
}

impl Upstream {
    pub(super) fn new(backend: &Backend, members: Vec<Member>, load: Arc<Load>) -> Self {
        let settings = &backend.settings;
        Self {
            members,
            load,
            requests_max: settings.requests_max,
            body_bytes_max: settings.body_bytes_max,
            response_headers_timeout: settings.timeouts.response_headers,
            total_timeout: settings.timeouts.total,
            turn: AtomicUsize::new(0),
        }
    }

    /// Lets a request of a worker in, and chooses its endpoint.
    ///
    /// # Errors
    /// If too many are under way: then waiting would only make more of them fail.
    pub(crate) fn enter(self: &Arc<Self>, worker: usize, limits: TimeLimits) -> Result<Passage, Refused> {
        if !self.load.requests.enter_below(self.requests_max) {
            self.load.count_refused();
            let detail = format!(
                "{} requests to the backend are under way, as many as `requests_max` allows",
                self.requests_max
            );
            return Err(fault(Code::UpstreamOverloaded, detail));
        }
        let mut passage = Passage(Box::new(Way {
            upstream: Arc::clone(self),
            worker,
            member: 0,
            tried: Tried::default(),
            attempts: 0,
            avoids_open: false,
            is_repeat: false,
            limits,
            deadline: self
                .total_timeout
                .into_iter()
                .chain(limits.stream)
                .min()
                .map(|most| Instant::now() + most),
            expectation: None,
            tunnel: None,
        }));
        passage.choose();
        Ok(passage)
    }

    /// Whether an endpoint is one of the backend's.
    pub(super) fn has(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.members.iter().any(|member| Arc::ptr_eq(&member.endpoint, endpoint))
    }

    fn choose(&self, tried: Tried) -> usize {
        match self.members.as_slice() {
            [_] => 0,
            members => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                choose(members.iter().map(|member| &*member.endpoint), turn, tried)
            }
        }
    }
}

impl Passage {
    /// The audience of the tokens that the chosen endpoint gets.
    pub(crate) fn audience(&self) -> &Arc<str> {
        &self.member().audience
    }

    /// Whether a WebSocket is asked for by an extended CONNECT there.
    pub(crate) fn upgrades_over_http2(&self) -> bool {
        self.endpoint().upgrades_over_http2()
    }

    /// The origin of the chosen endpoint.
    pub(crate) fn origin(&self) -> &Arc<str> {
        &self.member().origin
    }

    /// Takes note that the request has ended, or has nothing that could: from now on its answer is waited for.
    pub(crate) fn request_ended(&mut self) {
        if let Some(whole) = self.limits.whole {
            self.end_by(Instant::now() + whole);
        }
    }

    /// When the request and its answer have to be over, if ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Sends a request that is permitted to the chosen endpoint, and waits for the head of the answer.
    ///
    /// # Errors
    /// If none comes. [`Failure::again`] says whether it may be sent once more.
    ///
    /// This is no `async fn`, which would have room for the request twice: as its argument, and while it is on its way.
    pub(crate) fn send(
        mut self,
        mut request: Request<Body>,
        sending: &Sending<'_>,
    ) -> impl Future<Output = Result<Response<ServiceBody>, Box<Failure>>> + Send {
        let has_body = !request.body().is_end_stream();
        let is_idempotent = request.method().is_idempotent();
        if self.expectation.is_none() {
            self.expectation = Expectation::hold(&mut request);
        }
        let mut stale = 0;
        async move {
            // The requests that have come meanwhile are decided first, so that they are written one behind the other: to wake
            // whoever is at the other end for each of them costs more than to decide it.
            yield_now().await;
            loop {
                let reuse = if !self.avoids_open && stale < UPSTREAM_STALE_CONNECTIONS_MAX {
                    Reuse::Allowed
                } else {
                    Reuse::Avoided
                };
                let may_be_open = reuse == Reuse::Allowed && !sending.wants_upgrade;
                let open = may_be_open.then(|| self.endpoint().reuse(self.worker)).flatten();
                let obtained = match open {
                    Some(open) => Ok(open),
                    // Seldom needed, and large: every other request would carry the room for it.
                    None => Box::pin(self.obtain(sending.wants_upgrade, reuse)).await,
                };
                let Obtained { connection, is_reused } = match obtained {
                    Ok(obtained) => obtained,
                    Err(error) => return Err(self.unconnected(&error, request.into_body())),
                };
                let mut recovery = None;
                let word = self.expectation.as_ref().map(Expectation::word);
                let answer = match connection {
                    Connection::Http1(own) => {
                        let host = sending.host.as_ref().map_or(&self.endpoint().host, |host| &host.header);
                        let (target, own_fields) = (&sending.target, &sending.own_fields);
                        let target = RequestTarget { target, host, own_fields };
                        Either::Left(
                            own.exchange(request, &target, word).map_ok(|answer| answer.map(Answer::Http1)),
                        )
                    }
                    Connection::Http2(mut stream) => {
                        address(&mut request, self.endpoint(), sending);
                        word.into_iter().for_each(|word| word.listen(&mut request));
                        recovery = has_body.then(|| BodyRecovery::prepare(&mut request));
                        let answer = stream.send(request);
                        Either::Right(
                            answer.map_ok(|answer| answer.map(|body| Answer::Http2(body, Some(stream)))),
                        )
                    }
                };
                let unanswered = match self.exchange(pin!(answer), &sending.progress).await {
                    Ok(mut response) => {
                        if let Answer::Http2(_, stream) = response.body_mut()
                            && sending.wants_upgrade
                        {
                            self.tunnel = stream.take();
                        }
                        let request = has_body.then(|| sending.progress.clone());
                        return Ok(self.answered(response, request));
                    }
                    Err(unanswered) => unanswered,
                };
                request = match unanswered {
                    // The service closed the connection while nobody used it, and got nothing of the request.
                    Unanswered::Unsent(mut unsent, _) if is_reused => {
                        stale += 1;
                        // They are there if it was to go by HTTP/2.
                        sending.own_fields.remove_from(unsent.headers_mut());
                        *unsent
                    }
                    unanswered => {
                        let sent = Sent { has_body, is_idempotent, is_reused, recovery };
                        return Err(self.unanswered(unanswered, sending, sent));
                    }
                };
            }
        }
    }

    async fn obtain(&self, wants_upgrade: bool, reuse: Reuse) -> Result<Obtained, ConnectError> {
        let endpoint = self.endpoint();
        let obtaining = async {
            if wants_upgrade {
                return endpoint.obtain_for_upgrade(self.worker, reuse).await;
            }
            endpoint.obtain(self.worker).await
        };
        match self.deadline {
            None => obtaining.await,
            Some(deadline) => timeout_at(deadline, obtaining).await.unwrap_or_else(|_| {
                Err(ConnectError::new(ConnectErrorKind::TimedOut, "no connection in time"))
            }),
        }
    }

    /// Sends by a connection. The time for the answer runs from the end of the request: while its body moves on, or the service
    /// has taken all that came of it and the client is waited for, the service is not late. The body has bounds of its own, by
    /// which a client is.
    async fn exchange(
        &mut self,
        mut answer: Pin<&mut impl Future<Output = Result<Response<Answer>, Unanswered>>>,
        progress: &BodyProgress,
    ) -> Result<Response<Answer>, Unanswered> {
        let mut since = moment::now();
        loop {
            let end = since + self.limits.whole.unwrap_or(self.upstream.response_headers_timeout);
            let end = self.limits.per_try.map_or(end, |per_try| end.min(since + per_try));
            let end = self.deadline.map_or(end, |deadline| deadline.min(end));
            match timeout_at(end, answer.as_mut()).await {
                Ok(Ok(response)) => {
                    if let Some(whole) = self.limits.whole {
                        // What is left of it is for the answer's body, and for whatever is sent once more.
                        self.end_by(progress.last_moved().map_or(since, |moved| moved.max(since)) + whole);
                    }
                    return Ok(response);
                }
                Ok(Err(unanswered)) => return Err(unanswered),
                Err(_) if self.deadline.is_some_and(|deadline| deadline <= end) => {
                    let is_unfinished = progress.awaits_client();
                    return Err(if is_unfinished { Unanswered::Unfinished } else { Unanswered::TimedOut });
                }
                Err(_) if progress.awaits_client() => since = Instant::now(),
                Err(_) => match progress.last_moved().filter(|moved| *moved > since) {
                    Some(moved) => since = moved,
                    None => return Err(Unanswered::TimedOut),
                },
            }
        }
    }

    fn answered(
        mut self,
        response: Response<Answer>,
        request: Option<BodyProgress>,
    ) -> Response<ServiceBody> {
        self.end_repeat();
        // The body that was held back ends with it, and with the answer: whatever is sent once more has none.
        let expectation = self.expectation.take();
        if let Some(expectation) = &expectation {
            expectation.answered();
        }
        match response.status() {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.endpoint().failed();
            }
            _ => self.endpoint().succeeded(),
        }
        response.map(|answer| ServiceBody::new(answer, self, expectation, request))
    }

    /// Lets go of a connection whose answer has ended, so that the next request may use it.
    pub(super) fn give_back(&self, connection: Box<Http1Connection>) {
        self.endpoint().connections(self.worker).give_back(connection);
    }

    /// Where a connection goes that is not free when the answer has ended.
    pub(super) fn way_back(&self) -> WayBack {
        WayBack { endpoint: Arc::clone(self.endpoint()), worker: self.worker }
    }

    /// Takes note that an answer broke off before its end. If its request did so before, that is why, and no failure of the
    /// service's.
    pub(super) fn broke_off(&self, request: Option<&BodyProgress>) {
        if request.and_then(BodyProgress::failure).is_none() {
            self.endpoint().failed();
        }
    }

    /// Takes a place among the requests that are sent once more; `false` if there is none, or no time.
    pub(super) fn begin_repeat(&mut self) -> bool {
        // A place that it has is given back with it.
        if self.is_late() {
            return false;
        }
        self.is_repeat = self.is_repeat || self.upstream.load.begin_repeat();
        self.is_repeat
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The same request's place at the endpoint that is chosen for the next try.
    pub(crate) fn once_more(mut self) -> Self {
        self.attempts += 1;
        self.endpoint().requests.leave();
        self.choose();
        self
    }

    fn end_by(&mut self, end: Instant) {
        self.deadline = Some(self.deadline.map_or(end, |deadline| deadline.min(end)));
    }

    fn choose(&mut self) {
        let member = self.upstream.choose(self.tried);
        self.member = member;
        self.tried.insert(member);
        self.endpoint().requests.enter();
    }

    fn member(&self) -> &Member {
        // A checked backend has at least one endpoint, and no other number is chosen.
        &self.upstream.members[self.member]
    }

    fn endpoint(&self) -> &Arc<Endpoint> {
        &self.member().endpoint
    }

    fn end_repeat(&mut self) {
        if std::mem::take(&mut self.is_repeat) {
            self.upstream.load.end_repeat();
        }
    }
}

impl WayBack {
    pub(super) fn give_back(&self, connection: Box<Http1Connection>) {
        self.endpoint.connections(self.worker).give_back(connection);
    }
}

impl Deref for Passage {
    type Target = Way;

    fn deref(&self) -> &Way {
        &self.0
    }
}

impl DerefMut for Passage {
    fn deref_mut(&mut self) -> &mut Way {
        &mut self.0
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.end_repeat();
        self.endpoint().requests.leave();
        self.upstream.load.requests.leave();
    }
}

/// Writes where a request goes in the form of HTTP/2.
fn address(request: &mut Request<Body>, endpoint: &Endpoint, sending: &Sending<'_>) {
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(sending.target.clone());
    uri.scheme = Some(endpoint.scheme.clone());
    uri.authority = Some(sending.host.as_ref().map_or(&endpoint.authority, |host| &host.authority).clone());
    sending.own_fields.add_to(request.headers_mut());
    request.headers_mut().remove(header::HOST);
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    *request.version_mut() = Version::HTTP_2;
    if sending.wants_upgrade {
        ask_over_http2(request);
    }
    // All parts are there that belong together.
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
}

fn fault(code: Code, detail: String) -> Refused {
    Refused::Fault(Fault { code, stage: Stage::Upstream, detail })
}
