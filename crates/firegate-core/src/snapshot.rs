//! The configuration, compiled for the decision: immutable, shared, and with nothing left to parse or to check on the
//! way of a request.

use std::collections::HashMap;
use std::sync::Arc;

use firegate_files::configuration::{
    self, AllowedOrigins, AppCheck, BackendName, Configuration, Credential, Endpoint, Enforce,
    IdentityHeaders, Routing, StreamsUntil, TokenSource, UserToken, is_loopback,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method};

use crate::app_check::FIREBASE_APP_CHECK;
use crate::armor::{Geography, Policy};
use crate::cors::CorsPolicy;
use crate::iam::{Bindings, DenyRules, Directory, IdentityPool};
use crate::identity::IdentityRules;
use crate::route::{Destinations, Routed, Routes};

/// The methods a page may use if `cors.methods` names none.
const USUAL_METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The request headers a page may set beside those that `cors.headers` names.
const USUAL_HEADERS: [HeaderName; 4] =
    [AUTHORIZATION, CONTENT_TYPE, FIREBASE_APP_CHECK, HeaderName::from_static("x-requested-with")];

/// Everything a decision is made by, but for keys and the time.
#[derive(Debug)]
pub struct Snapshot {
    /// Who counts as a signed-in user.
    pub identity: Arc<IdentityRules>,
    /// Which path belongs to which backend.
    pub routes: Routes,
    /// Every backend, in the order of their names.
    pub backends: Vec<Arc<Backend>>,
    /// The policies of all backends, each once.
    pub security_policies: Vec<Arc<Policy>>,
    /// Which pages of other origins may call; `None`: cross-origin requests are the services' own affair.
    pub cors: Option<CorsPolicy>,
    /// What the names in members mean.
    pub directory: Arc<Directory>,
    /// Whether the token exchange answers.
    pub exchanges_tokens: bool,
    /// Where addresses are, if a database says so.
    pub geography: Option<Arc<dyn Geography>>,
}

/// A service that requests are forwarded to.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the configuration.
    pub name: String,
    /// Its settings.
    pub settings: configuration::Backend,
    /// Who may call it.
    pub bindings: Bindings,
    /// What it refuses whoever calls.
    pub security_policy: Option<Arc<Policy>>,
}

impl Backend {
    /// Whether it is known that both let the same callers pass, so that none gains by reaching one in the place of the other.
    pub(crate) fn lets_the_same_callers_pass(&self, other: &Self) -> bool {
        let (one, other) = (&self.settings, &other.settings);
        one.access == other.access
            && one.security_policy.is_none()
            && other.security_policy.is_none()
            && one.enforce == other.enforce
            && one.app_check == other.app_check
            && one.token_sources == other.token_sources
    }
}

impl Snapshot {
    /// Compiles a checked configuration.
    pub fn compile(configuration: &Configuration) -> Self {
        let pool = IdentityPool {
            name: configuration.users.identity_pool.clone(),
            project_number: configuration.project_number.as_ref().map(ToString::to_string),
        };
        let directory = Arc::new(Directory::new(pool, &configuration.groups));
        let denials = Arc::new(DenyRules::new(&configuration.deny_policies, &directory));
        // The services that a URL mask leads to are one backend service, whose limits count together.
        let named = configuration
            .masked
            .iter()
            .flat_map(|(name, masked)| masked.backends.values().map(move |backend| (backend, name)));
        let services: HashMap<&BackendName, &BackendName> = named.collect();
        let mut policies: HashMap<&BackendName, Arc<Policy>> = HashMap::new();
        let mut backends = Vec::with_capacity(configuration.backends.len());
        for (name, settings) in &configuration.backends {
            let service = services.get(name).copied().unwrap_or(name);
            let security_policy = settings.security_policy.as_ref().map(|policy| {
                let compile = || Arc::new(Policy::compile(policy, service.as_str(), &settings.rate_limits));
                Arc::clone(policies.entry(service).or_insert_with(compile))
            });
            backends.push(Arc::new(Backend {
                name: name.to_string(),
                bindings: Bindings::new(settings.grants(), &denials, &directory),
                security_policy,
                settings: settings.clone(),
            }));
        }
        let masked = configuration.masked.iter().map(|(name, masked)| (name.as_str(), masked));
        let destinations = Destinations::new(&backends, masked);
        let routes = match &configuration.routing {
            Routing::Routes(configured) => Routes::of_short_form(configured, &destinations),
            Routing::UrlMap(map) => Routes::of_url_map(map, &destinations),
        };
        let security_policies = policies.into_values().collect();
        Self {
            identity: Arc::new(IdentityRules {
                project: configuration.project.to_string(),
                users: configuration.users.clone(),
                trust: configuration.trust(),
                issuer: issuer(configuration),
                has_local_keys: is_loopback(&configuration.google.id_token_keys),
            }),
            exchanges_tokens: configuration.exchange,
            routes,
            backends,
            security_policies,
            cors: configuration.cors.as_ref().map(cors_policy),
            directory,
            geography: None,
        }
    }

    /// Which pages of other origins may make a request: as its route says, else as the configuration does.
    pub fn cors_of<'a>(&'a self, routed: Option<&'a Routed>) -> Option<&'a CorsPolicy> {
        let of_configuration = self.cors.as_ref();
        routed.and_then(Routed::entry).map_or(of_configuration, |entry| entry.cors(of_configuration))
    }

    /// With a database that says where addresses are.
    #[must_use]
    pub fn with_geography(self, geography: Option<Arc<dyn Geography>>) -> Self {
        Self { geography, ..self }
    }

    /// Also lets pages of localhost and of private addresses call, on any port: for `firegate dev`.
    #[must_use]
    pub fn with_local_network_origins(mut self) -> Self {
        let policy = self.cors.take().unwrap_or_else(|| CorsPolicy {
            methods: USUAL_METHODS.to_vec(),
            headers: USUAL_HEADERS.to_vec(),
            ..CorsPolicy::default()
        });
        self.cors = Some(CorsPolicy { local_network_origins: true, ..policy });
        self
    }
}

/// The same for every instance and every address that it listens on.
fn issuer(configuration: &Configuration) -> String {
    let configured = configuration.assertion.issuer.clone();
    configured.unwrap_or_else(|| format!("urn:firegate:{}", configuration.project))
}

fn cors_policy(cors: &configuration::Cors) -> CorsPolicy {
    let methods = cors.methods.iter().filter_map(|method| method.parse().ok()).collect::<Vec<_>>();
    let headers = cors.headers.iter().filter_map(|name| name.parse().ok());
    CorsPolicy {
        origins: match &cors.origins {
            AllowedOrigins::Any => vec!["*".to_owned()],
            AllowedOrigins::Listed(origins) => origins.iter().map(ToString::to_string).collect(),
        },
        origin_patterns: Vec::new(),
        local_network_origins: false,
        exposed_headers: Vec::new(),
        max_age_seconds: None,
        methods: if methods.is_empty() { USUAL_METHODS.to_vec() } else { methods },
        headers: USUAL_HEADERS.into_iter().chain(headers).collect(),
        credentials: cors.credentials,
    }
}

impl Backend {
    /// Where it is first of all, and for which audience it is called there.
    pub fn endpoint(&self) -> &Endpoint {
        &self.settings.endpoint
    }

    /// The audiences of all its endpoints.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.settings.endpoints().map(|endpoint| endpoint.audience.as_str())
    }

    /// Whether it also gets the requests that would be refused.
    pub fn observes(&self) -> bool {
        self.settings.enforce == Enforce::Observe
    }

    /// How Firegate identifies itself to it.
    pub fn credential(&self) -> &Credential {
        &self.settings.credential
    }

    /// How it is told who the user is.
    pub fn identity_headers(&self) -> IdentityHeaders {
        self.settings.identity_headers
    }

    /// Whether it sees the user's own token.
    pub(crate) fn forwards_user_token(&self) -> bool {
        self.settings.user_token == UserToken::Forward
    }

    /// Where the caller's token is looked for.
    pub fn token_sources(&self) -> &[TokenSource] {
        &self.settings.token_sources
    }

    /// Whether its callers have to prove which app they are.
    pub fn app_check(&self) -> &AppCheck {
        &self.settings.app_check
    }

    /// Whether its streams end when their user is found to be revoked.
    pub(crate) fn ends_streams_at_revocation(&self) -> bool {
        !self.observes() && self.settings.streams_until == StreamsUntil::Revocation
    }

    /// Whether its streams end with the token that opened them.
    pub(crate) fn ends_streams_at_token_expiry(&self) -> bool {
        !self.observes()
            && matches!(self.settings.streams_until, StreamsUntil::TokenExpiry | StreamsUntil::Revocation)
    }
}
