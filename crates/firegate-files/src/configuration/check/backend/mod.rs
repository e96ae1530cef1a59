//! Backends: where they are (`endpoints`), who may call them, and what they are told. How Firegate identifies itself to
//! them, their connections and their tokens are checked in modules of their own, beside this one.

mod endpoints;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::load_balancer::{Backends, Exports, MaskedServices, Origins};
use super::{Checker, Given, Whole};
use crate::configuration::model::{
    Access, Backend, Credential, EncodedSlash, Endpoint, Enforce, IdentityHeaders, Plaintext, UserToken,
};
use crate::configuration::names::{BackendName, ProjectId};
use crate::configuration::rate_limits::{OnStoreFailure, RateLimits};
use crate::configuration::source::{
    BackendFullSource, BackendSource, EncodedSlashSource, EnforceSource, IdentityHeadersSource,
    PlaintextSource, UserTokenSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::iam_policy::Roles;
use crate::limits::{
    BACKENDS_MAX, BODY_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN_DEFAULT, BODY_BYTES_PER_SECOND_MIN_MAX,
};
use crate::load_balancer::{BackendService, MaskedService};
use crate::members::Member;
use crate::optional;
use crate::security_policy::SecurityPolicy;
use crate::yaml::Part;

/// The default of `body_bytes_max`: what Cloud Run takes over HTTP/1.
const BODY_BYTES_MAX_DEFAULT: u64 = 32 * 1024 * 1024;

/// The `allow` at the top, which holds for backends that do not say themselves who may call them.
enum TopAllow {
    /// There is none.
    Absent,
    /// It is refused, or missed everywhere, and either was said already.
    Reported,
    Members(Vec<Member>),
}

impl Checker<'_> {
    /// The backends that pass, by the names of all; absent if there are none, or far too many.
    pub(super) fn backends(
        &mut self,
        backends: Option<BTreeMap<String, BackendSource>>,
        allow: Option<Vec<String>>,
        exports: &Exports,
        whole: Whole<'_>,
    ) -> Option<Backends> {
        let path = YamlPath::root().key("backends");
        let mut top_allow = match allow {
            None => TopAllow::Absent,
            Some(allow) => {
                let members = self.members(&YamlPath::root().key("allow"), allow);
                members.map_or(TopAllow::Reported, TopAllow::Members)
            }
        };
        let backends = match exports.with_services(backends) {
            Some(backends) if !backends.is_empty() => backends,
            given => {
                self.no_backend(&path, given.is_some(), &top_allow, whole.project);
                return None;
            }
        };
        if backends.len() > BACKENDS_MAX {
            let message = format!("there are {} backends, the most is {BACKENDS_MAX}", backends.len());
            let found = Diagnostic::error(code::TOO_LARGE, message)
                .hint("remove what no route needs, or put the rest behind another Firegate");
            self.report_part(&path, Part::Key, found);
            return None;
        }
        if matches!(top_allow, TopAllow::Absent) && !backends.values().any(says_who) {
            self.no_allow_anywhere(whole.project);
            top_allow = TopAllow::Reported;
        }
        let mut names: BTreeSet<String> = backends.keys().cloned().collect();
        if let Given::File(document) = &self.given {
            // Those too whose value is of the wrong type.
            names.extend(document.keys(&path));
        }
        let mut checked = Backends { names, named: BTreeMap::new(), masked: BTreeMap::new() };
        for (name, source) in backends {
            let path = path.key(&name);
            let service = exports.service(&name);
            let source = match source {
                BackendSource::Url(url) => {
                    BackendFullSource { url: Some(url), ..BackendFullSource::default() }
                }
                BackendSource::Full(full) => *full,
            };
            let name = match name.parse::<BackendName>() {
                Ok(name) => Some(name),
                Err(error) => {
                    let found = Diagnostic::error(code::BACKEND, error.message).hint(error.hint);
                    self.report_part(&path, Part::Key, found);
                    None
                }
            };
            let backend = self.backend(&path, source, &top_allow, exports, service, whole);
            if let (Some(name), Some((backend, masked))) = (name, backend) {
                checked.masked.extend(masked.map(|masked| (name.clone(), masked)));
                checked.named.insert(name, backend);
            }
        }
        Some(checked)
    }

    fn no_backend(
        &mut self,
        path: &YamlPath,
        is_given: bool,
        top_allow: &TopAllow,
        project: Option<&ProjectId>,
    ) {
        let found = Diagnostic::error(code::MISSING_KEY, "there is no backend to forward to")
            .hint("add the URL of your service: `backends: { api: https://api-abc123-uc.a.run.app }`");
        let has_refused = self.has_refused_below(path);
        let may_say_allow = !matches!(top_allow, TopAllow::Absent) || has_refused || self.was_refused(path);
        if !is_given {
            self.missing(path, found);
        } else if !has_refused {
            self.report_part(path, Part::Key, found);
        }
        if !may_say_allow {
            self.no_allow_anywhere(project);
        }
    }

    /// The advice that a newcomer sees first.
    fn no_allow_anywhere(&mut self, project: Option<&ProjectId>) {
        let project = project.map_or_else(String::new, |project| format!(" `{project}`"));
        let line = match self.given {
            Given::File(_) => "the line `allow: [allAuthenticatedUsers]`",
            Given::Flags => "`--allow allAuthenticatedUsers`",
        };
        let found = Diagnostic::error(code::NO_ALLOW, "nobody may call any backend: there is no `allow`").hint(format!(
            "add {line} to let in the signed-in users of the Firebase project{project}; unlike in Google's IAM, the \
             word does not mean everyone with a Google account"
        ));
        self.missing(&YamlPath::root().key("allow"), found);
    }

    /// `service` is what it is at the load balancer. With the backend come the services that requests name, if it stands for
    /// several.
    fn backend(
        &mut self,
        path: &YamlPath,
        mut source: BackendFullSource,
        top_allow: &TopAllow,
        exports: &Exports,
        service: Option<&BackendService>,
        whole: Whole<'_>,
    ) -> Option<(Backend, Option<MaskedServices>)> {
        let says_audience = source.audience.is_some()
            || source.endpoints.as_ref().is_some_and(|all| all.iter().all(|one| one.audience.is_some()));
        let (endpoints, masked) = match self.origins_of_backend(path, &mut source, exports, service, whole) {
            Some(Origins::Own(endpoints)) => (Some(endpoints), None),
            // What is said of one of the services holds for all of them.
            Some(Origins::Masked(mask, services)) => {
                (services.first().map(|(_, endpoints)| endpoints.clone()), Some((mask, services)))
            }
            None => (None, None),
        };
        let credential = self.credential(path, &source, endpoints.as_deref(), whole.users);
        let access = self.access(path, &mut source, top_allow, whole.roles);
        let (security_policy, rate_limits) =
            self.policy_and_counting(path, &mut source, exports, service, whole.on_store_failure);
        let enforce = self.enforce(path, source.enforce, credential.as_ref(), source.user_token);
        let streams_until =
            self.streams(path, source.streams.take().and_then(|streams| streams.until), whole.users);
        let token_sources = self.token_sources(path, source.token_sources.take(), whole.users);
        let app_check = match source.app_check.take() {
            Some(own) => self.own_app_check(&path.key("app_check"), own, whole),
            None => whole.app_check.cloned(),
        };
        let (body_bytes_max, body_bytes_per_second_min) = self.body_limits(path, &mut source);
        let timeouts = self.timeouts(&path.key("timeouts"), source.timeouts.take());
        let protocol = self.protocol(path, source.protocol, endpoints.as_deref());
        let ca_certificates = source.ca_certificates.take();
        let ca_certificates =
            ca_certificates.map(|file| self.file_name(&path.key("ca_certificates"), Some(file)));
        let requests_max = self.backend_requests_max(&path.key("requests_max"), source.requests_max);
        let health_check = source.health_check.take();
        let health_check = health_check
            .map(|check| self.health_check(path, check, credential.as_ref(), endpoints.as_deref()));
        if let (Some(endpoints), false) = (&endpoints, says_audience)
            && credential.as_ref().is_some_and(|credential| *credential != Credential::None)
        {
            self.audience_is_meant(path, endpoints);
        }
        let (endpoint, further_endpoints) = first_and_further(endpoints?)?;
        let backend = Backend {
            endpoint,
            further_endpoints,
            credential: credential?,
            access: access?,
            security_policy: security_policy?,
            rate_limits: rate_limits?,
            header_action: service.map(|service| service.header_action.clone()).unwrap_or_default(),
            enforce: enforce?,
            user_token: user_token(source.user_token),
            token_sources: token_sources?,
            app_check: app_check?,
            identity_headers: identity_headers(source.identity_headers),
            protocol: protocol?,
            ca_certificates: optional(ca_certificates)?,
            requests_max: requests_max?,
            health_check: optional(health_check)?,
            plaintext: plaintext(source.plaintext),
            encoded_slash: encoded_slash(source.encoded_slash),
            body_bytes_max: body_bytes_max?,
            body_bytes_per_second_min: body_bytes_per_second_min?,
            streams_until: streams_until?,
            timeouts: timeouts?,
            connect_through: None,
        };
        self.in_the_clear(path, &backend)?;
        let masked = match masked {
            None => None,
            Some((mask, services)) => Some((mask, self.masked_services(path, &backend, services)?)),
        };
        Some((backend, masked))
    }

    /// The services that requests name, each as a backend that is like the one that stands for them.
    fn masked_services(
        &mut self,
        path: &YamlPath,
        like: &Backend,
        services: Vec<(MaskedService, Vec<Endpoint>)>,
    ) -> Option<Vec<(MaskedService, Backend)>> {
        let backends = services.into_iter().map(|(named, endpoints)| {
            let (endpoint, further_endpoints) = first_and_further(endpoints)?;
            let own = Backend { endpoint, further_endpoints, ..like.clone() };
            self.in_the_clear(path, &own)?;
            Some((named, own))
        });
        backends.collect()
    }

    /// The security policy, the backend's own or the one that it has at the load balancer, and how its rules count.
    fn policy_and_counting(
        &mut self,
        path: &YamlPath,
        source: &mut BackendFullSource,
        exports: &Exports,
        service: Option<&BackendService>,
        on_failure: OnStoreFailure,
    ) -> (Option<Option<Arc<SecurityPolicy>>>, Option<RateLimits>) {
        let policy = match source.security_policy.take() {
            Some(file) => {
                let forwards = matches!(source.encoded_slash, Some(EncodedSlashSource::Forward));
                Some(self.security_policy(&path.key("security_policy"), file, forwards))
            }
            None => exports.security_policy(service).map(Some),
        };
        let counting = source.rate_limits.take();
        let counting = self.rate_limits(&path.key("rate_limits"), counting, on_failure, policy.is_some());
        (optional(policy), counting)
    }

    /// How large a request's body may be, in bytes, and how many of them have to come in a second.
    fn body_limits(&mut self, path: &YamlPath, source: &mut BackendFullSource) -> (Option<u64>, Option<u64>) {
        let bytes_max = self.size(
            &path.key("body_bytes_max"),
            source.body_bytes_max.take(),
            BODY_BYTES_MAX_DEFAULT,
            1..=BODY_BYTES_MAX,
        );
        let bytes_per_second_min = self.size(
            &path.key("body_bytes_per_second_min"),
            source.body_bytes_per_second_min.take(),
            BODY_BYTES_PER_SECOND_MIN_DEFAULT,
            0..=BODY_BYTES_PER_SECOND_MIN_MAX,
        );
        (bytes_max, bytes_per_second_min)
    }

    fn access(
        &mut self,
        path: &YamlPath,
        source: &mut BackendFullSource,
        top_allow: &TopAllow,
        roles: &Roles,
    ) -> Option<Access> {
        match (source.allow.take(), source.iam_policy.take()) {
            (Some(allow), None) => self.members(&path.key("allow"), allow).map(Access::Members),
            (allow, Some(policy)) => self.iam_policy(path, policy, allow, roles),
            (None, None) => match top_allow {
                TopAllow::Members(members) => Some(Access::Members(members.clone())),
                TopAllow::Reported => None,
                TopAllow::Absent => {
                    let already = ["allow", "iam_policy"].iter().any(|key| self.was_refused(&path.key(key)))
                        || self.was_refused(&YamlPath::root().key("allow"));
                    if !already {
                        let message =
                            format!("nobody may call `{path}`: neither it nor the top level has an `allow`");
                        let found = Diagnostic::error(code::NO_ALLOW, message).hint(
                            "add `allow: [allAuthenticatedUsers]` for the signed-in users of the Firebase project, or \
                             `allow: [allUsers]` for everyone without a token",
                        );
                        self.report_part(path, Part::Key, found);
                    }
                    None
                }
            },
        }
    }

    fn enforce(
        &mut self,
        path: &YamlPath,
        enforce: Option<EnforceSource>,
        credential: Option<&Credential>,
        user_token: Option<UserTokenSource>,
    ) -> Option<Enforce> {
        match enforce {
            None | Some(EnforceSource::On) => Some(Enforce::On),
            Some(EnforceSource::Observe) => {
                // A credential would carry refused requests through the check of the service.
                if credential.is_none_or(|credential| *credential == Credential::None) {
                    if user_token.is_none() {
                        let message = "the service is only observed, and sees no token of its users";
                        let hint = "add `user_token: forward` while the service itself checks tokens; else add `user_token: drop` \
                                    to say that it does not";
                        self.report(
                            &path.key("enforce"),
                            Diagnostic::warning(code::ENFORCE, message).hint(hint),
                        );
                    }
                    return Some(Enforce::Observe);
                }
                let found = Diagnostic::error(
                    code::ENFORCE,
                    "`observe` would let refused requests in with Firegate's credential",
                )
                .hint("observe only in front of a service that is open anyway: set `credential: none`");
                self.report(&path.key("enforce"), found);
                None
            }
        }
    }
}

/// A checked backend has one endpoint at least.
fn first_and_further(endpoints: Vec<Endpoint>) -> Option<(Endpoint, Vec<Endpoint>)> {
    let mut endpoints = endpoints.into_iter();
    Some((endpoints.next()?, endpoints.collect()))
}

fn user_token(source: Option<UserTokenSource>) -> UserToken {
    match source {
        None | Some(UserTokenSource::Drop) => UserToken::Drop,
        Some(UserTokenSource::Forward) => UserToken::Forward,
    }
}

fn identity_headers(source: Option<IdentityHeadersSource>) -> IdentityHeaders {
    match source {
        None | Some(IdentityHeadersSource::Firegate) => IdentityHeaders::Firegate,
        Some(IdentityHeadersSource::Apigateway) => IdentityHeaders::ApiGateway,
        Some(IdentityHeadersSource::Iap) => IdentityHeaders::Iap,
        Some(IdentityHeadersSource::None) => IdentityHeaders::None,
    }
}

fn plaintext(source: Option<PlaintextSource>) -> Plaintext {
    match source {
        None | Some(PlaintextSource::Refuse) => Plaintext::Refuse,
        Some(PlaintextSource::Allow) => Plaintext::Allow,
    }
}

fn encoded_slash(source: Option<EncodedSlashSource>) -> EncodedSlash {
    match source {
        None | Some(EncodedSlashSource::Refuse) => EncodedSlash::Refuse,
        Some(EncodedSlashSource::Forward) => EncodedSlash::Forward,
    }
}

/// Whether a backend says itself who may call it.
fn says_who(backend: &BackendSource) -> bool {
    match backend {
        BackendSource::Url(_) => false,
        BackendSource::Full(full) => full.allow.is_some() || full.iam_policy.is_some(),
    }
}
