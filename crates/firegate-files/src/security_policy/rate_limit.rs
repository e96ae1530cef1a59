//! The options of `throttle` and `rate_based_ban`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::check::{Checker, Deny, is_header_name};
use super::matcher::FIREGATE_ONLY_HINT;
use super::model::{Ban, DenyStatus, Exceed, Key, RateLimit, Threshold};
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::Located;
use crate::limits::{
    GOOGLE_BAN_COUNT_MAX, GOOGLE_RATE_LIMIT_KEYS_MAX, GOOGLE_THROTTLE_COUNT_MAX, RATE_LIMIT_COUNT_MAX,
    RATE_LIMIT_INTERVAL_MAX, RATE_LIMIT_KEYS_MAX,
};
use crate::members::{is_profile_claim, is_registered_claim};
use crate::optional;
use crate::suggestion::{alternatives, nearest, quoted};

/// The intervals that Google takes, in seconds
/// (<https://cloud.google.com/armor/docs/rate-limiting-overview>).
const INTERVALS_SECONDS: [u64; 13] = [10, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700, 3600];

/// The durations of a ban that Google takes, in seconds.
const BAN_DURATIONS_SECONDS: [u64; 11] = [60, 120, 180, 240, 300, 600, 900, 1200, 1800, 2700, 3600];

/// What a limit can count by.
const KEY_TYPES: [&str; 16] = [
    "ALL",
    "IP",
    "HTTP_HEADER",
    "XFF_IP",
    "HTTP_COOKIE",
    "HTTP_PATH",
    "SNI",
    "REGION_CODE",
    "TLS_JA3_FINGERPRINT",
    "TLS_JA4_FINGERPRINT",
    "USER_IP",
    "ASN",
    "AUTH_UID",
    "AUTH_TENANT",
    "AUTH_CLAIM",
    "APP_ID",
];

/// Reads `rateLimitOptions`; the second part is there for a `rate_based_ban`.
pub(super) fn read(
    checker: &mut Checker<'_>,
    rule: &Located<'_>,
    bans: bool,
) -> Option<(RateLimit, Option<Ban>)> {
    let Some(options) = rule.get("rateLimitOptions") else {
        let found = Diagnostic::error(code::RATE_LIMIT, "the rule limits, and has no `rateLimitOptions`").hint(
            "add for example `rateLimitOptions: {rateLimitThreshold: {count: 500, intervalSec: 60}, conformAction: allow, \
             exceedAction: deny(429), enforceOnKey: IP}`",
        );
        checker.report_field(rule, "rateLimitOptions", found);
        return None;
    };
    let threshold = match options.get("rateLimitThreshold") {
        Some(given) => threshold(checker, &given, bans),
        None => {
            let message = "the limit has no `rateLimitThreshold`";
            let hint = "add for example `rateLimitThreshold: {count: 500, intervalSec: 60}`";
            let found = Diagnostic::error(code::RATE_LIMIT, message).hint(hint);
            checker.report_field(&options, "rateLimitThreshold", found);
            None
        }
    };
    if let Some(conform) = options.get("conformAction")
        && conform.text().is_some_and(|text| text != "allow")
    {
        let message = "what conforms is allowed, and nothing else";
        checker.report(
            &conform,
            Diagnostic::error(code::RATE_LIMIT, message).hint("write `conformAction: allow`"),
        );
    }
    let exceed = exceed(checker, &options);
    let keys = keys(checker, &options);
    let ban = ban(checker, &options, bans);
    let limit = RateLimit { threshold: threshold?, exceed: exceed?, keys: keys? };
    Some((limit, ban?))
}

/// Reads a threshold: how many, within how long.
fn threshold(checker: &mut Checker<'_>, given: &Located<'_>, bans: bool) -> Option<Threshold> {
    let google_max = if bans { GOOGLE_BAN_COUNT_MAX } else { GOOGLE_THROTTLE_COUNT_MAX };
    let count_max = if checker.is_gcloud() { google_max } else { RATE_LIMIT_COUNT_MAX };
    let count = match given.get("count").map(|count| (count.integer(), count)) {
        Some((Some(number), at)) => {
            let count =
                u32::try_from(number).ok().filter(|count| *count <= count_max).and_then(NonZeroU32::new);
            if count.is_none() {
                let message = format!("the count is not from 1 to {count_max}");
                checker.report(&at, Diagnostic::error(code::RATE_LIMIT, message));
            }
            count
        }
        Some((None, _)) => None,
        None => {
            checker.report_field(given, "count", Diagnostic::error(code::RATE_LIMIT, "there is no `count`"));
            None
        }
    };
    let interval = seconds(checker, given, "intervalSec", &INTERVALS_SECONDS);
    Some(Threshold { count: count?, interval: interval? })
}

/// Seconds that Google takes, or in dialect `firegate` any within reason.
fn seconds(checker: &mut Checker<'_>, at: &Located<'_>, name: &str, google: &[u64]) -> Option<Duration> {
    let Some(given) = at.get(name) else {
        let found = Diagnostic::error(code::RATE_LIMIT, format!("there is no `{name}`"))
            .hint(format!("add it: `{name}: 60`"));
        checker.report_field(at, name, found);
        return None;
    };
    let number = given.integer()?;
    let max = RATE_LIMIT_INTERVAL_MAX.as_secs();
    let Some(seconds) = u64::try_from(number).ok().filter(|seconds| (1..=max).contains(seconds)) else {
        let message = format!("`{name}` is not from 1 to {max}");
        checker.report(&given, Diagnostic::error(code::RATE_LIMIT, message));
        return None;
    };
    if !google.contains(&seconds) {
        let list = google.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        checker.google_limit(
            &given,
            format!("Google takes no `{name}` of {seconds}"),
            &format!("it takes {list}"),
        );
    }
    Some(Duration::from_secs(seconds))
}

fn exceed(checker: &mut Checker<'_>, options: &Located<'_>) -> Option<Exceed> {
    let Some(given) = options.get("exceedAction") else {
        let message = "the limit does not say what becomes of requests that exceed it";
        let hint = "add `exceedAction: deny(429)`";
        checker.report_field(
            options,
            "exceedAction",
            Diagnostic::error(code::RATE_LIMIT, message).hint(hint),
        );
        return None;
    };
    let text = given.text()?;
    let is_redirect = text == "redirect";
    if let Some(redirect) = options.get("exceedRedirectOptions").filter(|_| !is_redirect) {
        let message = "`exceedRedirectOptions` is for `exceedAction: redirect` alone";
        checker.report(&redirect, Diagnostic::error(code::RATE_LIMIT, message).hint("remove it"));
    }
    if is_redirect {
        return checker.redirect(options, "exceedRedirectOptions").map(Exceed::Redirect);
    }
    match checker.deny_status(&given, text) {
        Deny::Status(status) => Some(Exceed::Deny(status)),
        Deny::Refused => None,
        Deny::OtherAction => {
            let message = format!("{} is nothing that can become of requests that exceed", quoted(text));
            let hint = "write `deny(403)`, `deny(404)`, `deny(429)`, `deny(502)` or `redirect`";
            checker.report(&given, Diagnostic::error(code::RATE_LIMIT, message).hint(hint));
            None
        }
    }
}

fn ban(checker: &mut Checker<'_>, options: &Located<'_>, bans: bool) -> Option<Option<Ban>> {
    if !bans {
        for name in ["banDurationSec", "banThreshold"] {
            if let Some(given) = options.get(name) {
                let message = format!("`{name}` is for `rate_based_ban` alone");
                let hint = "remove it, or make the action `rate_based_ban`";
                checker.report(&given, Diagnostic::error(code::RATE_LIMIT, message).hint(hint));
            }
        }
        return Some(None);
    }
    let duration = seconds(checker, options, "banDurationSec", &BAN_DURATIONS_SECONDS);
    let threshold = options.get("banThreshold").map(|given| threshold(checker, &given, bans));
    Some(Some(Ban { duration: duration?, threshold: optional(threshold)? }))
}

/// What is counted by: `enforceOnKey`, or up to three `enforceOnKeyConfigs`.
fn keys(checker: &mut Checker<'_>, options: &Located<'_>) -> Option<Vec<Key>> {
    let configs: Vec<Located<'_>> = options.list("enforceOnKeyConfigs").collect();
    // Terraform writes an empty text where there is none.
    let single = options.get("enforceOnKey").filter(|key| key.text() != Some(""));
    if let Some(name) = options.get("enforceOnKeyName").filter(|name| name.text() != Some(""))
        && single.is_none()
    {
        let message = "`enforceOnKeyName` is the name of an `enforceOnKey`, and there is none";
        let hint = "add `enforceOnKey: HTTP_HEADER` or `HTTP_COOKIE`, or remove the name";
        checker.report(&name, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint(hint));
    }
    let Some(list) = options.get("enforceOnKeyConfigs").filter(|_| !configs.is_empty()) else {
        return match single {
            Some(single) => key(checker, options, &single, "enforceOnKeyName").map(|key| vec![key]),
            None => Some(vec![Key::All]),
        };
    };
    if let Some(single) = single {
        let message = "`enforceOnKey` and `enforceOnKeyConfigs` exclude each other";
        checker.report(&single, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint("keep one of them"));
    }
    if configs.len() > GOOGLE_RATE_LIMIT_KEYS_MAX {
        let message = format!("{} keys are more than Google's {GOOGLE_RATE_LIMIT_KEYS_MAX}", configs.len());
        checker.google_limit(&list, message, "remove one");
    }
    if configs.len() > RATE_LIMIT_KEYS_MAX {
        let message = format!("{} keys are more than {RATE_LIMIT_KEYS_MAX}", configs.len());
        checker.report(&list, Diagnostic::error(code::RATE_LIMIT_KEY, message));
        return None;
    }
    let keys: Vec<Option<Key>> = configs
        .iter()
        .map(|config| match config.get("enforceOnKeyType") {
            Some(given) => key(checker, config, &given, "enforceOnKeyName"),
            None => {
                let found = Diagnostic::error(code::RATE_LIMIT_KEY, "there is no `enforceOnKeyType`")
                    .hint("add it: `enforceOnKeyType: IP`");
                checker.report_field(config, "enforceOnKeyType", found);
                None
            }
        })
        .collect();
    for (index, (key, config)) in keys.iter().zip(&configs).enumerate() {
        if key.is_some() && keys.iter().take(index).any(|earlier| earlier == key) {
            let message = "the same key stands here twice";
            checker.report(config, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint("remove one"));
        }
    }
    keys.into_iter().collect()
}

fn key(
    checker: &mut Checker<'_>,
    config: &Located<'_>,
    given: &Located<'_>,
    name_field: &str,
) -> Option<Key> {
    let text = given.text()?;
    let name = config.get(name_field).and_then(|name| name.text()).filter(|name| !name.is_empty());
    let key = match text {
        "ALL" => Key::All,
        "IP" => Key::Ip,
        "XFF_IP" => Key::XffIp,
        "USER_IP" => Key::UserIp,
        "HTTP_PATH" => Key::HttpPath,
        "SNI" => Key::Sni,
        "REGION_CODE" => Key::RegionCode,
        "ASN" => Key::Asn,
        "TLS_JA3_FINGERPRINT" => Key::TlsJa3Fingerprint,
        "TLS_JA4_FINGERPRINT" => Key::TlsJa4Fingerprint,
        "AUTH_UID" => Key::AuthUid,
        "AUTH_TENANT" => Key::AuthTenant,
        "APP_ID" => Key::AppId,
        "HTTP_HEADER" | "HTTP_COOKIE" | "AUTH_CLAIM" => return named(checker, config, given, text, name),
        _ => {
            let message = format!("{} is nothing to count by", quoted(text));
            let hint = match nearest(text, KEY_TYPES) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("write {}", alternatives(KEY_TYPES)),
            };
            checker.report(given, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint(hint));
            return None;
        }
    };
    if let (Some(_), Some(at)) = (name, config.get(name_field)) {
        let message = format!("`{text}` has no name");
        checker.report(&at, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint("remove it"));
    }
    firegate_only(checker, given, key)
}

/// A key that is the value of something with a name.
fn named(
    checker: &mut Checker<'_>,
    config: &Located<'_>,
    given: &Located<'_>,
    key_type: &str,
    name: Option<&str>,
) -> Option<Key> {
    let Some(name) = name else {
        let message = format!("`{key_type}` does not say which one");
        let hint = "add the name: `enforceOnKeyName: …`";
        checker.report(given, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint(hint));
        return None;
    };
    let key = match key_type {
        "HTTP_HEADER" => Key::HttpHeader(name.to_ascii_lowercase()),
        "HTTP_COOKIE" => Key::HttpCookie(name.to_owned()),
        _ => Key::AuthClaim(name.to_owned()),
    };
    if let Key::HttpHeader(header) = &key
        && !is_header_name(header)
    {
        let found = Diagnostic::error(code::RATE_LIMIT_KEY, format!("{} is no header's name", quoted(name)));
        checker.report(&config.get("enforceOnKeyName")?, found);
        return None;
    }
    let key = firegate_only(checker, given, key)?;
    if let Key::AuthClaim(claim) = &key
        && let Some((why, hint)) = counts_by_no_claim(claim)
    {
        let found = Diagnostic::error(code::RATE_LIMIT_KEY, format!("{} {why}", quoted(claim))).hint(hint);
        checker.report(&config.get("enforceOnKeyName")?, found);
        return None;
    }
    Some(key)
}

/// Why nothing can be counted by a claim, and what to do about it.
fn counts_by_no_claim(claim: &str) -> Option<(&'static str, &'static str)> {
    if is_registered_claim(claim) {
        let why =
            "is a claim of every token, and no custom one: each request would be counted by its address";
        return Some((
            why,
            "count by the user, `AUTH_UID`, by the tenant, `AUTH_TENANT`, or by a custom claim",
        ));
    }
    let why = "is what users write of themselves: whoever changes it would begin a new count";
    is_profile_claim(claim)
        .then_some((why, "count by the user, `AUTH_UID`, or by a custom claim of another name"))
}

/// Refuses in dialect `gcloud` what Google cannot know: it runs before anybody is identified.
fn firegate_only(checker: &mut Checker<'_>, given: &Located<'_>, key: Key) -> Option<Key> {
    if key.is_of_user() && checker.is_gcloud() {
        let message =
            format!("Cloud Armor knows no `{}`: it runs before anybody is identified", key.type_name());
        checker.report(given, Diagnostic::error(code::FIREGATE_ONLY, message).hint(FIREGATE_ONLY_HINT));
        return None;
    }
    Some(key)
}

impl DenyStatus {
    /// Whether it says that a limit was exceeded.
    pub const fn is_of_limits(self) -> bool {
        matches!(self, Self::TooManyRequests)
    }
}
