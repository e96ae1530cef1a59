//! Copies of requests, for the services that a URL map mirrors them to. A copy goes by its own permit, with its own service's
//! token and identity headers; nobody waits for it, and nothing that comes of it is told to the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::Client;
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Stage};
use firegate_core::route::RouteEntry;
use firegate_core::snapshot::Backend;
use firegate_google::tokens::IdToken;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::sync::Semaphore;

use super::Shared;
use super::forward::{header_facts, identity_headers};
use crate::connection::Arrival;
use crate::generation::Generation;
use crate::limits::{MIRRORED_REQUEST_TIMEOUT, MIRRORED_REQUESTS_MAX};
use crate::panics::Panics;
use crate::refused::{Refused, fault};
use crate::stream::{Body, BodyProgress};
use crate::upstream::{OwnFields, RequestHeaders, Sending, TimeLimits};

/// The copies under way.
#[derive(Debug)]
pub(super) struct Mirrors {
    places: Arc<Semaphore>,
    /// How many found no place.
    dropped: AtomicU64,
}

impl Mirrors {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MIRRORED_REQUESTS_MAX)), dropped: AtomicU64::new(0) }
    }

    /// How many found no place.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lets a copy for this backend be sent and answered beside what else goes on, if there is a place for it. It has its time,
    /// after which its place is another one's.
    fn begin(
        &self,
        backend: Arc<Backend>,
        panics: &Arc<Panics>,
        exchange: impl Future<Output = Result<StatusCode, Refused>> + Send + 'static,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(
                backend = backend.name,
                "a request is not mirrored: too many copies are under way"
            );
            return;
        };
        tokio::spawn(panics.contain("a copy of a request was given up", async move {
            let sent = tokio::time::timeout(MIRRORED_REQUEST_TIMEOUT, exchange).await;
            drop(place);
            match sent {
                Ok(Ok(status)) => tracing::debug!(backend = backend.name, %status, "a request was mirrored"),
                Ok(Err(refused)) => tracing::debug!(backend = backend.name, ?refused, "a copy failed"),
                Err(_) => tracing::debug!(backend = backend.name, "a copy was not answered in time"),
            }
        }));
    }
}

/// A copy of a request.
pub(super) struct Mirrored {
    pub(super) shared: Arc<Shared>,
    pub(super) generation: Arc<Generation>,
    pub(super) worker: usize,
    /// Leave for the service that gets the copy.
    pub(super) permit: Arc<Permit>,
    /// The route of the request.
    pub(super) route: Option<RouteEntry>,
    pub(super) client: Client,
    pub(super) arrival: Arrival,
    pub(super) host: String,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) path: NormalPath,
    /// The client's.
    pub(super) headers: HeaderMap,
    pub(super) target: PathAndQuery,
    pub(super) body: Body,
    /// How far its body is.
    pub(super) progress: BodyProgress,
}

impl Mirrored {
    /// Sends the copy beside the request, if there is a place for it.
    pub(super) fn send(self) {
        let (shared, backend) = (Arc::clone(&self.shared), Arc::clone(self.permit.backend()));
        shared.mirrors.begin(backend, &shared.panics, self.exchange());
    }

    async fn exchange(self) -> Result<StatusCode, Refused> {
        let permit = &self.permit;
        let Some(upstream) = self.generation.upstream(permit.backend()) else {
            return Err(fault(Code::Internal, Stage::Upstream, "the mirror is not open"));
        };
        let passage = upstream.enter(self.worker, TimeLimits::default())?;
        let audience = Arc::clone(passage.audience());
        let facts = RequestFacts::of(&self.method, self.path.clone(), &self.headers);
        let google_token = self.generation.control.google_token(permit, &audience, &facts, None).await?;
        let identity = identity_headers(&self.generation, self.shared.now(), permit, &audience)?;
        let actions = self.route.as_ref().and_then(RouteEntry::headers);
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method.clone();
        let mut own_fields = OwnFields::default();
        *request.headers_mut() = RequestHeaders {
            client: self.client,
            host: &self.host,
            version: self.version,
            removal: permit.removal(),
            copies_authorization: permit.copies_authorization(),
            actions: actions.map(|actions| {
                (actions, header_facts(&self.generation, &self.client, &self.arrival, self.version))
            }),
            original_path: None,
            handshake: None,
            // They are the policy's of the other backend.
            screened: &[],
            google_token: google_token.as_deref().map(IdToken::bearer),
        }
        .of(&self.headers, identity, &mut own_fields);
        let (target, progress) = (self.target, self.progress);
        let sending = Sending { target, own_fields, host: None, wants_upgrade: false, progress };
        let response = passage.send(request, &sending).await.map_err(|failure| failure.refused())?;
        Ok(response.status())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use firegate_core::snapshot::Snapshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_copy_that_nobody_answers_has_its_place_for_its_time_and_no_longer() {
        let text = "project: demo-project\nallow: [allUsers]\nbackends: { api: 'http://127.0.0.1:9' }\n";
        let configuration =
            firegate_files::configuration::parse("firegate.yaml", text).expect("a configuration");
        let backend = Arc::clone(&Snapshot::compile(&configuration).backends[0]);
        let (mirrors, panics) = (Mirrors::new(), Arc::new(Panics::default()));
        let begin = || mirrors.begin(Arc::clone(&backend), &panics, std::future::pending());
        (0..MIRRORED_REQUESTS_MAX).for_each(|_| begin());
        for (passed, dropped) in
            [(MIRRORED_REQUEST_TIMEOUT - Duration::from_secs(1), 1), (Duration::from_secs(2), 1)]
        {
            tokio::time::sleep(passed).await;
            begin();
            assert_eq!(mirrors.dropped(), dropped, "{passed:?}");
        }
    }
}
