use super::{parse, request};
use crate::limits::TRACE_VALUE_CHARACTERS_MAX;
use crate::{Dialect, Language, Trace};

/// The lines of a trace, indented.
fn lines(trace: &Trace, depth: usize, out: &mut Vec<String>) {
    out.push(format!("{}{} = {}", "  ".repeat(depth), trace.text, trace.result));
    trace.parts.iter().for_each(|part| lines(part, depth + 1, out));
}

fn check(text: &str, expected: &[&str]) {
    let expression = parse(text, Language::Armor, Dialect::Firegate);
    let trace = expression.trace(&request());
    let mut found = Vec::new();
    lines(&trace, 0, &mut found);
    assert_eq!(found, expected, "{text}");
}

#[test]
fn every_part_says_what_it_gave() {
    check(
        "request.method == 'POST' && (origin.asn > 1 || evaluateAddressGroup('g', origin.ip))",
        &[
            "request.method == 'POST' && (origin.asn > 1 || evaluateAddressGroup('g', origin.ip)) = false",
            "  request.method == 'POST' = false",
            "    request.method = 'GET'",
            "  origin.asn > 1 || evaluateAddressGroup('g', origin.ip) = true",
            "    origin.asn > 1 = true",
            "      origin.asn = 15169",
            "    evaluateAddressGroup('g', origin.ip) = unknown (evaluateAddressGroup is not evaluated here)",
        ],
    );
    check(
        "!has(auth.token.owner) && auth.token.owner == 'x'",
        &[
            "!has(auth.token.owner) && auth.token.owner == 'x' = error (no such key)",
            "  !has(auth.token.owner) = true",
            "    has(auth.token.owner) = false",
            "  auth.token.owner == 'x' = error (no such key)",
            "    auth.token.owner = error (no such key)",
        ],
    );
}

#[test]
fn no_trace_holds_a_token() {
    check(
        "request.headers['authorization'].lower().startsWith('bearer ')",
        &[
            "request.headers['authorization'].lower().startsWith('bearer ') = true",
            "  request.headers['authorization'].lower() = (not shown)",
            "    request.headers['authorization'] = (not shown)",
        ],
    );
    let mut request = request();
    request.headers.insert("x-other".to_owned(), b"a=eyJhbGciOiJSUzI1NiJ9.e30.c2ln".to_vec());
    request.headers.insert("x-long".to_owned(), vec![b'a'; 5000]);
    let trace = parse(
        "request.headers['x-other'] == 'a' || request.headers['x-long'] == 'a' || request.headers['X-Other'.lower()] == 'a'",
        Language::Armor,
        Dialect::Gcloud,
    )
    .trace(&request);
    let mut found = Vec::new();
    lines(&trace, 0, &mut found);
    assert!(found.iter().all(|line| !line.contains("eyJ")), "{found:?}");
    assert!(
        found.iter().any(|line| line.ends_with(&format!("'{}…'", "a".repeat(TRACE_VALUE_CHARACTERS_MAX))))
    );
}
