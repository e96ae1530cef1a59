//! RFC 8725, section 3.6: compressed content tells of what it was made of, and a small one can expand without end.
//! Nothing is decompressed to find out whether it is allowed.

use serde_json::json;

use crate::project::{Key, Project, edited};

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_decompressed() {
    let project = Project::open().await;
    let gate = project.plain_gate().await;
    let claims = project.id_claims().to_string();
    gate.admits(&Key::IdToken.sign_as(&Key::IdToken.header(), &claims)).await;
    for zip in [json!("DEF"), json!("GZIP"), json!(""), json!(null)] {
        let token = Key::IdToken.sign_as(&edited(&Key::IdToken.header(), "zip", zip.clone()), &claims);
        gate.refuses(&token, 401, "TOKEN_HEADER_NOT_ALLOWED", &zip.to_string()).await;
    }
    // A DEFLATE stream as it would stand in a compressed token.
    let deflated = [0x4b, 0x4c, 0x4a, 0x06, 0x00];
    let token = Key::IdToken.sign_as(&Key::IdToken.header(), deflated);
    gate.refuses(&token, 401, "TOKEN_MALFORMED", "a compressed payload").await;
    gate.close().await;
}
