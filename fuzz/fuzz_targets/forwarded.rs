//! Forwarded headers: of whom they count from, and what the service is told. The first byte chooses what stands before the
//! door and who calls; each line after it is a field.
#![no_main]

use std::net::IpAddr;

use firegate_core::forwarded::{ForwardedTrust, client, remove_protected, tell_way};
use firegate_core::headers::is_protected;
use firegate_files::configuration::Behind;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use libfuzzer_sys::fuzz_target;

const TRUSTED: &str = "10.0.0.1";
const STRANGER: &str = "192.0.2.1";

fuzz_target!(|data: &[u8]| {
    let Some((first, lines)) = data.split_first() else { return };
    let mut sent = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let mut sides = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (sides.next(), sides.next()) else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            sent.append(name, value);
        }
    }
    let behind = Behind::Hops { count: first % 4 + 1, peers: vec!["10.0.0.0/8".parse().expect("a net")] };
    let trust = ForwardedTrust::of(&behind, false);
    let told = |peer: &str, headers: &HeaderMap| {
        let mut headers = headers.clone();
        let peer: IpAddr = peer.parse().expect("an address");
        let client = client(trust.as_ref(), peer, "http", &headers);
        remove_protected(&mut headers);
        let mut way = Vec::new();
        tell_way(&client, "door.example:8080", Version::HTTP_11, &mut way);
        for (name, value) in way {
            // What a client said of it would stand beside it.
            assert_eq!(headers.insert(name, value), None);
        }
        (client, headers)
    };
    let mut unforwarded = sent.clone();
    for name in sent.keys().filter(|name| is_protected(name)) {
        unforwarded.remove(name);
    }
    // Whoever is not trusted changes nothing by such a header.
    assert_eq!(told(STRANGER, &sent), told(STRANGER, &unforwarded));
    // Whoever is trusted is told of in one way.
    let (client, headers) = told(TRUSTED, &sent);
    for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via"] {
        assert_eq!(headers.get_all(name).iter().count(), 1, "{name}");
    }
    let text = |name: &str| headers[name].to_str().expect("visible ASCII").to_owned();
    assert_eq!(text("x-forwarded-for").parse(), Ok(client.address));
    assert!(["http", "https"].contains(&text("x-forwarded-proto").as_str()));
    assert!(text("via").ends_with("1.1 firegate"));
    let protected = headers.keys().filter(|name| is_protected(name)).count();
    assert_eq!(protected, 5, "no other protected header is left: {headers:?}");
});
