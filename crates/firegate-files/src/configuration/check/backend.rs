//! Backends: where they are, how Firegate identifies itself to them, and what they are told.

use std::collections::BTreeMap;

use super::load_balancer::{Backends, Exports, Origins};
use super::{Checker, Whole};
use crate::configuration::google::is_loopback;
use crate::configuration::model::{
    Access, Backend, Credential, EncodedSlash, Endpoint, Enforce, IdentityHeaders, Plaintext, UserToken,
};
use crate::configuration::names::{BackendName, ProjectId};
use crate::configuration::source::{
    BackendFullSource, BackendSource, EncodedSlashSource, EndpointSource, EnforceSource,
    IdentityHeadersSource, PlaintextSource, UserTokenSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::iam_policy::Roles;
use crate::limits::{
    BACKENDS_MAX, BODY_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN_DEFAULT, BODY_BYTES_PER_SECOND_MIN_MAX,
    ENDPOINTS_MAX,
};
use crate::load_balancer::{BackendService, MaskedService, UrlMask};
use crate::members::Member;
use crate::suggestion::quoted;
use crate::yaml::Part;

/// The default of `body_bytes_max`: what Cloud Run takes over HTTP/1.
const BODY_BYTES_MAX_DEFAULT: u64 = 32 * 1024 * 1024;

/// The services that requests name, each as a backend.
type MaskedServices = (UrlMask, Vec<(MaskedService, Backend)>);

impl Checker<'_> {
    pub(super) fn backends(
        &mut self,
        backends: Option<BTreeMap<String, BackendSource>>,
        allow: Option<Vec<String>>,
        exports: &Exports,
        whole: Whole<'_>,
    ) -> Option<Backends> {
        let path = YamlPath::root().key("backends");
        let top_allow = allow.map(|allow| self.members(&YamlPath::root().key("allow"), allow));
        let backends = match exports.with_services(backends) {
            Some(backends) if !backends.is_empty() => backends,
            given => {
                let found = Diagnostic::error(code::MISSING_KEY, "there is no backend to forward to").hint(
                    "add the URL of your service: `backends: { api: https://api-abc123-uc.a.run.app }`",
                );
                let may_say_allow =
                    top_allow.is_some() || self.was_refused(&path) || self.has_refused_below(&path);
                match given {
                    Some(_) if !self.has_refused_below(&path) => self.report_part(&path, Part::Key, found),
                    Some(_) => {}
                    None => self.missing(&path, found),
                }
                if !may_say_allow {
                    self.no_allow_anywhere(whole.project);
                }
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
        let nobody_anywhere = top_allow.is_none() && backends.values().all(|backend| !says_who(backend));
        if nobody_anywhere {
            self.no_allow_anywhere(whole.project);
        }
        let mut checked = Some(Backends { named: BTreeMap::new(), masked: BTreeMap::new() });
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
            let inherited = if nobody_anywhere { Some(None) } else { top_allow.clone() };
            let backend = self.backend(&path, source, inherited, (exports, service), whole);
            match (&mut checked, name, backend) {
                (Some(backends), Some(name), Some((backend, masked))) => {
                    backends.masked.extend(masked.map(|masked| (name.clone(), masked)));
                    backends.named.insert(name, backend);
                }
                _ => checked = None,
            }
        }
        checked
    }

    /// The advice that a newcomer sees first.
    fn no_allow_anywhere(&mut self, project: Option<&ProjectId>) {
        let project = project.map_or_else(String::new, |project| format!(" `{project}`"));
        let line = match self.given {
            super::Given::File(_) => "the line `allow: [allAuthenticatedUsers]`",
            super::Given::Flags => "`--allow allAuthenticatedUsers`",
        };
        let found = Diagnostic::error(code::NO_ALLOW, "nobody may call any backend: there is no `allow`").hint(format!(
            "add {line} to let in the signed-in users of the Firebase project{project}; unlike in Google's IAM, the \
             word does not mean everyone with a Google account"
        ));
        self.missing(&YamlPath::root().key("allow"), found);
    }

    fn has_refused_below(&self, path: &YamlPath) -> bool {
        self.refused.iter().any(|refused| refused.parent() == *path)
    }

    /// `inherited` is the top-level `allow`: absent, refused (`Some(None)`), or its members. `service` is what it is at the load
    /// balancer.
    fn backend(
        &mut self,
        path: &YamlPath,
        mut source: BackendFullSource,
        inherited: Option<Option<Vec<Member>>>,
        (exports, service): (&Exports, Option<&BackendService>),
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
        let access = self.access(path, &mut source, inherited, whole.roles);
        let security_policy = match source.security_policy.take() {
            Some(file) => {
                let forwards = matches!(source.encoded_slash, Some(EncodedSlashSource::Forward));
                Some(self.security_policy(&path.key("security_policy"), file, forwards))
            }
            None => exports.security_policy(service).map(Some),
        };
        let rate_limits = source.rate_limits.take();
        let rate_limits = self.rate_limits(
            &path.key("rate_limits"),
            rate_limits,
            whole.on_store_failure,
            security_policy.is_some(),
        );
        let user_token = match source.user_token {
            None | Some(UserTokenSource::Drop) => UserToken::Drop,
            Some(UserTokenSource::Forward) => UserToken::Forward,
        };
        let identity_headers = match source.identity_headers {
            None | Some(IdentityHeadersSource::Firegate) => IdentityHeaders::Firegate,
            Some(IdentityHeadersSource::Apigateway) => IdentityHeaders::ApiGateway,
            Some(IdentityHeadersSource::Iap) => IdentityHeaders::Iap,
            Some(IdentityHeadersSource::None) => IdentityHeaders::None,
        };
        let plaintext = match source.plaintext {
            None | Some(PlaintextSource::Refuse) => Plaintext::Refuse,
            Some(PlaintextSource::Allow) => Plaintext::Allow,
        };
        let enforce = self.enforce(path, source.enforce, credential.as_ref(), source.user_token);
        let streams_until =
            self.streams(path, source.streams.take().and_then(|streams| streams.until), whole.users);
        let token_sources = self.token_sources(path, source.token_sources.take(), whole.users);
        let app_check = match source.app_check.take() {
            Some(own) => self.app_check(&path.key("app_check"), Some(own), whole.project_number),
            None => whole.app_check.cloned(),
        };
        let body_path = path.key("body_bytes_max");
        let body_bytes_max =
            self.size(&body_path, source.body_bytes_max.take(), BODY_BYTES_MAX_DEFAULT, 1..=BODY_BYTES_MAX);
        let body_bytes_per_second_min = self.size(
            &path.key("body_bytes_per_second_min"),
            source.body_bytes_per_second_min.take(),
            BODY_BYTES_PER_SECOND_MIN_DEFAULT,
            0..=BODY_BYTES_PER_SECOND_MIN_MAX,
        );
        let timeouts = self.timeouts(&path.key("timeouts"), source.timeouts.take());
        let protocol = self.protocol(path, source.protocol, endpoints.as_deref());
        let ca_certificates = source
            .ca_certificates
            .take()
            .map(|file| self.file_name(&path.key("ca_certificates"), Some(file)));
        let requests_max = self.backend_requests_max(&path.key("requests_max"), source.requests_max);
        let health_check = source
            .health_check
            .take()
            .map(|check| self.health_check(path, check, credential.as_ref(), endpoints.as_deref()));
        if let (Some(endpoints), false) = (&endpoints, says_audience)
            && credential.as_ref().is_some_and(|credential| *credential != Credential::None)
        {
            self.audience_is_meant(path, endpoints);
        }
        let mut endpoints = endpoints?.into_iter();
        let backend = Backend {
            endpoint: endpoints.next()?,
            further_endpoints: endpoints.collect(),
            credential: credential?,
            access: access?,
            security_policy: super::optional(security_policy)?,
            rate_limits: rate_limits?,
            header_action: service.map(|service| service.header_action.clone()).unwrap_or_default(),
            enforce: enforce?,
            user_token,
            token_sources: token_sources?,
            app_check: app_check?,
            identity_headers,
            protocol: protocol?,
            ca_certificates: super::optional(ca_certificates)?,
            requests_max: requests_max?,
            health_check: super::optional(health_check)?,
            plaintext,
            encoded_slash: match source.encoded_slash {
                None | Some(EncodedSlashSource::Refuse) => EncodedSlash::Refuse,
                Some(EncodedSlashSource::Forward) => EncodedSlash::Forward,
            },
            body_bytes_max: body_bytes_max?,
            body_bytes_per_second_min: body_bytes_per_second_min?,
            streams_until: streams_until?,
            timeouts: timeouts?,
            connect_through: None,
        };
        self.in_the_clear(path, &backend)?;
        let masked = masked.map(|(mask, services)| {
            let services = services.into_iter().map(|(named, endpoints)| {
                let mut endpoints = endpoints.into_iter();
                let own = Backend {
                    endpoint: endpoints.next()?,
                    further_endpoints: endpoints.collect(),
                    ..backend.clone()
                };
                self.in_the_clear(path, &own)?;
                Some((named, own))
            });
            Some((mask, services.collect::<Option<Vec<_>>>()?))
        });
        Some((backend, super::optional(masked)?))
    }

    pub(super) fn endpoints(
        &mut self,
        path: &YamlPath,
        source: &mut BackendFullSource,
        project: Option<&ProjectId>,
    ) -> Option<Vec<Endpoint>> {
        let audience = source.audience.take();
        match (source.url.take(), source.endpoints.take()) {
            (Some(_), Some(_)) => {
                let found = Diagnostic::error(code::EITHER_OR, "`url` and `endpoints` exclude each other")
                    .hint("keep `url`, or write it as one of the `endpoints`");
                self.report_part(&path.key("endpoints"), Part::Key, found);
                None
            }
            (Some(url), None) => {
                let url = self.origin_url(&path.key("url"), code::URL, &url.0);
                // The short form has no key `url`; then the place is that of the backend itself.
                self.endpoint(url?, &path.key("audience"), audience, project).map(|endpoint| vec![endpoint])
            }
            (None, Some(endpoints)) if !endpoints.is_empty() => {
                let path = path.key("endpoints");
                if endpoints.len() > ENDPOINTS_MAX {
                    let message =
                        format!("there are {} endpoints, the most is {ENDPOINTS_MAX}", endpoints.len());
                    let found = Diagnostic::error(code::TOO_LARGE, message)
                        .hint("name one for each region, and let a load balancer choose within it");
                    self.report_part(&path, Part::Key, found);
                    return None;
                }
                let endpoints = endpoints.into_iter().enumerate();
                let checked: Vec<Option<Endpoint>> = endpoints
                    .map(|(index, endpoint)| {
                        self.one_of_endpoints(&path.index(index), endpoint, audience.as_ref(), project)
                    })
                    .collect();
                checked.into_iter().collect()
            }
            (None, _) => {
                let found = Diagnostic::error(code::MISSING_KEY, format!("`{path}` has no `url`"))
                    .hint("add the origin of the service: `url: https://api-abc123-uc.a.run.app`");
                if !self.was_refused(&path.key("endpoints")) {
                    self.missing(&path.key("url"), found);
                }
                None
            }
        }
    }

    fn one_of_endpoints(
        &mut self,
        path: &YamlPath,
        source: EndpointSource,
        audience: Option<&String>,
        project: Option<&ProjectId>,
    ) -> Option<Endpoint> {
        let Some(url) = source.url else {
            let found = Diagnostic::error(code::MISSING_KEY, format!("`{path}` has no `url`"))
                .hint("add the origin of the service: `url: https://api-abc123-uc.a.run.app`");
            self.missing(&path.key("url"), found);
            return None;
        };
        let url = self.origin_url(&path.key("url"), code::URL, &url.0);
        let audience = source.audience.or_else(|| audience.cloned());
        self.endpoint(url?, &path.key("audience"), audience, project)
    }

    pub(super) fn endpoint(
        &mut self,
        url: url::Url,
        path: &YamlPath,
        audience: Option<String>,
        project: Option<&ProjectId>,
    ) -> Option<Endpoint> {
        let Some(audience) = audience else {
            let audience = url.origin().ascii_serialization();
            return Some(Endpoint { url, audience });
        };
        if !super::is_audience(&audience) {
            let message = "an audience is a text without white space, for example the URL of the service";
            self.report(
                path,
                Diagnostic::error(code::AUDIENCE, message).hint(super::audience_hint(&audience)),
            );
            return None;
        }
        if let Some(bare) = audience.strip_suffix('/').filter(|bare| bare.contains("://")) {
            let message = format!("the audience {} ends with a slash", quoted(&audience));
            let hint = format!("Cloud Run compares exactly, and its URLs have none: write `{bare}`");
            self.report(path, Diagnostic::warning(code::AUDIENCE, message).hint(hint));
        } else if project.is_some_and(|project| project.as_str() == audience) {
            let message = format!("the audience {} is the project ID", quoted(&audience));
            let hint = "that is the audience of Firebase's tokens; Cloud Run expects the URL of the service in Google's";
            self.report(path, Diagnostic::warning(code::AUDIENCE, message).hint(hint));
        }
        Some(Endpoint { url, audience })
    }

    fn access(
        &mut self,
        path: &YamlPath,
        source: &mut BackendFullSource,
        inherited: Option<Option<Vec<Member>>>,
        roles: &Roles,
    ) -> Option<Access> {
        match (source.allow.take(), source.iam_policy.take()) {
            (Some(allow), None) => self.members(&path.key("allow"), allow).map(Access::Members),
            (allow, Some(policy)) => self.iam_policy(path, policy, allow, roles),
            (None, None) => match inherited {
                Some(members) => members.map(Access::Members),
                None => {
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

    /// Refuses to send over plain http what only the service may read, unless it stays on this machine.
    fn in_the_clear(&mut self, path: &YamlPath, backend: &Backend) -> Option<()> {
        if backend.plaintext == Plaintext::Allow {
            return Some(());
        }
        let sent: Vec<&str> = [
            (backend.credential != Credential::None, "a Google token"),
            (backend.identity_headers != IdentityHeaders::None, "identity headers"),
            (backend.user_token == UserToken::Forward, "the user's token"),
        ]
        .into_iter()
        .filter_map(|(sent, what)| sent.then_some(what))
        .collect();
        let remote = backend
            .endpoints()
            .position(|endpoint| endpoint.url.scheme() == "http" && !is_loopback(&endpoint.url));
        match remote {
            Some(index) if !sent.is_empty() => {
                let message = format!("{} would go over plain http to another machine", sent.join(" and "));
                let found = Diagnostic::error(code::PLAINTEXT, message).hint(
                    "use https; or set `plaintext: allow` if you trust the network between, or `identity_headers: none` \
                     and `credential: none` if the service needs neither",
                );
                let given = path.key("endpoints").index(index).key("url");
                let given = if self.stands_at(&given) { given } else { path.key("url") };
                self.report(&given, found);
                None
            }
            _ => Some(()),
        }
    }
}

fn says_who(backend: &BackendSource) -> bool {
    match backend {
        BackendSource::Url(_) => false,
        BackendSource::Full(full) => full.allow.is_some() || full.iam_policy.is_some(),
    }
}
