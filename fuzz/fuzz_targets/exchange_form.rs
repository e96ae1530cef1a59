//! The form of a token exchange (RFC 8693, section 2.1).
#![no_main]

use std::collections::BTreeMap;

use firegate_core::exchange::{
    ExchangeRequest, ID_TOKEN_TYPE, JWT_TOKEN_TYPE, RequestedToken, TOKEN_EXCHANGE_GRANT,
};
use firegate_core::limits::EXCHANGE_FORM_BYTES_MAX;
use libfuzzer_sys::fuzz_target;

/// Parameters that decide something, so that two of them would be two requests.
const DECISIVE: [&str; 9] = [
    "actor_token",
    "actor_token_type",
    "audience",
    "grant_type",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
];

fuzz_target!(|data: &[u8]| {
    let request = match ExchangeRequest::parse(data) {
        Ok(request) => request,
        Err(error) => {
            assert_eq!(error.status, 400);
            let body = error.body();
            let description = body["error_description"].as_str().expect("a description");
            // RFC 6749, section 5.2: what a description may consist of.
            assert!(description.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)));
            return;
        }
    };
    assert!(data.len() <= EXCHANGE_FORM_BYTES_MAX);
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(data) {
        sent.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    for name in DECISIVE {
        assert!(sent.get(name).is_none_or(|values| values.len() == 1), "{name} is repeated");
    }
    let one = |name: &str| sent.get(name).map(|values| values[0].as_str()).filter(|value| !value.is_empty());
    assert_eq!(one("grant_type"), Some(TOKEN_EXCHANGE_GRANT));
    assert_eq!((one("actor_token"), one("actor_token_type")), (None, None), "it would act for somebody else");
    assert_eq!(one("subject_token"), Some(request.subject_token.as_str()));
    assert!(one("audience").is_none() || one("resource").is_none(), "two audiences");
    assert_eq!(one("audience").or(one("resource")), Some(request.audience.as_str()));
    assert_eq!(one("subject_token_type") == Some(ID_TOKEN_TYPE), request.subject_is_id_token);
    assert_eq!(
        one("requested_token_type") == Some(ID_TOKEN_TYPE),
        request.requested == RequestedToken::GoogleIdToken
    );

    // What is written again is read again, and the token stands in no log.
    let subject_type = if request.subject_is_id_token { ID_TOKEN_TYPE } else { JWT_TOKEN_TYPE };
    let requested_type = match request.requested {
        RequestedToken::Firegate => JWT_TOKEN_TYPE,
        RequestedToken::GoogleIdToken => ID_TOKEN_TYPE,
    };
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", TOKEN_EXCHANGE_GRANT)
        .append_pair("subject_token", &request.subject_token)
        .append_pair("subject_token_type", subject_type)
        .append_pair("requested_token_type", requested_type)
        .append_pair("audience", &request.audience)
        .finish();
    if form.len() <= EXCHANGE_FORM_BYTES_MAX {
        assert!(ExchangeRequest::parse(form.as_bytes()).is_ok_and(|again| again == request));
    }
    let is_telling = request.subject_token.len() >= 24 && !request.audience.contains(&request.subject_token);
    assert!(!is_telling || !format!("{request:?}").contains(&request.subject_token));
});
