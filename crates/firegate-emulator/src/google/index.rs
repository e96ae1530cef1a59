//! What is found at these endpoints, for a person who opens their address.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use super::metadata::FLAVOR;
use super::{State, app_check};

/// The root: the metadata server's own for its clients, which say that they are, and a page of text for everyone else.
pub(crate) async fn show(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> Response {
    if headers.contains_key(FLAVOR) {
        return "computeMetadata/\n".into_response();
    }
    page(&state).into_response()
}

fn page(state: &State) -> String {
    let options = &state.options;
    let base = options.base_url.as_str().trim_end_matches('/');
    let (project, number) = (&options.project, &options.project_number);
    let app = format!("1:{number}:web:0123456789abcdef");
    let mut text =
        format!("Google's parts of project {project} ({number}), on this machine\n\nService accounts\n");
    // Writing to a String cannot fail.
    for account in &options.service_accounts {
        let email = account.email();
        let _ = writeln!(text, "  {email}\n    key file: {base}/firegate/v1/serviceAccounts/{email}/key");
    }
    let _ = writeln!(
        text,
        "\nA Google ID token for any audience, of {default}\n  \
         curl -H 'Metadata-Flavor: Google' \
         '{base}/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=https://api.example.com'\n  \
         its keys: {base}/oauth2/v3/certs\n\n\
         An App Check token for any app of the project\n  \
         curl -H 'Content-Type: application/json' -d '{{\"debug_token\":\"{debug_token}\"}}' \
         '{base}/v1/projects/{project}/apps/{app}:exchangeDebugToken'\n  \
         its keys: {base}/v1/jwks",
        default = options.default_service_account,
        debug_token = app_check::DEBUG_TOKEN,
    );
    text
}
