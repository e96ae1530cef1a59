//! What takes the place of the errors that services answer with: a page of another service, another status, or both.

use std::sync::Arc;

use firegate_files::configuration::AppCheck;
use firegate_files::url_map::{ErrorPolicy, ErrorRule};

use super::destination::Destinations;
use crate::facts::RequestFacts;
use crate::iam::{self, IamRequest};
use crate::path::NormalPath;
use crate::permit::Permit;
use crate::snapshot::Backend;
use crate::time::UnixTime;

/// The policies that hold for a rule, the nearest first.
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorPages(Vec<(ErrorPolicy, Option<Arc<Backend>>)>);

/// What takes the place of an error.
#[derive(Clone, Copy, Debug)]
pub struct ErrorPage<'a> {
    rule: &'a ErrorRule,
    backend: Option<&'a Arc<Backend>>,
}

impl ErrorPages {
    pub(super) fn new<'a>(
        policies: impl IntoIterator<Item = Option<&'a ErrorPolicy>>,
        destinations: &Destinations,
    ) -> Self {
        let with_backend = |policy: &ErrorPolicy| {
            let service = policy.service.as_ref();
            (policy.clone(), service.and_then(|service| destinations.backend(service.as_str())))
        };
        Self(policies.into_iter().flatten().map(with_backend).collect())
    }

    pub(super) fn find(&self, status: u16) -> Option<ErrorPage<'_>> {
        let found = |(policy, backend): &'_ (ErrorPolicy, Option<Arc<Backend>>)| {
            policy.rule(status).is_some() && (backend.is_some() || policy.service.is_none())
        };
        let (policy, backend) = self.0.iter().find(|of| found(of))?;
        Some(ErrorPage { rule: policy.rule(status)?, backend: backend.as_ref() })
    }
}

impl ErrorPage<'_> {
    /// The status instead of the error's.
    pub fn status(&self) -> Option<u16> {
        self.rule.status
    }

    /// Whether there is a page, rather than a status alone.
    pub fn has_path(&self) -> bool {
        self.rule.path.is_some()
    }

    /// The path and query of the page, and leave to fetch it. It is fetched for nobody: if not everyone may have it, nothing is
    /// sent. What is judged is the path that is sent, not the client's.
    pub fn permit(&self, facts: &RequestFacts<'_>, now: UnixTime) -> Option<(&str, Permit)> {
        let (target, backend) = (self.rule.path.as_deref()?, self.backend?);
        let is_judged = *backend.app_check() == AppCheck::Off && backend.security_policy.is_none();
        let path = target.split('?').next().unwrap_or_default();
        // The file was checked for it; what is judged must in no case be another path than what is sent.
        let is_normal = NormalPath::parse(path).is_ok_and(|normal| normal.as_str() == path);
        let request = IamRequest::of(facts, now).at(path);
        let permit = iam::authorize(backend, &request, None, None).ok();
        permit.filter(|_| is_judged && is_normal).map(|permit| (target, permit))
    }
}
