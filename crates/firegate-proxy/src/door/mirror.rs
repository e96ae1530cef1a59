//! Copies of requests, for the services that a URL map mirrors them to. A copy goes by its own permit, with its own service's
//! token and identity headers; nobody waits for it, and nothing that comes of it is told to the client.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::Client;
use firegate_core::path::NormalPath;
use firegate_core::permit::Permit;
use firegate_core::reason::{Code, Stage};
use firegate_core::route::RouteEntry;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Version};

use super::forward::{header_facts, identity_headers};
use super::{Refused, Shared, fault};
use crate::connection::Arrival;
use crate::generation::Generation;
use crate::limits::MIRRORED_REQUEST_TIMEOUT;
use crate::stream::{Body, BodyProgress};
use crate::upstream::{RequestHeaders, Sending, TimeLimits};

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
        let backend = Arc::clone(self.permit.backend());
        let Ok(place) = Arc::clone(&self.shared.mirrors).try_acquire_owned() else {
            self.shared.mirrors_dropped.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(
                backend = backend.name,
                "a request is not mirrored: too many copies are under way"
            );
            return;
        };
        let panics = Arc::clone(&self.shared.panics);
        tokio::spawn(panics.contain("a copy of a request was given up", async move {
            let sent = tokio::time::timeout(MIRRORED_REQUEST_TIMEOUT, self.exchange()).await;
            drop(place);
            match sent {
                Ok(Ok(status)) => tracing::debug!(backend = backend.name, %status, "a request was mirrored"),
                Ok(Err(refused)) => tracing::debug!(backend = backend.name, ?refused, "a copy failed"),
                Err(_) => tracing::debug!(backend = backend.name, "a copy was not answered in time"),
            }
        }));
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
        *request.headers_mut() = RequestHeaders {
            client: self.client,
            host: &self.host,
            version: self.version,
            removal: permit.removal(),
            copies_authorization: permit.copies_authorization(),
            actions: actions.map(|actions| {
                (actions, header_facts(&self.generation, (&self.client, &self.arrival), self.version))
            }),
            original_path: None,
            handshake: None,
            // They are the policy's of the other backend.
            screened: &[],
            identity,
            google_token,
        }
        .of(&self.headers);
        let sending =
            Sending { target: self.target, host: None, wants_upgrade: false, progress: self.progress };
        let response = passage.send(request, &sending).await.map_err(|failure| failure.refused())?;
        Ok(response.status())
    }
}
