//! The stages that need nothing but what is here: who calls, from which app, and whether they may.

use std::sync::Arc;

use firegate_files::configuration::{AppCheck, Credential, EncodedSlash, TokenSource};

use super::account::AccountRule;
use super::{Admitted, Asked, Identity, Purpose, Stop, World};
use crate::app_check::{AppCheckRules, VerifiedApp, verify_app};
use crate::iam::{self, IamRequest};
use crate::identity::{Identified, Obstacle, Principal, TokenKind, User, identify};
use crate::jose::decode_base64_freely;
use crate::permit::Permit;
use crate::reason::{MissingToken, Reason, Stage};
use crate::token_source::{PresentedToken, check_cookie_origin, presented_token};

/// The stages that need nothing but what is here.
pub(super) fn admit<'a>(asked: &mut Asked<'a>, world: &World<'_>) -> Result<Admitted<'a>, Stop> {
    let at = |stage| move |obstacle| Stop { obstacle, stage };
    let denied_at = |stage| move |reason| Stop { obstacle: Obstacle::Denied(reason), stage };
    let admits_everyone = asked.admits_everyone(world.now);
    let known = asked.known_caller.take().map(|known| known.identity);
    let identity = known.unwrap_or_else(|| identity(asked, world));
    let Identity { identified, token } = identity.map_err(at(Stage::Identity))?;
    if identified.is_none() && !admits_everyone {
        // Nobody was judged yet, neither a user nor an app: whoever calls lacks the user's token first.
        return Err(denied_at(Stage::Identity)(Reason::TokenMissing(MissingToken::of(asked.facts))));
    }
    // A service account runs on no phone: it proves what it is by its own token.
    let is_account = |identified: &Identified| matches!(*identified.principal, Principal::GoogleAccount(_));
    let is_spared = identified.as_ref().is_some_and(is_account);
    let app = if is_spared { None } else { app(asked, world).map_err(at(Stage::AppCheck))? };
    let account = identified.as_ref().and_then(|identified| AccountRule::of(identified, world.snapshot));
    let principal = identified.map(|identified| identified.principal);
    let request = asked.iam_request(world.now);
    let mirror = mirror(asked, &request, principal.as_ref(), token.as_ref());
    let authorized = iam::authorize(&asked.backend, &request, principal, token.as_ref());
    let permit = authorized.map_err(denied_at(Stage::Iam))?.along(asked.route.take()).mirrored(mirror);
    Ok(Admitted {
        facts: asked.facts,
        permit,
        account,
        admits_everyone,
        policy_knew_caller: asked.policy_knew_caller,
        app_check_token: app.and_then(|app| app.to_be_consumed),
    })
}

/// Leave to send a copy of the request to the service that its route mirrors it to. That is a backend of its own: its own
/// bindings have to admit the caller, and if it asks for anything else that was not judged here, or would refuse the request or
/// take it for somebody else's, it gets nothing.
fn mirror(
    asked: &Asked<'_>,
    request: &IamRequest<'_>,
    principal: Option<&Arc<Principal>>,
    token: Option<&PresentedToken<'_>>,
) -> Option<Permit> {
    let backend = asked.route.as_ref()?.mirror()?;
    let takes_path =
        backend.settings.encoded_slash == EncodedSlash::Forward || !asked.facts.path.has_encoded_separator();
    let judged_alike = *backend.app_check() == AppCheck::Off && backend.settings.security_policy.is_none();
    let found = presented_token(asked.facts, backend.token_sources()).ok()?;
    let is_judged = |found: &PresentedToken<'_>| token.is_some_and(|token| token.text == found.text);
    if !takes_path || !found.as_ref().is_none_or(is_judged) {
        return None;
    }
    let supersedes_cookie = found.is_some_and(|found| found.supersedes_cookie);
    let token = token.map(|token| PresentedToken {
        supersedes_cookie: token.supersedes_cookie || supersedes_cookie,
        ..*token
    });
    // A token for one audience says nothing to the services of another.
    let is_for_all = principal.is_none_or(|principal| {
        principal
            .user()
            .is_some_and(|user| matches!(user.kind, TokenKind::IdToken | TokenKind::SessionCookie))
    });
    if !judged_alike || !is_for_all {
        return None;
    }
    let permit = iam::authorize(backend, request, principal.cloned(), token.as_ref()).ok()?;
    Some(match asked.backend.app_check() {
        AppCheck::Off => permit,
        AppCheck::Required { .. } => permit.without_app_check_token(),
    })
}

/// Which app calls, if the backend requires that it proves it.
pub(super) fn app<'a>(asked: &Asked<'a>, world: &World<'_>) -> Result<Option<VerifiedApp<'a>>, Obstacle> {
    let rules = AppCheckRules {
        project: &world.snapshot.identity.project,
        setting: asked.backend.app_check(),
        clock_skew: world.snapshot.identity.users.clock_skew,
    };
    verify_app(asked.facts, &rules, world.keys, world.now)
}

/// Who calls, and where their token stands.
pub(super) fn identity<'a>(asked: &Asked<'a>, world: &World<'_>) -> Result<Identity<'a>, Obstacle> {
    let Asked { facts, backend, purpose, cookie_is_nobodys, .. } = asked;
    let judge = |text| identify(text, &world.snapshot.identity, &**backend, world.keys, world.now);
    let token = match purpose {
        Purpose::Exchange(asked) => {
            let identified = judge(&asked.subject_token)?;
            only_users_tokens(&identified.principal)?;
            let is_cookie = |user: &User| user.kind == TokenKind::SessionCookie;
            if asked.needs_id_token() && identified.principal.user().is_some_and(is_cookie) {
                return Err(Obstacle::Denied(Reason::TokenIsSessionCookie));
            }
            return Ok(Identity { identified: Some(identified), token: None });
        }
        Purpose::Forward => presented_token(facts, backend.token_sources()).map_err(Obstacle::Denied)?,
    };
    let Some(token) = token else { return Ok(Identity::nobody(None)) };
    let nobodys = PresentedToken { supersedes_cookie: true, ..token };
    if *cookie_is_nobodys {
        return Ok(Identity::nobody(Some(nobodys)));
    }
    let identified = match judge(token.text) {
        // Where everyone may pass, a service account that no member names is nobody in particular: anyone can make one.
        Ok(Identified { principal, .. })
            if matches!(*principal, Principal::GoogleAccount(_))
                && asked.admits_everyone(world.now)
                && !backend.bindings.name_account(&asked.iam_request(world.now), &principal) =>
        {
            return Ok(Identity::nobody(Some(PresentedToken { is_good_elsewhere: true, ..token })));
        }
        Ok(identified) => identified,
        // A webhook's own bearer token is none of Firegate's business where everyone may pass.
        Err(Obstacle::Denied(reason))
            if asked.admits_everyone(world.now) && is_foreign(&reason, token.text) =>
        {
            return Ok(Identity::nobody(Some(token)));
        }
        Err(Obstacle::Denied(_)) if asked.may_ignore_cookie(world.now) => {
            return Ok(Identity::nobody(Some(nobodys)));
        }
        Err(obstacle) => return Err(obstacle),
    };
    if token.source == TokenSource::Cookie {
        only_users_tokens(&identified.principal)?;
        check_cookie_origin(facts, asked.cors(world)).map_err(Obstacle::Denied)?;
    }
    if matches!(backend.credential(), Credential::FederateUser { .. }) {
        // The provider trusts Firebase, and takes no other issuer's word.
        only_users_tokens(&identified.principal)?;
    }
    Ok(Identity { identified: Some(identified), token: Some(token) })
}

/// Only what Firebase issues to users: neither a service account nor what was exchanged once already.
fn only_users_tokens(principal: &Principal) -> Result<(), Obstacle> {
    match principal {
        Principal::GoogleAccount(_) => Err(Obstacle::Denied(Reason::TokenIsGoogleIdToken)),
        Principal::User(user) if user.kind == TokenKind::ExchangedToken => {
            Err(Obstacle::Denied(Reason::TokenIsFiregatesOwn))
        }
        Principal::User(_) => Ok(()),
    }
}

/// Whether a token was refused for being none of an accepted issuer's, rather than a bad one of theirs.
pub(super) fn is_foreign(reason: &Reason, text: &str) -> bool {
    match reason {
        Reason::TokenIsAppCheckToken | Reason::TokenIsCustomToken | Reason::TokenIsGoogleIdToken => true,
        // A user's token of a kind that is not accepted is one of theirs all the same.
        Reason::TokenIssuerUnknown { found } => !firebase_hosts().any(|host| found.contains(host)),
        Reason::TokenMalformed(_) => !claims_to_be_firebases(text),
        _ => false,
    }
}

/// Whether a text that is no token by RFC 7515 would be a Firebase user's for those who read base64 more freely.
fn claims_to_be_firebases(text: &str) -> bool {
    let payload = text.split('.').nth(1).unwrap_or_default();
    let decoded = decode_base64_freely(payload);
    firebase_hosts().any(|host| decoded.windows(host.len()).any(|window| window == host.as_bytes()))
}

/// The hosts that name themselves the issuers of users' tokens.
fn firebase_hosts() -> impl Iterator<Item = &'static str> {
    let prefixes = TokenKind::FIREBASE.into_iter().filter_map(TokenKind::firebase_issuer_prefix);
    prefixes.map(|prefix| prefix.trim_start_matches("https://").trim_end_matches('/'))
}
