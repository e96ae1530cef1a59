//! A corpus of hostile tokens: each is a good token with one thing changed, and each has exactly one right verdict. A token
//! that is accepted and should not be fails the build, and so does one that is refused for another reason than its own.
//!
//! The corpus is also written to `hostile-tokens.json` in cargo's directory for tests, where `tests/oracles` finds it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod case;
mod claims;
mod controls;
mod encoding;
mod header;
mod json;
mod judge;
mod keys;
mod kinds;
mod signature;
mod times;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use case::{Case, Corpus, NOW, Offered};
use judge::{Door, PublishedKeys};
use keys::KEYS;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let mut corpus = Corpus::new();
    controls::add(&mut corpus);
    header::add(&mut corpus);
    encoding::add(&mut corpus);
    json::add(&mut corpus);
    claims::add(&mut corpus);
    times::add(&mut corpus);
    signature::add(&mut corpus);
    kinds::add(&mut corpus);
    corpus.cases
});

/// Fewer than this and somebody has lost a part of the corpus.
const CASES_MIN: usize = 500;

/// Judges every token with keys in one of the issuers' two formats.
fn assert_verdicts(published: &PublishedKeys) {
    let doors: HashMap<Offered, Door> =
        Offered::ALL.into_iter().map(|offered| (offered, Door::new(offered.users(), published))).collect();
    let wrong = CASES.iter().filter_map(|case| {
        let door = &doors[&case.offered];
        let found = match case.offered {
            Offered::AppCheck => door.judge_app(&case.token, NOW),
            _ => door.judge(&case.token, NOW),
        };
        let is_accepted = if found.is_ok() { "ACCEPTED: " } else { "" };
        (found != case.expected).then(|| {
            let Case { name, how, expected, .. } = case;
            format!("{is_accepted}{name} ({how}): expected {expected:?}, found {found:?}")
        })
    });
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_token_gets_its_verdict_with_keys_in_a_jwk_set() {
    let sets = KEYS.jwk_sets();
    assert_verdicts(&PublishedKeys::new(&sets, &sets));
}

#[test]
fn every_token_gets_its_verdict_with_keys_in_certificates() {
    assert_verdicts(&PublishedKeys::new(&KEYS.certificate_maps(), &KEYS.jwk_sets()));
}

#[test]
fn the_corpus_is_whole_and_its_names_are_its_own() {
    let names = CASES.iter().map(|case| case.name.as_str()).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), CASES.len(), "a name is used twice");
    assert!(CASES.len() >= CASES_MIN, "{} tokens", CASES.len());
    for offered in Offered::ALL {
        let at = || CASES.iter().filter(|case| case.offered == offered);
        assert!(at().any(|case| case.expected.is_ok()), "{offered:?} accepts nothing: it tests nothing");
        assert!(at().any(|case| case.expected.is_err()), "{offered:?} refuses nothing");
    }
}

#[test]
fn the_corpus_is_written_for_other_verifiers() {
    let tokens = CASES.iter().map(|case| {
        json!({
            "name": case.name, "class": case.class, "how": case.how, "offered": case.offered.as_str(),
            "token": case.token, "reason": case.expected.err(),
        })
    });
    let corpus = json!({
        "now": NOW, "project": "demo-project", "project_number": "42", "audience": judge::BACKEND, "clock_skew_seconds": 10,
        "jwk_sets": KEYS.jwk_sets(), "certificates": KEYS.certificate_maps(), "tokens": tokens.collect::<Value>(),
    });
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-tokens.json");
    std::fs::write(&path, corpus.to_string()).expect("the corpus is written");

    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for case in CASES.iter() {
        *classes.entry(case.class).or_default() += 1;
    }
    let accepted = CASES.iter().filter(|case| case.expected.is_ok()).count();
    // Past the test runner, which keeps what a passing test prints to itself.
    writeln!(
        std::io::stderr(),
        "corpus: {} tokens in {} classes, {accepted} to accept; written to {}",
        CASES.len(),
        classes.len(),
        path.display()
    )
    .expect("stderr");
}
