use http::header::{COOKIE, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderValue, Method};

use super::*;
use crate::cors::CorsPolicy;
use crate::path::NormalPath;
use crate::reason::Code;

const EVERYWHERE: [TokenSource; 4] =
    [TokenSource::Authorization, TokenSource::Cookie, TokenSource::Query, TokenSource::WebsocketProtocol];

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

fn facts<'a>(headers: &'a HeaderMap, query: Option<&'a str>, is_web_socket: bool) -> RequestFacts<'a> {
    let path = NormalPath::parse("/").expect("a path");
    RequestFacts { query, is_web_socket, ..RequestFacts::of(&Method::GET, path, headers) }
}

#[test]
fn one_token_is_found_where_it_may_stand() {
    let check =
        |fields: &[(&str, &str)], query, is_web_socket, expected: Result<Option<(&str, TokenSource)>, ()>| {
            let headers = headers(fields);
            let found = presented_token(&facts(&headers, query, is_web_socket), &EVERYWHERE);
            let found = found.map(|token| token.map(|token| (token.text, token.source)));
            let found = found.map_err(|reason| reason.code());
            assert_eq!(found, expected.map_err(|()| Code::CredentialAmbiguous), "{fields:?} {query:?}");
        };
    let (authorization, cookie) = (("authorization", "Bearer a"), ("cookie", "x=1; __session=c"));
    let (protocol, events) =
        (("sec-websocket-protocol", "chat, access_token, p"), ("accept", "text/event-stream"));
    check(&[], None, false, Ok(None));
    check(&[authorization], None, false, Ok(Some(("a", TokenSource::Authorization))));
    check(&[cookie], None, false, Ok(Some(("c", TokenSource::Cookie))));
    // On purpose wins over by itself.
    check(&[authorization, cookie], None, false, Ok(Some(("a", TokenSource::Authorization))));
    check(&[cookie], Some("access_token=q"), true, Ok(Some(("q", TokenSource::Query))));
    // Two on purpose are none.
    check(&[authorization], Some("access_token=q"), true, Err(()));
    check(&[authorization, protocol], None, true, Err(()));
    // The query and the subprotocol count for what cannot send a header alone.
    check(&[], Some("access_token=q"), false, Ok(None));
    // Where it does not count it is no second one either: the service would see it beside the other one's user.
    let queries = [
        "access_token=q",
        "a=1&%61ccess_token=q",
        "access_token=q&access_token=r",
        "Access_Token=q",
        "access[token=q",
    ];
    for query in queries {
        check(&[authorization], Some(query), false, Err(()));
        check(&[cookie], Some(query), false, Err(()));
        check(&[], Some(query), false, Ok(None));
    }
    check(
        &[authorization],
        Some("token=q&my_access_token=r"),
        false,
        Ok(Some(("a", TokenSource::Authorization))),
    );
    check(&[events], Some("a=1&access_token=q&b"), false, Ok(Some(("q", TokenSource::Query))));
    check(
        &[("accept", "text/html, Text/Event-Stream;q=0.9")],
        Some("access_token=q"),
        false,
        Ok(Some(("q", TokenSource::Query))),
    );
    check(&[("accept", "text/event-streams")], Some("access_token=q"), false, Ok(None));
    check(&[protocol], None, true, Ok(Some(("p", TokenSource::WebsocketProtocol))));
    check(&[protocol], None, false, Ok(None));
    check(
        &[("sec-websocket-protocol", "access_token"), ("sec-websocket-protocol", "p")],
        None,
        true,
        Ok(Some(("p", TokenSource::WebsocketProtocol))),
    );
    check(&[("sec-websocket-protocol", "access_token")], None, true, Err(()));
    check(&[("sec-websocket-protocol", "access_token, p, access_token, q")], None, true, Err(()));
    // Doubled, escaped, empty.
    check(&[events], Some("access_token=q&access_token=r"), false, Err(()));
    check(&[events], Some("access_token=q&%61ccess_token=r"), false, Err(()));
    check(&[events], Some("%61ccess%5Ftoken=q"), false, Ok(Some(("q", TokenSource::Query))));
    check(&[("cookie", "__session=c; __session=d")], None, false, Err(()));
    check(&[("cookie", "__session=c"), ("cookie", "a=b;__session =d")], None, false, Err(()));
    check(&[("cookie", "__session=; a=b")], None, false, Ok(None));
    // What other parsers take for it.
    for cookie in [
        "\u{a0}__session=EVE",
        "a=1 __session=EVE",
        "a=\"1,__session=EVE\"",
        "_.session=EVE",
        "%5f_session=EVE",
        "__session[0]=EVE",
        "__SESSION=EVE",
        "a=1 __Session=EVE",
    ] {
        check(&[("cookie", cookie)], None, false, Err(()));
        check(&[authorization, ("cookie", cookie)], None, false, Ok(Some(("a", TokenSource::Authorization))));
    }
    for query in [
        "access.token=q",
        "access_token[]=q",
        "access+token=q",
        "%20access_token=q",
        "x=1;access_token=q",
        "x=1;Access_Token=q",
        "Access_Token=q",
    ] {
        check(&[events], Some(query), false, Err(()));
    }
    // Cookies that somebody planted do not get in the way of a token that was sent on purpose.
    check(
        &[authorization, ("cookie", "__session=c; __session=d")],
        None,
        false,
        Ok(Some(("a", TokenSource::Authorization))),
    );
    check(&[("cookie", "__sessions=c; my__session=d; __session")], None, false, Ok(None));
    check(&[("authorization", "Basic eDp5"), cookie], None, false, Ok(Some(("c", TokenSource::Cookie))));
}

#[test]
fn a_source_that_is_not_configured_is_not_read() {
    let headers = headers(&[("cookie", "__session=c")]);
    let facts = facts(&headers, Some("access_token=q"), true);
    let check = |sources: &[TokenSource], expected: Option<TokenSource>| {
        let found = presented_token(&facts, sources).expect("no ambiguity");
        assert_eq!(found.map(|token| token.source), expected, "{sources:?}");
    };
    check(&[], None);
    check(&[TokenSource::Cookie], Some(TokenSource::Cookie));
    check(&[TokenSource::Query], Some(TokenSource::Query));
    check(&[TokenSource::Cookie, TokenSource::Query], Some(TokenSource::Query));
    // What a service has in its queries is its own affair where none is read.
    let facts = RequestFacts { is_web_socket: false, ..facts.clone() };
    let found = presented_token(&facts, &[TokenSource::Authorization, TokenSource::Cookie]);
    assert_eq!(found.expect("no ambiguity").map(|token| token.source), Some(TokenSource::Cookie));
}

#[test]
fn a_bearer_token_is_never_left_beside_another_ones_user() {
    let check =
        |fields: &[(&str, &str)], sources: &[TokenSource], expected: Result<Option<TokenSource>, Code>| {
            let headers = headers(fields);
            let found = presented_token(&facts(&headers, None, false), sources);
            let found = found.map(|token| token.map(|token| token.source));
            assert_eq!(found.map_err(|reason| reason.code()), expected, "{fields:?} {sources:?}");
        };
    let ambiguous = Err(Code::CredentialAmbiguous);
    let (bearer, cookie) = (("authorization", "Bearer a"), ("cookie", "__session=c"));
    check(&[bearer], &[TokenSource::Cookie], Ok(None));
    check(&[bearer, cookie], &[TokenSource::Cookie], ambiguous);
    check(&[bearer, bearer], &[TokenSource::Cookie], ambiguous);
    check(&[("authorization", "Bearer\ta"), cookie], &EVERYWHERE, Err(Code::TokenMalformed));
    check(&[("authorization", "Bearer"), cookie], &EVERYWHERE, Err(Code::TokenMissing));
    check(&[("authorization", "Basic x, Bearer a"), cookie], &EVERYWHERE, ambiguous);
    check(&[("authorization", "Basic eDp5"), cookie], &[TokenSource::Cookie], Ok(Some(TokenSource::Cookie)));
}

#[test]
fn removing_a_cookie_leaves_the_others_byte_for_byte() {
    let check = |fields: &[&str], expected: &[&str]| {
        let mut headers = headers(&fields.iter().map(|value| ("cookie", *value)).collect::<Vec<_>>());
        without_session_cookie(&mut headers);
        let left = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
        assert_eq!(left, expected.iter().map(|value| value.as_bytes()).collect::<Vec<_>>(), "{fields:?}");
    };
    check(&["a=b; __session=t; c=d"], &["a=b; c=d"]);
    check(&["__session=t; c=d"], &["c=d"]);
    check(&["a=b;  __session=t"], &["a=b"]);
    check(&["__session=t"], &[]);
    check(&["a=\"x; y\";__session=t;;b= c ;"], &["a=\"x; y\";;b= c ;"]);
    check(&["__session=t", "a=b", "__session = u; c=é"], &["a=b", "c=é"]);
    check(&["a=__session=t; __sessions=u"], &["a=__session=t; __sessions=u"]);
}

#[test]
fn removing_a_parameter_leaves_the_others_byte_for_byte() {
    let check = |query: &str, expected: Option<&str>| {
        assert_eq!(query_without_access_token(query).as_deref(), expected, "{query}");
    };
    check("access_token=t", None);
    check("a=1&access_token=t&b=%2F+x", Some("a=1&b=%2F+x"));
    check("access_token=t&a", Some("a"));
    check("&&access_token&%61ccess_token=t&", Some("&&"));
    check(
        "token=access_token&Access_token=x;access_token=y",
        Some("token=access_token&Access_token=x;access_token=y"),
    );
}

#[test]
fn removing_a_subprotocol_leaves_the_others_byte_for_byte() {
    let check = |fields: &[&str], expected: &[&str]| {
        let fields = fields.iter().map(|value| ("sec-websocket-protocol", *value)).collect::<Vec<_>>();
        let mut headers = headers(&fields);
        without_access_token_protocol(&mut headers);
        let left = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(|value| value.to_str().expect("text"));
        assert_eq!(left.collect::<Vec<_>>(), expected, "{fields:?}");
    };
    check(&["access_token, t"], &[]);
    check(&["access_token, t, chat.v2,  x"], &["chat.v2,  x"]);
    check(&["chat,access_token,t"], &["chat"]);
    check(&["chat, access_token", "t, x"], &["chat", "x"]);
    check(&["chat"], &["chat"]);
}

#[test]
fn a_cookie_counts_only_for_pages_that_may_send_it() {
    let check = |method: &Method, is_web_socket, fields: &[(&str, &str)], expected: bool| {
        let headers = headers(fields);
        let path = NormalPath::parse("/").expect("a path");
        let facts = RequestFacts {
            scheme: "https",
            host: "App.example.com:443",
            is_web_socket,
            ..RequestFacts::of(method, path, &headers)
        };
        let cors = CorsPolicy {
            origins: vec!["https://other.example.com".to_owned()],
            credentials: true,
            local_network_origins: true,
            ..CorsPolicy::default()
        };
        assert_eq!(check_cookie_origin(&facts, Some(&cors)).is_ok(), expected, "{method} {fields:?}");
    };
    let origin = |value| [(ORIGIN.as_str(), value)];
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        check(&method, false, &origin("https://evil.example"), true);
        check(&method, true, &origin("https://evil.example"), false);
    }
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        check(&method, false, &[], false);
        check(&method, false, &origin("https://app.example.com"), true);
        check(&method, false, &origin("https://other.example.com"), true);
        for foreign in [
            "http://app.example.com",
            "https://app.example.com.evil.example",
            "https://app.example.com:8443",
            "https://evil.example",
            "http://localhost:3000",
            "https://",
            "null",
            "",
        ] {
            check(&method, false, &origin(foreign), false);
        }
        check(&method, false, &[("sec-fetch-site", "same-origin")], true);
        check(&method, false, &[("sec-fetch-site", "same-site")], false);
        check(&method, false, &[("sec-fetch-site", "none")], false);
        // What the page's own origin says wins over what is said about it.
        check(
            &method,
            false,
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            false,
        );
        check(
            &method,
            false,
            &[("origin", "https://app.example.com"), ("origin", "https://app.example.com")],
            false,
        );
        check(&method, false, &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], false);
    }
    check(&Method::from_bytes(b"PURGE").expect("a method"), false, &[], false);
}

proptest::proptest! {
    #[test]
    fn what_is_removed_is_not_found_again_and_nothing_else_is_lost(query in "[a-c=&%]{0,12}(access_token=t)?[a-c=&%]{0,12}") {
        let left = query_without_access_token(&query);
        let left = left.unwrap_or_default();
        proptest::prop_assert!(matches!(query::access_token(&left), Ok(None)));
        if matches!(query::access_token(&query), Ok(None)) {
            proptest::prop_assert_eq!(left, query);
        }
    }
}
