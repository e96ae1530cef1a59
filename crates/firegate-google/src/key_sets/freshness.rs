use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

use crate::limits::{KEY_MAX_AGE_DEFAULT, KEY_MAX_AGE_MAX, KEY_MAX_AGE_MIN};

/// How long an answer is fresh from now: `max-age` less the time that it lay in caches (RFC 9111, section 4.2), within
/// our own bounds. `no-store` and `no-cache` count as the shortest time.
pub(super) fn lifetime(headers: &HeaderMap) -> Duration {
    let mut max_age = None;
    for directive in headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => max_age = max_age.or(value.trim().trim_matches('"').parse().ok()),
            "no-store" | "no-cache" => max_age = Some(0),
            _ => {}
        }
    }
    let Some(seconds) = max_age else { return KEY_MAX_AGE_DEFAULT };
    let age = headers
        .get(AGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    Duration::from_secs(u64::saturating_sub(seconds, age)).clamp(KEY_MAX_AGE_MIN, KEY_MAX_AGE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], expected_seconds: u64) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        assert_eq!(lifetime(&headers), Duration::from_secs(expected_seconds), "{headers:?}");
    }

    #[test]
    fn max_age_less_age_within_bounds() {
        check(&[], 300);
        check(&[("cache-control", "public, max-age=20134, must-revalidate")], 20134);
        check(&[("cache-control", "public"), ("cache-control", "Max-Age = \"600\"")], 600);
        check(&[("cache-control", "max-age=3600"), ("age", "600")], 3000);
        check(&[("cache-control", "max-age=3600"), ("age", "9999")], 60);
        check(&[("cache-control", "max-age=0")], 60);
        check(&[("cache-control", "max-age=3600, no-store")], 60);
        check(&[("cache-control", "s-maxage=10")], 300);
        check(&[("cache-control", "max-age=99999999")], 24 * 3600);
        check(&[("cache-control", "max-age=99999999999999999999999")], 300);
        check(&[("cache-control", "max-age=-5")], 300);
    }
}
