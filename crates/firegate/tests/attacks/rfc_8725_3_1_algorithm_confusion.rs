//! RFC 8725, section 2.1 (CVE-2015-9235 and its many repetitions): the token chose how it is verified. So the algorithm is
//! compared with the one that is expected and used for nothing else (section 3.1), and that is RS256: no `none`, no MAC
//! (section 3.2).

use serde_json::json;

use crate::site::Site;
use crate::stack::{claims, unsigned};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_does_not_choose_the_algorithm() {
    let site = Site::open().await;
    let payload = || claims("demo-project", site.now());
    let key_id = site.signer.key_id();
    for (header, signature, reason) in [
        (json!({"alg": "none"}), &b""[..], "TOKEN_UNSIGNED"),
        (json!({"alg": "none", "kid": key_id, "typ": "JWT"}), b"", "TOKEN_UNSIGNED"),
        (json!({"alg": "None", "kid": key_id}), b"", "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (json!({"alg": "HS256", "kid": key_id}), b"a mac over the public key", "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (json!({"alg": "RS512", "kid": key_id}), b"s", "TOKEN_ALGORITHM_NOT_ALLOWED"),
        (json!({"alg": "RS256", "kid": key_id}), b"", "TOKEN_SIGNATURE_INVALID"),
        (json!({"alg": "RS256", "kid": key_id, "jwk": {"kty": "RSA"}}), b"s", "TOKEN_HEADER_NOT_ALLOWED"),
        (
            json!({"alg": "RS256", "kid": key_id, "crit": ["b64"], "b64": false}),
            b"s",
            "TOKEN_HEADER_NOT_ALLOWED",
        ),
        (json!({"alg": "RS256"}), b"s", "TOKEN_HEADER_NOT_ALLOWED"),
    ] {
        let token = unsigned(header.clone(), payload(), signature);
        let answer = site.send(site.call("/a").bearer(&token)).await;
        assert_eq!(answer.header("x-firegate-reason"), Some(reason), "{header}");
        assert_eq!(answer.status.as_u16(), 401, "{header}");
    }
    site.close().await;
}
