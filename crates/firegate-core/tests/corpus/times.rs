//! The times of a token, on both sides of each boundary, in every spelling of a number.

use serde_json::{Value, json};

use super::case::{Corpus, Draft, NOW, Offered};

const CLAIM: &str = "TOKEN_CLAIM_INVALID";
const EXPIRED: &str = "TOKEN_EXPIRED";
const EARLY: &str = "TOKEN_NOT_YET_VALID";
/// What the door allows for clocks that differ, in seconds.
const SKEW: i64 = 10;

pub(crate) fn add(corpus: &mut Corpus) {
    boundaries(corpus);
    other_kinds(corpus);
    numbers(corpus);
}

/// A token's name, what is said of it, its times, and what is expected.
type Row = (&'static str, &'static str, Value, Result<(), &'static str>);

fn boundaries(corpus: &mut Corpus) {
    let corpus = corpus.class("times", Offered::IdToken);
    ends(corpus);
    issues(corpus);
    sign_ins(corpus);
    not_before(corpus);
}

/// Adds a token for each row: `base` are the times that no row says.
fn add_rows(corpus: &mut Corpus, base: &Value, rows: impl IntoIterator<Item = Row>) {
    for (name, how, changes, expected) in rows {
        let token = Draft::id_token().claims(base.clone()).claims(changes).sign();
        match expected {
            Ok(()) => corpus.accept(name, how, token),
            Err(reason) => corpus.refuse(name, how, token, reason),
        }
    }
}

fn ends(corpus: &mut Corpus) {
    let long_ago = json!({"iat": NOW - 3000, "auth_time": NOW - 3000});
    let rows = [
        ("exp_now_plus_1", "that ends in a second", json!({"exp": NOW + 1}), Ok(())),
        ("exp_now", "that ends now", json!({"exp": NOW}), Err(EXPIRED)),
        ("exp_now_minus_1", "that ended a second ago", json!({"exp": NOW - 1}), Err(EXPIRED)),
        ("exp_within_skew", "that ended within the skew", json!({"exp": NOW - SKEW + 1}), Err(EXPIRED)),
        ("exp_at_skew", "that ended as long ago as the skew", json!({"exp": NOW - SKEW}), Err(EXPIRED)),
        ("exp_beyond_skew", "that ended before the skew", json!({"exp": NOW - SKEW - 1}), Err(EXPIRED)),
    ];
    add_rows(corpus, &long_ago, rows);
    let rows = [
        (
            "exp_yesterday",
            "of yesterday",
            json!({"iat": NOW - 90_000, "auth_time": NOW - 90_000, "exp": NOW - 86_400}),
            Err(EXPIRED),
        ),
        ("exp_negative", "that ended before 1970", json!({"exp": -1}), Err(EXPIRED)),
        ("exp_minimum", "that ended at the least number of 64 bits", json!({"exp": i64::MIN}), Err(EXPIRED)),
        ("exp_milliseconds", "with `exp` in milliseconds", json!({"exp": (NOW + 3540) * 1000}), Err(CLAIM)),
        ("exp_maximum", "that ends at the greatest number of 64 bits", json!({"exp": i64::MAX}), Err(CLAIM)),
        ("exp_one_second_too_far", "of a second more than an hour", json!({"exp": NOW + 3541}), Err(CLAIM)),
        ("exp_a_year", "of a year", json!({"exp": NOW + 31_536_000}), Err(CLAIM)),
        (
            "exp_before_iat",
            "that ends before it begins",
            json!({"iat": NOW + 10, "exp": NOW + 5}),
            Err(CLAIM),
        ),
        ("exp_is_iat", "that ends as it begins", json!({"iat": NOW + 5, "exp": NOW + 5}), Err(CLAIM)),
        ("life_one_hour", "of exactly an hour", json!({"iat": NOW - 1, "exp": NOW + 3599}), Ok(())),
    ];
    add_rows(corpus, &json!({}), rows);
}

fn issues(corpus: &mut Corpus) {
    let rows = [
        ("iat_at_skew", "issued as far ahead as the skew", json!({"iat": NOW + SKEW}), Ok(())),
        ("iat_beyond_skew", "issued further ahead", json!({"iat": NOW + SKEW + 1}), Err(EARLY)),
        ("iat_tomorrow", "issued tomorrow", json!({"iat": NOW + 86_400, "exp": NOW + 90_000}), Err(EARLY)),
        ("iat_maximum", "issued at the end of time", json!({"iat": i64::MAX}), Err(EARLY)),
        ("iat_milliseconds", "with `iat` in milliseconds", json!({"iat": NOW * 1000}), Err(EARLY)),
        (
            "iat_long_ago",
            "issued two hours ago and still good",
            json!({"iat": NOW - 7200, "auth_time": NOW - 7200}),
            Err(CLAIM),
        ),
        ("iat_zero", "issued in 1970", json!({"iat": 0, "auth_time": 0}), Err(CLAIM)),
        ("iat_negative", "issued before 1970", json!({"iat": -1, "auth_time": -1}), Err(CLAIM)),
        (
            "iat_minimum",
            "issued at the beginning of time",
            json!({"iat": i64::MIN, "auth_time": i64::MIN}),
            Err(CLAIM),
        ),
    ];
    add_rows(corpus, &json!({}), rows);
}

fn sign_ins(corpus: &mut Corpus) {
    let rows = [
        (
            "auth_at_skew",
            "of a sign-in as far ahead as the skew",
            json!({"iat": NOW + SKEW, "auth_time": NOW + SKEW}),
            Ok(()),
        ),
        (
            "auth_beyond_skew",
            "of a sign-in further ahead",
            json!({"iat": NOW + SKEW, "auth_time": NOW + SKEW + 1}),
            Err(EARLY),
        ),
        ("auth_tomorrow", "of a sign-in tomorrow", json!({"auth_time": NOW + 86_400}), Err(EARLY)),
        ("auth_is_iat", "issued at the sign-in", json!({"auth_time": NOW - 60}), Ok(())),
        ("auth_after_iat", "issued a second before the sign-in", json!({"auth_time": NOW - 59}), Err(CLAIM)),
        (
            "auth_now_after_iat",
            "issued before the sign-in, which is now",
            json!({"auth_time": NOW}),
            Err(CLAIM),
        ),
        ("auth_negative", "of a sign-in before 1970", json!({"auth_time": -1}), Ok(())),
    ];
    add_rows(corpus, &json!({}), rows);
}

fn not_before(corpus: &mut Corpus) {
    let rows = [
        ("nbf_now", "not before now", json!({"nbf": NOW}), Ok(())),
        ("nbf_at_skew", "not before the skew is over", json!({"nbf": NOW + SKEW}), Err(EARLY)),
        ("nbf_beyond_skew", "not before a second later", json!({"nbf": NOW + SKEW + 1}), Err(EARLY)),
        ("nbf_tomorrow", "not before tomorrow", json!({"nbf": NOW + 86_400}), Err(EARLY)),
        ("nbf_after_exp", "not before its end", json!({"nbf": NOW + 3541}), Err(EARLY)),
        ("nbf_negative", "not before 1969", json!({"nbf": -1}), Ok(())),
        ("nbf_text", "with an `nbf` that is text", json!({"nbf": NOW.to_string()}), Err(CLAIM)),
        ("nbf_array", "with an `nbf` that is an array", json!({"nbf": [NOW]}), Err(CLAIM)),
        ("nbf_false", "with an `nbf` that is false", json!({"nbf": false}), Err(CLAIM)),
        ("nbf_fraction", "with an `nbf` of half a second", json!({"nbf": NOW as f64 - 0.5}), Err(CLAIM)),
    ];
    add_rows(corpus, &json!({}), rows);
    let null_nbf =
        Draft::id_token().claim("nbf", "x").payload_replaced(r#""nbf":"x""#, r#""nbf":null"#).sign();
    corpus.refuse("nbf_null", "with an `nbf` that is null", null_nbf, CLAIM);
}

fn other_kinds(corpus: &mut Corpus) {
    let corpus = corpus.class("times-session-cookie", Offered::SessionCookie);
    let cookie = |iat: i64, exp: i64| {
        Draft::session_cookie()
            .claim("iat", iat)
            .claim("exp", exp)
            .claim("auth_time", NOW - 90_000_000)
            .sign()
    };
    corpus.accept("last_second", "two weeks old but a second", cookie(NOW + 1 - 14 * 86_400, NOW + 1));
    corpus.refuse("too_long", "of a second more than two weeks", cookie(NOW, NOW + 14 * 86_400 + 1), CLAIM);
    corpus.refuse("expired", "that ended now", cookie(NOW - 86_400, NOW), EXPIRED);
    corpus.refuse("future", "issued after the skew", cookie(NOW + SKEW + 1, NOW + 86_400), EARLY);

    let corpus = corpus.class("times-google-id-token", Offered::GoogleIdToken);
    let google = |iat: i64, exp: i64| Draft::google_id_token().claim("iat", iat).claim("exp", exp).sign();
    corpus.accept("last_second", "an hour old but a second", google(NOW - 3599, NOW + 1));
    corpus.refuse("expired", "that ended now", google(NOW - 3600, NOW), EXPIRED);
    corpus.refuse("too_long", "of a second more than an hour", google(NOW, NOW + 3601), CLAIM);
    corpus.refuse("future", "issued after the skew", google(NOW + SKEW + 1, NOW + 3600), EARLY);

    let corpus = corpus.class("times-app-check", Offered::AppCheck);
    let app = |iat: i64, exp: i64| Draft::app_check().claim("iat", iat).claim("exp", exp).sign();
    corpus.accept("last_second", "a second before its end", app(NOW - 3599, NOW + 1));
    corpus.refuse("expired", "that ended now", app(NOW - 3600, NOW), "APP_CHECK_TOKEN_EXPIRED");
    corpus.refuse(
        "too_long",
        "of a second more than seven days",
        app(NOW, NOW + 7 * 86_400 + 1),
        "APP_CHECK_TOKEN_INVALID",
    );
    corpus.refuse(
        "future",
        "issued after the skew",
        app(NOW + SKEW + 1, NOW + 3600),
        "APP_CHECK_TOKEN_INVALID",
    );

    let corpus = corpus.class("times-exchanged-token", Offered::ExchangedToken);
    let exchanged = |iat: i64, exp: i64| Draft::exchanged_token().claim("iat", iat).claim("exp", exp).sign();
    corpus.accept("five_minutes", "of five minutes", exchanged(NOW, NOW + 300));
    corpus.refuse("too_long", "of a second more", exchanged(NOW, NOW + 301), CLAIM);
    corpus.refuse("expired", "that ended now", exchanged(NOW - 200, NOW), EXPIRED);
}

/// A time has to be a whole number, written as one.
fn numbers(corpus: &mut Corpus) {
    let corpus = corpus.class("times-number", Offered::IdToken);
    for claim in ["exp", "iat", "auth_time"] {
        let good = Draft::id_token().payload[claim].as_i64().expect("a time");
        let with = |text: &str| {
            let draft = Draft::id_token();
            draft.payload_replaced(&format!("\"{claim}\":{good}"), &format!("\"{claim}\":{text}")).sign()
        };
        for (name, text) in [
            ("text", format!("\"{good}\"")),
            ("empty_text", "\"\"".to_owned()),
            ("date", "\"2027-01-15T08:00:00Z\"".to_owned()),
            ("dot_zero", format!("{good}.0")),
            ("half", format!("{good}.5")),
            ("exponent", format!("{good}e0")),
            ("scaled", "1.8e9".to_owned()),
            ("scaled_whole", "18e8".to_owned()),
            ("capital_exponent", "18E+8".to_owned()),
            ("beyond_53_bits", "9007199254740993.0".to_owned()),
            ("2_to_63", "9223372036854775808".to_owned()),
            ("2_to_64", "18446744073709551616".to_owned()),
            ("huge", "1e300".to_owned()),
            ("tiny", "1e-300".to_owned()),
            ("forty_digits", "1".repeat(40)),
            ("minus_zero_fraction", "-0.0".to_owned()),
            ("wrapped_32_bits", format!("{good}.0e0")),
            ("array", format!("[{good}]")),
            ("object", format!("{{\"$date\":{good}}}")),
        ] {
            corpus.refuse(&format!("{claim}_{name}"), &format!("`{claim}` {text}"), with(&text), CLAIM);
        }
        for (name, text) in [
            ("leading_zero", format!("0{good}")),
            ("plus", format!("+{good}")),
            ("hexadecimal", "0x6b49d200".to_owned()),
        ] {
            corpus.refuse(
                &format!("{claim}_{name}"),
                &format!("`{claim}` {text}"),
                with(&text),
                "TOKEN_MALFORMED",
            );
        }
    }
}
