//! When a token counts.

use super::{Examined, Obstacle, deny, invalid};
use crate::identity::TokenKind;
use crate::reason::Reason;
use crate::time::UnixTime;

/// What a token says of its own time. It follows from the text alone, so it may be kept with a token that was read before.
#[derive(Clone, Copy, Debug)]
pub(in crate::identity) struct Times {
    expires_at: UnixTime,
    issued_at: UnixTime,
    auth_time: UnixTime,
    not_before: Option<UnixTime>,
}

impl Times {
    pub(super) fn read(examined: &Examined<'_>) -> Result<Self, Obstacle> {
        let expires_at = examined.time("exp")?;
        let issued_at = examined.time("iat")?;
        // Google's service accounts never sign in.
        let auth_time = match examined.profile() {
            TokenKind::GoogleIdToken => issued_at,
            _ => examined.time("auth_time")?,
        };
        // Firebase sets none. Whoever does means it, and other verifiers give it no grace.
        let has_beginning = examined.jws.payload().contains_key("nbf");
        let not_before = has_beginning.then(|| examined.time("nbf")).transpose()?;
        Ok(Self { expires_at, issued_at, auth_time, not_before })
    }
}

pub(super) fn times(examined: &Examined<'_>) -> Result<(), Obstacle> {
    let (now, skew) = (examined.now, examined.rules.users.clock_skew);
    let Times { expires_at, issued_at, auth_time, not_before } = examined.times()?;
    // The skew is for what seems to come from the future. A token past its end gets no grace: the assertion about the user,
    // a federated token and the stream's lease all end with it, and refreshing costs the app one call.
    if expires_at <= now {
        return deny(Reason::TokenExpired { expired_at: expires_at, now });
    }
    for (claim, at) in [("iat", issued_at), ("auth_time", auth_time)] {
        if at > now.plus(skew) {
            return deny(Reason::TokenNotYetValid { claim, at, now });
        }
    }
    if let Some(at) = not_before.filter(|at| *at > now) {
        return deny(Reason::TokenNotYetValid { claim: "nbf", at, now });
    }
    if auth_time > issued_at {
        return invalid("auth_time", "is later than `iat`");
    }
    if issued_at >= expires_at {
        return invalid("exp", "is not later than `iat`");
    }
    if expires_at.since(issued_at) > examined.kind()?.lifetime_max() {
        return invalid("exp", "is further from `iat` than Google ever sets it");
    }
    Ok(())
}
