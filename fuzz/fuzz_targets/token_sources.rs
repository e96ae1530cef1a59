//! Where a request carries its token, and the request without it. The input's first line is the query, the second the
//! Authorization header, the third cookies, and the others are one Sec-WebSocket-Protocol field each.
#![no_main]

use firegate_core::facts::RequestFacts;
use firegate_core::path::NormalPath;
use firegate_core::token_source::{ACCESS_TOKEN, TokenRemoval, presented_token, query_without_access_token};
use firegate_files::configuration::TokenSource;
use firegate_fuzz::{fields, parts};
use http::Method;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use libfuzzer_sys::fuzz_target;

const EVERYWHERE: [TokenSource; 4] =
    [TokenSource::Authorization, TokenSource::Cookie, TokenSource::Query, TokenSource::WebsocketProtocol];

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let [query, authorization, cookie, protocols] = [(); 4].map(|()| lines.next().unwrap_or_default());
    let Ok(query) = std::str::from_utf8(query) else { return };
    check_query(query);

    let Some(mut headers) = fields(&SEC_WEBSOCKET_PROTOCOL, protocols) else { return };
    for (name, line) in [(AUTHORIZATION, authorization), (COOKIE, cookie)] {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        if !line.is_empty() {
            headers.append(name, value);
        }
    }
    check_request(query, &headers);
});

/// Everything but the parameter stays byte for byte.
fn check_query(query: &str) {
    let kept: Vec<&str> = query.split('&').filter(|parameter| !is_access_token(parameter)).collect();
    let rest = query_without_access_token(query);
    assert_eq!(rest.is_none(), kept.is_empty());
    assert_eq!(rest.unwrap_or_default(), kept.join("&"));
}

/// Whether any reader of forms would take the parameter for `access_token`.
fn is_access_token(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    form_urlencoded::parse(name.as_bytes()).next().is_some_and(|(name, _)| name == ACCESS_TOKEN)
}

/// A request that is forwarded without its token has none left, and keeps all else.
fn check_request(query: &str, headers: &HeaderMap) {
    let path = NormalPath::parse("/").expect("a path");
    let web_socket = |query, headers| RequestFacts {
        query,
        is_web_socket: true,
        ..RequestFacts::of(&Method::GET, path.clone(), headers)
    };
    let facts = web_socket(Some(query), headers);
    let Ok(Some(token)) = presented_token(&facts, &EVERYWHERE) else { return };
    let removal = TokenRemoval::of(Some(&token), false);
    let mut rest = headers.clone();
    removal.apply(&mut rest);
    let rest_of_query =
        if removal.query { query_without_access_token(query) } else { Some(query.to_owned()) };
    let left = presented_token(&web_socket(rest_of_query.as_deref(), &rest), &EVERYWHERE);
    assert!(matches!(left, Ok(None)), "{left:?} is left of {token:?}");

    let mut protocols = parts(headers, &SEC_WEBSOCKET_PROTOCOL, b',');
    if removal.websocket_protocol {
        let mark = protocols.iter().position(|element| element == ACCESS_TOKEN.as_bytes()).expect("a mark");
        assert_eq!(protocols[mark + 1], token.text.as_bytes());
        protocols.drain(mark..mark + 2);
    }
    assert_eq!(without_empty(parts(&rest, &SEC_WEBSOCKET_PROTOCOL, b',')), without_empty(protocols));
    if !removal.authorization {
        assert_eq!(rest.get(AUTHORIZATION), headers.get(AUTHORIZATION));
    }
    if !removal.cookie {
        assert_eq!(rest.get(COOKIE), headers.get(COOKIE));
    }
}

fn without_empty(elements: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    elements.into_iter().filter(|element| !element.is_empty()).collect()
}
