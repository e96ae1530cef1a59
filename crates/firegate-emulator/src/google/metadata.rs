//! The metadata server of a virtual machine or a Cloud Run instance.
//! <https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys>

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::access_token::CLOUD_PLATFORM;
use super::id_token::IdToken;
use super::service_account::Account;
use super::{KeyUnavailable, State, index};
use crate::limits::{ACCESS_TOKEN_LIFETIME, AUDIENCE_BYTES_MAX};
use crate::member::Principal;

pub(crate) const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const INSTANCE_ID: &str = "5151515151515151515";
const INSTANCE_NAME: &str = "firegate-dev";
const REGION: &str = "us-central1";

/// Why the metadata server refuses.
#[derive(Debug)]
enum Refusal {
    MissingFlavor,
    Forwarded,
    NotFound,
    BadAudience,
    Fault(KeyUnavailable),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::MissingFlavor => {
                (StatusCode::FORBIDDEN, "Missing Metadata-Flavor:Google header.".to_owned())
            }
            Self::Forwarded => {
                (StatusCode::FORBIDDEN, "Requests with an X-Forwarded-For header are not served.".to_owned())
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "The requested metadata does not exist.".to_owned()),
            Self::BadAudience => {
                (StatusCode::BAD_REQUEST, "non-empty audience parameter required".to_owned())
            }
            Self::Fault(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        };
        (status, format!("{text}\n")).into_response()
    }
}

impl From<KeyUnavailable> for Refusal {
    fn from(error: KeyUnavailable) -> Self {
        Self::Fault(error)
    }
}

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/", get(index::show))
        .route("/computeMetadata/", get(|| async { "v1/\n" }))
        .route("/computeMetadata/v1", get(read_root))
        .route("/computeMetadata/v1/", get(read_root))
        .route("/computeMetadata/v1/{*path}", get(read))
        .layer(axum::middleware::map_response(sign_as_metadata_server))
}

/// Clients throw the answer away unless it says where it comes from.
async fn sign_as_metadata_server(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(FLAVOR, HeaderValue::from_static("Google"));
    headers.insert(header::SERVER, HeaderValue::from_static("Metadata Server for VM"));
    headers.insert(header::X_XSS_PROTECTION, HeaderValue::from_static("0"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    response
}

async fn read_root(
    state: Extract<Arc<State>>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    read(state, Path(String::new()), query, headers).await
}

async fn read(
    Extract(state): Extract<Arc<State>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if headers.contains_key(FORWARDED_FOR) {
        return Err(Refusal::Forwarded);
    }
    if !headers.get(FLAVOR).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"google")) {
        return Err(Refusal::MissingFlavor);
    }
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default());
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["instance", "service-accounts", account, "identity"] => identity(&state, account, &parameters).await,
        ["instance", "service-accounts", account, "token"] => access_token(&state, account, &parameters),
        segments => directory_entry(&state, segments, &parameters),
    }
}

/// The parameters of a metadata request, read with tolerance: Google's Node client puts the audience into the query as
/// it is, so that an `&` in it does not end it unless a known parameter follows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    audience: String,
    format_full: bool,
    licenses: bool,
    recursive: bool,
    text: bool,
    scopes: Vec<String>,
}

impl Parameters {
    fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        let mut audience = None::<String>;
        let mut in_audience = false;
        for part in query.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            let is_true = || value.eq_ignore_ascii_case("true");
            let was_in_audience = std::mem::replace(&mut in_audience, false);
            match name {
                "audience" => {
                    audience = Some(value.to_owned());
                    in_audience = true;
                }
                "format" => parameters.format_full = value.eq_ignore_ascii_case("full"),
                "licenses" => parameters.licenses = is_true(),
                "recursive" => parameters.recursive = is_true(),
                "alt" => parameters.text = value == "text",
                "scopes" => parameters.scopes = decoded().split(',').map(str::to_owned).collect(),
                _ => {
                    if let Some(audience) = audience.as_mut().filter(|_| was_in_audience) {
                        audience.push('&');
                        audience.push_str(part);
                        in_audience = true;
                    }
                }
            }
        }
        let audience = audience.unwrap_or_default();
        parameters.audience = percent_decode_str(&audience).decode_utf8_lossy().into_owned();
        parameters
    }
}

/// The service account behind `default` or an e-mail address. A machine speaks for its own account alone.
fn find_account<'a>(state: &'a State, name: &str) -> Result<&'a Account, Refusal> {
    let own = state.accounts.find(&state.options.default_service_account).ok_or(Refusal::NotFound)?;
    let is_own = name == "default" || own.service_account.email() == name;
    is_own.then_some(own).ok_or(Refusal::NotFound)
}

async fn identity(state: &State, account: &str, parameters: &Parameters) -> Result<Response, Refusal> {
    let account = &find_account(state, account)?.service_account;
    let audience = parameters.audience.as_str();
    if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX {
        return Err(Refusal::BadAudience);
    }
    let mut extra = Map::new();
    if parameters.format_full {
        extra.insert(
            "google".to_owned(),
            json!({ "compute_engine": compute_engine(state, parameters.licenses) }),
        );
    }
    let id_token = IdToken {
        email: account.email(),
        audience,
        authorized_party: &account.unique_id(),
        includes_email: parameters.format_full,
        extra,
    };
    Ok(plain(id_token.mint(state).await?))
}

/// The claims about the machine (`format=full`). `project_number` and the times are numbers.
fn compute_engine(state: &State, licenses: bool) -> Value {
    let mut claims = json!({
        "instance_creation_timestamp": state.options.clock.now().as_seconds(),
        "instance_id": INSTANCE_ID,
        "instance_name": INSTANCE_NAME,
        "project_id": state.options.project,
        "project_number": project_number(state),
        "zone": format!("{REGION}-a"),
    });
    if let (true, Some(members)) = (licenses, claims.as_object_mut()) {
        members.insert("license_id".to_owned(), json!([]));
    }
    claims
}

fn project_number(state: &State) -> Value {
    let number = &state.options.project_number;
    number.parse::<u64>().map_or_else(|_| json!(number), |number| json!(number))
}

fn access_token(state: &State, account: &str, parameters: &Parameters) -> Result<Response, Refusal> {
    let account = &find_account(state, account)?.service_account;
    let scopes = match parameters.scopes.as_slice() {
        [] => vec![CLOUD_PLATFORM.to_owned()],
        scopes => scopes.to_vec(),
    };
    let principal = Principal::ServiceAccount(account.email().to_owned());
    let (access_token, _) = state.access_tokens.issue(principal, scopes, ACCESS_TOKEN_LIFETIME)?;
    Ok(axum::Json(json!({
        "access_token": access_token,
        "expires_in": ACCESS_TOKEN_LIFETIME.as_secs() - 1,
        "token_type": "Bearer",
    }))
    .into_response())
}

/// An entry of the metadata tree: a directory's listing, a value, or with `recursive=true` everything below as JSON.
fn directory_entry(state: &State, segments: &[&str], parameters: &Parameters) -> Result<Response, Refusal> {
    let tree = tree(state);
    let entry =
        segments.iter().try_fold(&tree, |value, segment| value.get(segment)).ok_or(Refusal::NotFound)?;
    if parameters.recursive && !parameters.text {
        return Ok(axum::Json(in_camel_case(entry)).into_response());
    }
    Ok(plain(match entry {
        Value::Object(entries) => entries.iter().map(|(name, value)| listed(name, value)).collect(),
        Value::Array(values) => values.iter().map(|value| format!("{}\n", text_of(value))).collect(),
        value => text_of(value),
    }))
}

fn tree(state: &State) -> Value {
    let own = &state.options.default_service_account;
    let account = json!({ "aliases": ["default"], "email": own, "scopes": [CLOUD_PLATFORM] });
    let project = &state.options.project_number;
    json!({
        "instance": {
            "attributes": {},
            "id": INSTANCE_ID,
            "name": INSTANCE_NAME,
            "region": format!("projects/{project}/regions/{REGION}"),
            "service-accounts": { "default": account, own: account },
            "zone": format!("projects/{project}/zones/{REGION}-a"),
        },
        "project": { "numeric-project-id": project_number(state), "project-id": state.options.project },
        "universe": { "universe-domain": "googleapis.com" },
    })
}

fn listed(name: &str, value: &Value) -> String {
    format!("{name}{}\n", if value.is_object() { "/" } else { "" })
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Names are in kebab case in paths and in camel case in JSON; an e-mail address is left as it is.
fn in_camel_case(value: &Value) -> Value {
    let Value::Object(entries) = value else { return value.clone() };
    let name = |name: &str| {
        if name.contains('@') {
            return name.to_owned();
        }
        let mut words = name.split('-');
        let mut camel = words.next().unwrap_or_default().to_owned();
        for word in words {
            let mut characters = word.chars();
            camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
            camel.push_str(characters.as_str());
        }
        camel
    };
    Value::Object(entries.iter().map(|(key, value)| (name(key), in_camel_case(value))).collect())
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, audience: &str, format_full: bool) {
        let parameters = Parameters::parse(query);
        assert_eq!(
            (parameters.audience.as_str(), parameters.format_full),
            (audience, format_full),
            "{query}"
        );
    }

    #[test]
    fn an_audience_is_understood_encoded_or_not() {
        check("audience=https%3A%2F%2Fa.run.app&format=full", "https://a.run.app", true);
        check("format=full&audience=https://a.run.app", "https://a.run.app", true);
        check("audience=https://a.run.app/p?x=1&y=2", "https://a.run.app/p?x=1&y=2", false);
        check("audience=https://a.run.app/p?x=1&y=2&format=full", "https://a.run.app/p?x=1&y=2", true);
        check("unknown=1&audience=a&format=standard&y=2", "a", false);
        check("audience=a%26b", "a&b", false);
        check(
            "audience=32555940559.apps.googleusercontent.com",
            "32555940559.apps.googleusercontent.com",
            false,
        );
        check("audience=a+b", "a+b", false);
        check("audience=", "", false);
        check("", "", false);
    }
}
