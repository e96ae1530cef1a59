//! The catalogue of reasons: every code, and the one place that says what it means on the wire and to a person.

use std::fmt::{self, Write as _};

/// What to do where a member would match but for one thing about the user.
pub(super) const NEARLY_LET_IN: &str = "change what keeps that member from matching; an address is verified by \
    `sendEmailVerification(user)`, and is so in the token that `getIdToken(true)` gets afterwards";

/// What to do where the identity server of this machine has other keys than a token was signed with.
pub(super) const OTHER_LOCAL_KEYS: &str = "sign in again: the identity server on this machine has other keys now, as that of \
    `firegate dev` has after each start without `--data DIRECTORY`, which keeps them";

/// What the app should do about a refusal: `metadata.action` of the error's `ErrorInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing the app does will help: an operator or a developer has to change something.
    None,
    /// Call `getIdToken(true)` once and send the request again.
    RefreshToken,
    /// Wait as long as `Retry-After` says and send the request again; the user stays signed in.
    RetryLater,
    /// Let the user sign in again.
    SignIn,
}

impl Action {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::RefreshToken => "REFRESH_TOKEN",
            Self::RetryLater => "RETRY_LATER",
            Self::SignIn => "SIGN_IN",
        }
    }
}

/// Whose doing a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// An expected answer of the rules.
    Denial,
    /// A failure of Firegate, of Google or of the service.
    Fault,
}

/// What the catalogue says about a [`Code`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The stable name, as on the wire.
    pub name: &'static str,
    /// Denial or fault.
    pub family: Family,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What the app should do.
    pub action: Action,
    /// One sentence for the client. It tells nothing of the policy.
    pub message: &'static str,
    /// What happened, for the documentation.
    pub meaning: &'static str,
    /// What to do next, for the operator's log and the documentation.
    pub fix: &'static str,
}

macro_rules! catalogue {
    ($($code:ident $name:literal $family:ident $status:literal $action:ident { $message:literal $meaning:literal $fix:literal })+) => {
        /// The stable name of a reason. Closed on purpose: a new reason is a new line of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $meaning] $code,)+ }

        impl Code {
            /// Every code, in the order of a request's way.
            pub const ALL: &'static [Self] = &[$(Self::$code,)+];

            /// What the catalogue says about this code.
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$code => Entry {
                        name: $name, family: Family::$family, status: $status, action: Action::$action,
                        message: $message, meaning: $meaning, fix: $fix,
                    },)+
                }
            }
        }
    };
}

catalogue! {
    RequestMalformed "REQUEST_MALFORMED" Denial 400 None {
        "the request is malformed"
        "The request can be read in more than one way: its path holds an encoded slash, backslash, control character or double-encoded dot segment, or leads elsewhere without its parameters (`;`) or in letters of another case, its Host is missing or repeated, a header's value is between blanks, or its framing is ambiguous. Or a rule of a security policy or a URL map would decide otherwise by what a service may take it for: by a header of which there is a look-alike or another copy, or that `Connection` names, by another method that it names beside its own, or by an escaped parameter. Or the client speaks TLS where none is."
        "send the request as RFC 9110 and RFC 3986 describe it"
    }
    HostNotLocal "HOST_NOT_LOCAL" Denial 400 None {
        "this host is not answered here; `firegate dev --host NAME` adds one"
        "`firegate dev` answers to this machine's own names and addresses, to the hosts that the URL map of `-c` names in full, and to those of `--host`. Any other name may be one that a page of the Internet has pointed at this machine (DNS rebinding): for the browser that page would be of the same origin as what it finds here. `firegate serve` never refuses a request for this."
        "if the name is yours, start `firegate dev` with `--host NAME`; a pattern of a URL map, such as `*.example.com`, admits nobody by itself. Otherwise ask by `localhost` or an address"
    }
    RequestHeadTimedOut "REQUEST_HEAD_TIMED_OUT" Denial 408 None {
        "the request's head did not come in time"
        "The client began a request and did not send the rest of its head in time. Connections on which no request was begun are closed without a word."
        "send the request again on a new connection; if it happens often, look at the network between the client and Firegate"
    }
    RequestTargetTooLong "REQUEST_TARGET_TOO_LONG" Denial 414 None {
        "the request's target is too long"
        "The first line of the request, or its path, is longer than Firegate reads."
        "send what is long in the body"
    }
    RequestHeadTooLarge "REQUEST_HEAD_TOO_LARGE" Denial 431 None {
        "the request's head is too large"
        "The request's head has more bytes, or more fields, than Firegate reads."
        "send fewer or smaller headers; cookies that grew are the usual cause"
    }
    RouteNotFound "ROUTE_NOT_FOUND" Denial 404 None {
        "no route matches this path"
        "No route of the configuration matches the request's path, or the path is one of Firegate's own (`/.well-known/firegate/…`), which are never routed, and nothing is answered there."
        "add a route for the path, or `/*` for everything that no other route names"
    }
    MethodNotAllowed "METHOD_NOT_ALLOWED" Denial 405 None {
        "this path is Firegate's own and does not answer this method"
        "The path is one of Firegate's own, as those below `/.well-known/firegate/` are, and is read by GET and HEAD alone. What a service answers to a method is its own affair and passes unchanged."
        "use a method that the answer names in `Allow`"
    }
    FaultInjected "FAULT_INJECTED" Denial 503 None {
        "the request was given up on purpose"
        "The URL map's `faultInjectionPolicy` answers a share of the requests by itself, to try what clients do when a service fails. The status is the one that the policy says."
        "remove `faultInjectionPolicy.abort` from the URL map when the experiment is over"
    }
    RedirectLoop "REDIRECT_LOOP" Denial 500 None {
        "the redirect for this address leads to the same address"
        "A redirect of the URL map leads to the very URL that was asked for, so a browser would follow it for ever. `httpsRedirect` does that to requests that came by https."
        "use a URL map with `httpsRedirect` for plain http alone, or let the redirect change host or path"
    }
    CorsOriginNotAllowed "CORS_ORIGIN_NOT_ALLOWED" Denial 403 None {
        "cross-origin requests from this origin, or with this method or these headers, are not allowed"
        "A browser asked, by a preflight request, whether a page of another origin may call the service, and the configuration does not allow that origin, method or header."
        "add the page's origin to `cors.origins`, its method to `cors.methods` and its headers to `cors.headers`"
    }
    ArmorDenied "ARMOR_DENIED" Denial 403 None {
        "the request is not allowed"
        "A rule of the backend's security policy refuses the request, whoever the user is. The status is that of the rule: 403, 404, 429 or 502."
        "change the rule, or try it out with `preview: true`; `firegate explain -c FILE --url URL` shows which part of it matched"
    }
    RateLimited "RATE_LIMITED" Denial 429 RetryLater {
        "too many requests"
        "A `throttle` rule of the backend's security policy, or a `rate_based_ban` rule before it bans, counts more requests than it allows in its interval. The status is that of the rule's `exceedAction`."
        "wait as long as `Retry-After` says, or raise the rule's `rateLimitThreshold`"
    }
    RateLimitBanned "RATE_LIMIT_BANNED" Denial 429 RetryLater {
        "too many requests; wait before the next one"
        "A `rate_based_ban` rule of the backend's security policy counted more requests than it allows, and refuses all of them for as long as it says. The status is that of the rule's `exceedAction`."
        "wait as long as `Retry-After` says, or shorten the rule's `banDurationSec`"
    }
    CredentialAmbiguous "CREDENTIAL_AMBIGUOUS" Denial 400 None {
        "the request carries more than one credential, or one that can be read in two ways"
        "There is more than one Authorization header, one holds a list, a token stands in two places, or a cookie or header could be read in two ways. Two parties could read different users out of it."
        "send exactly one `Authorization: Bearer <token>` header"
    }
    CookieOriginNotAllowed "COOKIE_ORIGIN_NOT_ALLOWED" Denial 403 None {
        "a page of this origin may not use the user's session cookie"
        "The user's token came in the `__session` cookie, which browsers send with every page's requests, and the request changes something or opens a WebSocket without an `Origin` that is the door's own or is configured."
        "send the token as `Authorization: Bearer`, or list the page's origin in `cors.origins` and set `cors.credentials`, or in the `corsPolicy` of a route that has one, with `allowCredentials`; behind a proxy that ends TLS, set `behind`, so that the door knows its own scheme"
    }
    TokenMissing "TOKEN_MISSING" Denial 401 SignIn {
        "the request carries no ID token"
        "The service is for signed-in users and the request has no Authorization header, or one with another scheme than Bearer. `Bearer` with nothing behind it is refused everywhere. The log says what stands there instead of a token, and tells a browser's preflight, which never has one, from a request that should."
        "send `Authorization: Bearer <ID token>`, the token being the result of the Firebase SDK's `getIdToken()`"
    }
    TokenMalformed "TOKEN_MALFORMED" Denial 401 SignIn {
        "the token is not a JSON Web Token"
        "The bearer token is no compact JWS: it is too long, was cut, is padded or not base64url, its JSON is ambiguous, or there are blanks in it, as in `Bearer [object Promise]` or `Bearer Bearer …`."
        "send the whole result of `getIdToken()`, unchanged; an OAuth access token (`ya29.…`), a refresh token (`AMf-…`) or an API key is no ID token"
    }
    TokenUnsigned "TOKEN_UNSIGNED" Denial 401 SignIn {
        "the token is not signed"
        "The token's algorithm is `none`: it comes from a Firebase Auth emulator. Anyone can write such a token."
        "sign in against the real project; for local work run `firegate dev`, whose identity server signs its tokens, or `firegate dev --identity URL`"
    }
    TokenAlgorithmNotAllowed "TOKEN_ALGORITHM_NOT_ALLOWED" Denial 401 SignIn {
        "the token's algorithm is not RS256"
        "Firebase signs with RS256 and nothing else; the token names another algorithm."
        "send the result of `getIdToken()`"
    }
    TokenHeaderNotAllowed "TOKEN_HEADER_NOT_ALLOWED" Denial 401 SignIn {
        "the token's header is not that of an ID token"
        "The token's header has no key id, another type than JWT, or asks for extensions (`crit`) that Firebase never uses."
        "send the result of `getIdToken()`"
    }
    TokenIsCustomToken "TOKEN_IS_CUSTOM_TOKEN" Denial 401 SignIn {
        "the token is a custom token, not an ID token"
        "The app sent the custom token that `createCustomToken()` made on a server."
        "exchange it in the app with `signInWithCustomToken(auth, token)` and send the user's `getIdToken()`"
    }
    TokenIsSessionCookie "TOKEN_IS_SESSION_COOKIE" Denial 401 SignIn {
        "the token is a session cookie, not an ID token"
        "The token was issued by `createSessionCookie()` and the configuration accepts ID tokens only."
        "send the user's `getIdToken()`, or add `session_cookie` to `users.accept`"
    }
    TokenIsFiregatesOwn "TOKEN_IS_FIREGATES_OWN" Denial 401 SignIn {
        "the token was issued by Firegate itself, and is not accepted here"
        "The token is an assertion, which is for the service alone, or an exchanged token where none is accepted: `users.accept` does not name `exchanged_token`, the token is for another backend, or it was sent to be exchanged again."
        "send the user's `getIdToken()`, or add `exchanged_token` to `users.accept`"
    }
    TokenIsGoogleIdToken "TOKEN_IS_GOOGLE_ID_TOKEN" Denial 401 SignIn {
        "the token is a Google ID token, not a Firebase ID token"
        "The token was issued by accounts.google.com: it belongs to a Google account or a service account, not to a user of the Firebase project."
        "in the app, sign in to Firebase with the Google credential and send the Firebase user's `getIdToken()`"
    }
    TokenIsAppCheckToken "TOKEN_IS_APP_CHECK_TOKEN" Denial 401 SignIn {
        "the token is an App Check token, not an ID token"
        "An App Check token vouches for an app, not for a user; it stands in the wrong header."
        "send it as `X-Firebase-AppCheck` and the user's `getIdToken()` as `Authorization: Bearer`"
    }
    TokenIssuerUnknown "TOKEN_ISSUER_UNKNOWN" Denial 401 SignIn {
        "the token was issued by an unknown issuer"
        "The token's `iss` is none that Firegate knows."
        "send the result of the Firebase SDK's `getIdToken()`"
    }
    TokenWrongProject "TOKEN_WRONG_PROJECT" Denial 401 SignIn {
        "the token belongs to another Firebase project"
        "The token's issuer or audience names another project than the configuration's `project`."
        "check `projectId` of the app's Firebase configuration against `project` of Firegate's; it is the project's ID, not its number"
    }
    TokenWrongAudience "TOKEN_WRONG_AUDIENCE" Denial 401 None {
        "the token is for another audience"
        "The token is a Google ID token whose `aud` is none of `users.google_audiences`, or an exchanged token for another backend."
        "let the caller ask for the right audience (Cloud Scheduler: `--oidc-token-audience`), or add it to `users.google_audiences`"
    }
    TokenClaimInvalid "TOKEN_CLAIM_INVALID" Denial 401 SignIn {
        "the token lacks a required claim or has one of the wrong type"
        "A claim that every ID token has (`exp`, `iat`, `auth_time`, `sub`, `aud`) is missing, has the wrong type or an impossible value."
        "send the result of `getIdToken()`; a token that was put together by hand is not accepted"
    }
    TokenExpired "TOKEN_EXPIRED" Denial 401 RefreshToken {
        "the token has expired"
        "An ID token lives one hour, and this one's hour is over."
        "call `getIdToken()` for every request instead of keeping the token: the SDK renews it when needed; if fresh tokens are refused too, the clock of the machine that runs Firegate is fast"
    }
    TokenNotYetValid "TOKEN_NOT_YET_VALID" Denial 401 RefreshToken {
        "the token is not valid yet"
        "The token's `iat`, `nbf` or `auth_time` lies in the future by more than `users.clock_skew`."
        "check the clock of the machine that runs Firegate; raise `users.clock_skew` only if it cannot be set right"
    }
    TokenKeyUnknown "TOKEN_KEY_UNKNOWN" Denial 401 RefreshToken {
        "the token was signed with a key that the issuer does not publish; refresh the token and retry once"
        "The token's `kid` is in none of the issuer's published keys: the key was retired, or the token is forged."
        "call `getIdToken(true)` once; if that does not help, the token is not from Firebase"
    }
    TokenSignatureInvalid "TOKEN_SIGNATURE_INVALID" Denial 401 SignIn {
        "the token's signature is not valid"
        "The token was changed after it was signed, its end was cut off, or it was signed by someone else."
        "send the whole result of `getIdToken()`, unchanged"
    }
    UserNotFound "USER_NOT_FOUND" Denial 401 SignIn {
        "the user no longer exists"
        "The token's user has been deleted."
        "let the user sign in again"
    }
    UserDisabled "USER_DISABLED" Denial 401 SignIn {
        "the user is disabled"
        "An administrator has disabled the token's user."
        "enable the user in the Firebase console, or leave them out"
    }
    TokenRevoked "TOKEN_REVOKED" Denial 401 SignIn {
        "the user's sessions were revoked"
        "The user signed in before the moment up to which their sessions are revoked."
        "let the user sign in again"
    }
    AppCheckTokenMissing "APP_CHECK_TOKEN_MISSING" Denial 401 None {
        "the request carries no App Check token"
        "The backend requires App Check, and the request has no `X-Firebase-AppCheck` header."
        "send the `token` of the App Check SDK's `getToken(appCheck)` as `X-Firebase-AppCheck`; the user stays signed in"
    }
    AppCheckTokenInvalid "APP_CHECK_TOKEN_INVALID" Denial 401 None {
        "the App Check token is not valid"
        "The `X-Firebase-AppCheck` header holds no App Check token of this project: it is malformed, of another project, or not signed with a key that Firebase App Check publishes."
        "send the `token` of the App Check SDK's `getToken(appCheck)`; check `projectId` of the app against `project` and `project_number` of Firegate's configuration"
    }
    AppCheckTokenExpired "APP_CHECK_TOKEN_EXPIRED" Denial 401 None {
        "the App Check token has expired"
        "The App Check token's time is over."
        "call `getToken(appCheck)` for every request: the SDK renews it when needed"
    }
    AppCheckTokenConsumed "APP_CHECK_TOKEN_CONSUMED" Denial 401 None {
        "the App Check token was used before"
        "The backend takes each App Check token once (`app_check: { consume: true }`), and this one was consumed already: the request was replayed, or the app sent the token twice."
        "call `getLimitedUseToken(appCheck)` for every request to this backend"
    }
    AppCheckAppNotAllowed "APP_CHECK_APP_NOT_ALLOWED" Denial 403 None {
        "this app is not allowed to call"
        "The App Check token is good, and belongs to an app that `app_check.apps` does not list."
        "add the app's ID, as the Firebase console shows it, to `app_check.apps`"
    }
    TenantNotAccepted "TENANT_NOT_ACCEPTED" Denial 403 None {
        "users of this tenant are not accepted"
        "The user belongs to a tenant that `users.tenants` does not accept; by default it accepts none."
        "name the tenant in `users.tenants` and grant it with a `principalSet://…/attribute.tenant/TENANT` member"
    }
    AnonymousUserNotAccepted "ANONYMOUS_USER_NOT_ACCEPTED" Denial 403 SignIn {
        "anonymous users are not accepted"
        "The user signed in anonymously, and `users.anonymous` is `deny`, as by default."
        "let the user sign in with a provider, or set `users: { anonymous: allow }`"
    }
    DeniedByIamPolicy "DENIED_BY_IAM_POLICY" Denial 403 None {
        "the user is not allowed to call this service"
        "A rule of an IAM deny policy names the user, and not as an exception. Deny policies come before every binding."
        "change the rule, or add the user to its `exceptionPrincipals`"
    }
    NoInvokerBinding "NO_INVOKER_BINDING" Denial 403 None {
        "the user is not allowed to call this service"
        "The user is signed in, and no member of the backend's `allow` matches them."
        "add the user to the backend's `allow`: `user:ada@example.com` for one with this verified address, `allAuthenticatedUsers` for every signed-in one; `firegate explain -c FILE` shows what each member would need"
    }
    FederationRefused "FEDERATION_REFUSED" Denial 403 None {
        "the user is not allowed to act as the service's caller"
        "`credential: federate_user`: Google refused to exchange the user's token at the workload identity provider, or to let that user impersonate the service account; or the user's id is longer than the 127 bytes that can be federated."
        "check the provider's attribute condition and allowed audiences, and that the user has `roles/iam.serviceAccountOpenIdTokenCreator` on the service account"
    }
    BodyTooLarge "BODY_TOO_LARGE" Denial 413 None {
        "the request's body is too large"
        "The body is longer than the backend's `body_bytes_max`."
        "send less at once, or raise `body_bytes_max`"
    }
    BodyTooSlow "BODY_TOO_SLOW" Denial 408 RetryLater {
        "the request's body came too slowly"
        "The client sent less of the body in a second than the backend's `body_bytes_per_second_min`, or nothing more for its `timeouts.idle`."
        "send the body as fast as the network allows, and in smaller pieces where it is slow; for streams that are meant to be sparse set `body_bytes_per_second_min: 0`"
    }
    LeaseOver "LEASE_OVER" Denial 401 RefreshToken {
        "the user's token ended while the request was under way"
        "The token that the request came with expired, or its user was revoked, before the whole body had come."
        "send the request again with a fresh token; `streams.until` says what ends a stream"
    }
    KeysUnavailable "KEYS_UNAVAILABLE" Fault 503 RetryLater {
        "the token cannot be checked at the moment; the user is still signed in"
        "The issuer's public keys could not be fetched and no kept set is young enough. Nothing is known against the token."
        "let Firegate reach the key endpoint (egress, proxy, DNS); a warning in the log names it and its last error"
    }
    UserStatusUnavailable "USER_STATUS_UNAVAILABLE" Fault 503 RetryLater {
        "the user's status cannot be checked at the moment; the user is still signed in"
        "The look-up of the user at Identity Platform failed."
        "let Firegate reach the Identity Toolkit endpoint, and grant its account `roles/firebaseauth.viewer` on the project"
    }
    AppCheckUnavailable "APP_CHECK_UNAVAILABLE" Fault 503 RetryLater {
        "the App Check token cannot be checked at the moment; the user is still signed in"
        "Firebase App Check could not be asked whether the token was used before, or its keys could not be fetched."
        "let Firegate reach the App Check endpoint, and grant its account `roles/firebaseappcheck.tokenVerifier` on the project"
    }
    CredentialUnavailable "CREDENTIAL_UNAVAILABLE" Fault 503 RetryLater {
        "the service cannot be called at the moment; the user is still signed in"
        "Firegate could not get a Google ID token for the service, and kept none that is still valid. It never calls without one."
        "check the metadata server or the backend's `credential`"
    }
    CloudRunRefusedFiregate "CLOUD_RUN_REFUSED_FIREGATE" Fault 502 None {
        "the service does not accept Firegate's own credential; the user is still signed in"
        "Cloud Run's front, not the service, answered 401, 403 or 404 to Firegate's Google ID token. The user has nothing to do with it."
        "grant Firegate's service account `roles/run.invoker` on the service (403), set the backend's `audience` to the service's URL (401), or set the service's ingress to admit Firegate (404)"
    }
    UpstreamUnreachable "UPSTREAM_UNREACHABLE" Fault 502 RetryLater {
        "the service cannot be reached"
        "No connection to the service could be made: its name has no address, nothing listens there, or TLS failed."
        "check that the service runs and that the backend's `url` is right"
    }
    UpstreamConnectTimedOut "UPSTREAM_CONNECT_TIMED_OUT" Fault 504 RetryLater {
        "the service cannot be reached in time"
        "No connection to the service was made within the backend's `timeouts.connect`."
        "check the network and its firewalls between Firegate and the service; raise the time-out only if connections really take that long"
    }
    UpstreamBrokeOff "UPSTREAM_BROKE_OFF" Fault 502 RetryLater {
        "the service broke off before it answered"
        "The connection to the service, or the request's HTTP/2 stream, ended before an answer came. What could be sent once more without harm was."
        "look at the service's own log: it may have crashed, run out of memory, or closed the connection for its own time-out"
    }
    UpstreamTimedOut "UPSTREAM_TIMED_OUT" Fault 504 RetryLater {
        "the service did not answer in time"
        "The service accepted the request and sent no answer within the backend's `timeouts.response_headers`, or the whole took longer than `timeouts.total`."
        "look at the service's own log; raise the time-out if its answers take that long"
    }
    UpstreamOverloaded "UPSTREAM_OVERLOADED" Fault 503 RetryLater {
        "too many requests to the service are under way"
        "As many requests to the service are under way as the backend's `requests_max` allows, or as many WebSockets as fit on the HTTP/2 connections that are for them. More of them would wait and fail, and take the memory of those to other services."
        "look for why the service answers slowly, let it scale out, or raise `requests_max`"
    }
    UpstreamProtocol "UPSTREAM_PROTOCOL" Fault 502 None {
        "the service sent an answer that is not valid HTTP"
        "The service's answer could not be read as HTTP, or it switched protocols without being asked."
        "look at the service's own log, and at the backend's `protocol`"
    }
    UpstreamWithoutWebSockets "UPSTREAM_WITHOUT_WEB_SOCKETS" Fault 502 None {
        "the service takes no WebSockets over HTTP/2"
        "The backend's `protocol` is `h2` or `h2c`, and the service did not say that it takes the extended CONNECT of RFC 8441, by which a WebSocket comes over HTTP/2."
        "set `protocol: auto` or `http1` if the service takes WebSockets over HTTP/1.1, or have it send SETTINGS_ENABLE_CONNECT_PROTOCOL"
    }
    LimitsStoreUnavailable "LIMITS_STORE_UNAVAILABLE" Fault 503 RetryLater {
        "requests cannot be counted at the moment; the user is still signed in"
        "The store in which all instances count requests cannot be asked, and `limits_store.on_failure` is `closed` for this rule: nothing passes that is not counted."
        "check that the Redis or Valkey server of `limits_store` runs and answers in time; a warning in the log names what failed"
    }
    Overloaded "OVERLOADED" Fault 503 RetryLater {
        "too many requests are waiting"
        "A named limit on waiting requests is reached, so that the others are still served; or this machine had no descriptor, port or memory left for a connection to the service."
        "add replicas, or look for what the requests wait for"
    }
    FiregateOverloaded "FIREGATE_OVERLOADED" Fault 503 RetryLater {
        "too many requests are being served"
        "As many requests as `limits.requests_max` allows are being served, so that this one was not looked at."
        "look for what the requests wait for, add replicas, or raise `limits.requests_max` if there is memory for it"
    }
    Internal "INTERNAL" Fault 500 None {
        "the request could not be served"
        "Firegate itself failed. A failure never allows."
        "report the log line with the request id"
    }
}

impl Code {
    /// Whether it is about the app's token and not about the user's.
    pub const fn is_about_app_check(self) -> bool {
        matches!(
            self,
            Self::AppCheckAppNotAllowed
                | Self::AppCheckTokenConsumed
                | Self::AppCheckTokenExpired
                | Self::AppCheckTokenInvalid
                | Self::AppCheckTokenMissing
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.entry().name)
    }
}

/// `docs/reasons.md`: every reason, what it means and how to fix it.
pub fn catalogue_markdown() -> String {
    let mut text = String::from(
        "# Reasons\n\nEvery refusal carries one of these codes: as `error.details[0].reason` in the answer, in the log, and in\n\
         `firegate explain`. `action` is what the app should do. Beside the code the log has the `evidence`, which says more of\n\
         this one request: the part that was refused, the rule with its file and line, the endpoint and what it answered. This\n\
         page is generated by `cargo xtask generate`.\n",
    );
    for (family, title, about) in [
        (
            Family::Denial,
            "Denials",
            "The rules refuse the request. Sending it again unchanged gives the same answer, unless the action is to wait.",
        ),
        (Family::Fault, "Faults", "Firegate, Google or the service failed. The user is still signed in."),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {title}\n\n{about}\n");
        for entry in Code::ALL.iter().map(|code| code.entry()).filter(|entry| entry.family == family) {
            let Entry { name, status, action, message, meaning, fix, .. } = entry;
            let action = action.as_str();
            let _ = write!(
                text,
                "\n### {name}\n\n`{status}`, action `{action}`: \"{message}\"\n\n{meaning}\n\nTo fix it: {fix}.\n"
            );
        }
    }
    text
}
