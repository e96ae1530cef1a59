//! The one reading of a path: it is the same when it is read again, leads out of no folder, and goes to a backend that any
//! server would choose as well.
#![no_main]

use std::sync::LazyLock;

use firegate_core::facts::RequestFacts;
use firegate_core::path::NormalPath;
use firegate_core::route::Routes;
use firegate_core::snapshot::Snapshot;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;

const CONFIGURATION: &str = "project: demo-project\nallow: [allUsers]\nbackends:\n  \
    files: { url: 'http://127.0.0.1:1', encoded_slash: forward }\n  \
    admin: { url: 'http://127.0.0.1:2' }\n  rest: { url: 'http://127.0.0.1:3', encoded_slash: forward }\n\
    routes: [{ path: /files/*, backend: files }, { path: /admin/*, backend: admin }, { path: /*, backend: rest }]\n";

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let parsed = firegate_files::configuration::parse("firegate.yaml", CONFIGURATION);
    Snapshot::compile(&parsed.expect("the configuration is valid")).routes
});

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let Ok(normal) = NormalPath::parse(path) else { return };
    let text = normal.as_str();
    assert_eq!(NormalPath::parse(text).as_ref(), Ok(&normal), "it is read in another way the second time");
    assert!(text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
    // Whatever a server decodes once, no segment leads up, and nothing ends the path early.
    let decoded = decoded(text.as_bytes());
    assert!(!decoded.iter().any(|byte| byte.is_ascii_control()), "a control character in {text}");
    let segments = decoded.split(|byte| matches!(byte, b'/' | b'\\'));
    for segment in segments {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        assert!(!matches!(name, b"." | b".."), "a dot segment in {text}");
    }
    let headers = HeaderMap::new();
    let facts = RequestFacts::of(&Method::GET, normal.clone(), &headers);
    let Ok(routed) = ROUTES.select(&facts) else { return };
    let backend = routed.entry().expect("no route is a redirect").backend();
    let by_prefix = |path: &[u8]| match path {
        path if path.starts_with(b"/files/") => "files",
        path if path.starts_with(b"/admin/") => "admin",
        _ => "rest",
    };
    let slashes =
        |path: &[u8]| path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect::<Vec<_>>();
    let decoded_or_not =
        [text.as_bytes().to_vec(), decoded.clone(), slashes(&decoded), merged(&slashes(&decoded))];
    let cut = decoded_or_not.iter().map(|path| without_parameters(path)).collect::<Vec<_>>();
    let cut_and_merged = cut.iter().map(|path| merged(path)).collect::<Vec<_>>();
    for reading in [&decoded_or_not[..], &cut, &cut_and_merged].concat() {
        assert_eq!(
            by_prefix(&reading),
            backend.name,
            "{text} may be read as {}",
            String::from_utf8_lossy(&reading)
        );
    }
});

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = path.get(at) {
        match (byte, digit(path.get(at + 1)), digit(path.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two digits"));
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Each segment up to its first semicolon.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let cut = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    cut.collect::<Vec<_>>().join(&b'/')
}

/// Without empty segments.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = Vec::new();
    for byte in path {
        if *byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(*byte);
        }
    }
    merged
}
