//! The calls of Google's token endpoints, each as its documentation has it.

use std::time::Duration;

use bytes::Bytes;
use firegate_core::time::{SharedClock, UnixTime};
use form_urlencoded::Serializer;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;
use url::Url;

use super::file::{AuthorizedUser, ExternalAccount, ServiceAccountKey, SubjectFormat, SubjectSource};
use super::{CLOUD_PLATFORM_SCOPE, Endpoints, OAUTH2_TOKEN_URL};
use crate::fault::{CredentialFault, FaultSource, Step, clean};
use crate::http::{ExchangeBounds, FetchError, HttpClient, extend, uri};
use crate::limits::{CREDENTIAL_FILE_BYTES_MAX, TOKEN_BODY_BYTES_MAX, TOKEN_FETCH_TIMEOUT};
use crate::tokens::{AccessToken, IdToken};

/// Whom to impersonate, and by which hops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Impersonation {
    /// The service account's address.
    pub(crate) service_account: String,
    /// The resource names of the accounts in between, in order.
    pub(crate) delegates: Vec<String>,
    /// The API's base that a credential file names.
    pub(crate) base_url: Option<Url>,
}

/// What the calls need.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) endpoints: Endpoints,
    pub(crate) http: HttpClient,
    pub(crate) clock: SharedClock,
}

/// A subject token for the Security Token Service.
pub(crate) struct Subject<'a> {
    pub(crate) audience: &'a str,
    pub(crate) token: &'a str,
    pub(crate) token_type: &'a str,
}

/// The type of a JWT in a token exchange (RFC 8693, section 3).
pub(crate) const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";

const METADATA_FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const GOOGLE: HeaderValue = HeaderValue::from_static("Google");
const BOUNDS: ExchangeBounds =
    ExchangeBounds { timeout: TOKEN_FETCH_TIMEOUT, body_bytes_max: TOKEN_BODY_BYTES_MAX };

/// How far in the past an assertion is dated, so that a clock that runs ahead does not spoil it.
const ASSERTION_BACKDATE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct AccessTokenAnswer {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct IdTokenAnswer {
    id_token: String,
}

#[derive(Deserialize)]
struct GeneratedIdToken {
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeneratedAccessToken {
    access_token: String,
    expire_time: String,
}

impl Exchange {
    /// `…/identity` of the metadata server; `format=full` because Cloud Run's IAM may need the e-mail address.
    pub(crate) async fn metadata_id_token(&self, audience: &str) -> Result<IdToken, CredentialFault> {
        let query = Serializer::new(String::new())
            .append_pair("audience", audience)
            .append_pair("format", "full")
            .finish();
        let answer = self.metadata("identity", &query).await?;
        let text = std::str::from_utf8(answer.body()).unwrap_or_default();
        IdToken::parse(text, audience, self.clock.now()).map_err(at(Step::MetadataServer))
    }

    /// `…/token` of the metadata server.
    pub(crate) async fn metadata_access_token(&self) -> Result<AccessToken, CredentialFault> {
        let answer = self.metadata("token", "").await?;
        self.access_token(&answer).map_err(at(Step::MetadataServer))
    }

    async fn metadata(&self, what: &'static str, query: &str) -> Result<Response<Bytes>, CredentialFault> {
        let path = ["computeMetadata", "v1", "instance", "service-accounts", "default", what];
        let answer = async {
            let mut url = extend(self.endpoints.metadata(), path)?;
            url.set_query((!query.is_empty()).then_some(query));
            let request = Request::get(uri(&url)?).header(METADATA_FLAVOR, GOOGLE);
            let request = request.body(Bytes::new()).map_err(|_| FetchError::InvalidUrl)?;
            let answer = self.http.send(request, BOUNDS).await?;
            // A captive portal or a proxy may answer in its stead, with whatever status.
            if answer.headers().get(METADATA_FLAVOR) != Some(&GOOGLE) {
                return Err(FaultSource::NotMetadataServer);
            }
            succeeded(answer)
        };
        answer.await.map_err(at(Step::MetadataServer))
    }

    /// The JWT-bearer grant (RFC 7523) with Google's `target_audience`.
    pub(crate) async fn service_account_id_token(
        &self,
        key: &ServiceAccountKey,
        audience: &str,
    ) -> Result<IdToken, CredentialFault> {
        let answer = self.jwt_bearer(key, ("target_audience", audience)).await;
        answer
            .and_then(|answer| parse::<IdTokenAnswer>(&answer))
            .and_then(|answer| IdToken::parse(&answer.id_token, audience, self.clock.now()))
            .map_err(at(Step::ServiceAccountKey))
    }

    /// The JWT-bearer grant (RFC 7523) with a scope.
    pub(crate) async fn service_account_access_token(
        &self,
        key: &ServiceAccountKey,
    ) -> Result<AccessToken, CredentialFault> {
        let answer = self.jwt_bearer(key, ("scope", CLOUD_PLATFORM_SCOPE)).await;
        answer.and_then(|answer| self.access_token(&answer)).map_err(at(Step::ServiceAccountKey))
    }

    async fn jwt_bearer(
        &self,
        key: &ServiceAccountKey,
        (wanted, value): (&str, &str),
    ) -> Result<Response<Bytes>, FaultSource> {
        let url = self.endpoints.oauth2_token(key.token_uri.as_ref());
        // Google's libraries name this audience wherever they post to, and so do the parts that stand in for Google.
        let issued_at = self.clock.now().minus(ASSERTION_BACKDATE);
        let assertion = key.signer.sign(&json!({
            "iss": key.email, "sub": key.email, "aud": OAUTH2_TOKEN_URL, wanted: value,
            "iat": issued_at.as_seconds(), "exp": issued_at.plus(Duration::from_secs(3600)).as_seconds(),
        }))?;
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        self.post_form(url, &[("grant_type", grant), ("assertion", &assertion)]).await
    }

    /// The refresh grant (RFC 6749, section 6).
    pub(crate) async fn refresh(&self, user: &AuthorizedUser) -> Result<AccessToken, CredentialFault> {
        let url = self.endpoints.oauth2_token(user.token_uri.as_ref());
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &*user.client_id),
            ("client_secret", &*user.client_secret),
            ("refresh_token", &*user.refresh_token),
        ];
        let answer = self.post_form(url, &form).await;
        answer.and_then(|answer| self.access_token(&answer)).map_err(at(Step::RefreshToken))
    }

    /// A workload's own token, exchanged.
    pub(crate) async fn federate_workload(
        &self,
        account: &ExternalAccount,
    ) -> Result<AccessToken, CredentialFault> {
        let token = self.subject_token(account).await.map_err(at(Step::SubjectToken))?;
        let subject =
            Subject { audience: &account.audience, token: &token, token_type: &account.subject_token_type };
        self.security_token_service(subject, account.token_url.as_ref()).await
    }

    async fn subject_token(&self, account: &ExternalAccount) -> Result<String, FaultSource> {
        let bytes = match &account.subject {
            SubjectSource::File(path) => {
                let file =
                    tokio::fs::File::open(path).await.map_err(|error| FaultSource::File(error.kind()))?;
                let mut bytes = Vec::new();
                let read = file.take(CREDENTIAL_FILE_BYTES_MAX).read_to_end(&mut bytes).await;
                read.map_err(|error| FaultSource::File(error.kind()))?;
                Bytes::from(bytes)
            }
            SubjectSource::Url(url, headers) => {
                let mut request = Request::get(uri(url)?);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let request = request.body(Bytes::new()).map_err(|_| FetchError::InvalidUrl)?;
                succeeded(self.http.send(request, BOUNDS).await?)?.into_body()
            }
        };
        let token = match &account.format {
            SubjectFormat::Text => std::str::from_utf8(&bytes).ok().map(|text| text.trim_ascii().to_owned()),
            SubjectFormat::Json(member) => serde_json::from_slice::<Value>(&bytes)
                .ok()
                .and_then(|object| object.get(member).and_then(Value::as_str).map(str::to_owned)),
        };
        token.filter(|token| !token.is_empty()).ok_or(FaultSource::Unusable("it holds no token"))
    }

    /// The token exchange of RFC 8693 as Google has it.
    pub(crate) async fn security_token_service(
        &self,
        subject: Subject<'_>,
        of_file: Option<&Url>,
    ) -> Result<AccessToken, CredentialFault> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", subject.audience),
            ("scope", CLOUD_PLATFORM_SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", subject.token),
            ("subject_token_type", subject.token_type),
        ];
        let answer = self.post_form(self.endpoints.sts(of_file), &form).await;
        answer.and_then(|answer| self.access_token(&answer)).map_err(at(Step::SecurityTokenService))
    }

    /// IAM Credentials' `generateIdToken`, with the e-mail address that Cloud Run's IAM may need.
    pub(crate) async fn generate_id_token(
        &self,
        impersonation: &Impersonation,
        audience: &str,
        caller: &AccessToken,
    ) -> Result<IdToken, CredentialFault> {
        let body = json!({"audience": audience, "includeEmail": true, "delegates": impersonation.delegates});
        let answer = self.iam_credentials(impersonation, "generateIdToken", &body, caller).await;
        answer
            .and_then(|answer| parse::<GeneratedIdToken>(&answer))
            .and_then(|answer| IdToken::parse(&answer.token, audience, self.clock.now()))
            .map_err(at(Step::GenerateIdToken))
    }

    /// IAM Credentials' `generateAccessToken`.
    pub(crate) async fn generate_access_token(
        &self,
        impersonation: &Impersonation,
        caller: &AccessToken,
    ) -> Result<AccessToken, CredentialFault> {
        let body = json!({"scope": [CLOUD_PLATFORM_SCOPE], "lifetime": "3600s", "delegates": impersonation.delegates});
        let answer = self.iam_credentials(impersonation, "generateAccessToken", &body, caller).await;
        answer
            .and_then(|answer| parse::<GeneratedAccessToken>(&answer))
            .and_then(|answer| {
                let expires_at = UnixTime::parse(&answer.expire_time)
                    .ok_or(FaultSource::Unusable("its `expireTime` is no time"))?;
                AccessToken::new(&answer.access_token, expires_at)
            })
            .map_err(at(Step::GenerateAccessToken))
    }

    async fn iam_credentials(
        &self,
        impersonation: &Impersonation,
        method: &str,
        body: &Value,
        caller: &AccessToken,
    ) -> Result<Response<Bytes>, FaultSource> {
        let base = self.endpoints.iam_credentials(impersonation.base_url.as_ref());
        let account = format!("{}:{method}", impersonation.service_account);
        let url = extend(base, ["v1", "projects", "-", "serviceAccounts", &account])?;
        succeeded(post_json(&self.http, &url, caller.bearer(), body, BOUNDS).await?)
    }

    async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Result<Response<Bytes>, FaultSource> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(body.into())
            .map_err(|_| FetchError::InvalidUrl)?;
        succeeded(self.http.send(request, BOUNDS).await?)
    }

    fn access_token(&self, answer: &Response<Bytes>) -> Result<AccessToken, FaultSource> {
        let answer: AccessTokenAnswer = parse(answer)?;
        AccessToken::new(&answer.access_token, expiry(self.clock.now(), answer.expires_in))
    }
}

/// Posts JSON with a bearer token.
pub(crate) async fn post_json(
    http: &HttpClient,
    url: &Url,
    bearer: &HeaderValue,
    body: &Value,
    bounds: ExchangeBounds,
) -> Result<Response<Bytes>, FetchError> {
    let request = Request::post(uri(url)?)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(AUTHORIZATION, bearer)
        .body(body.to_string().into())
        .map_err(|_| FetchError::InvalidUrl)?;
    http.send(request, bounds).await
}

/// The answer, if its status is 200; else Google's error in one of its two forms.
pub(crate) fn succeeded(answer: Response<Bytes>) -> Result<Response<Bytes>, FaultSource> {
    if answer.status().as_u16() == 200 {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let text = |value: &Value| value.as_str().map(clean).unwrap_or_default();
    let (code, description) = match media_type(answer.headers()) {
        "application/json" => {
            let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            // `{"error": {"status", "message"}}` of AIP-193, or `{"error", "error_description"}` of RFC 6749.
            match &body["error"] {
                Value::Object(error) => {
                    (text(reason(error).unwrap_or(&body["error"]["status"])), text(&body["error"]["message"]))
                }
                code => (text(code), text(&body["error_description"])),
            }
        }
        // So the metadata server says why; a page of HTML is a proxy's.
        "text/plain" => (String::new(), std::str::from_utf8(answer.body()).map(clean).unwrap_or_default()),
        _ => (String::new(), String::new()),
    };
    Err(FaultSource::Answered { status, code, description })
}

/// The `reason` of Google's `ErrorInfo` (AIP-193), which says more than the `status` does.
fn reason(error: &Map<String, Value>) -> Option<&Value> {
    let mut details = error.get("details")?.as_array()?.iter();
    let info = details.find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo")?;
    info.get("reason").filter(|reason| reason.is_string())
}

fn media_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

fn parse<T: DeserializeOwned>(answer: &Response<Bytes>) -> Result<T, FaultSource> {
    serde_json::from_slice(answer.body()).map_err(|_| FaultSource::Unusable("not the documented JSON"))
}

fn expiry(now: UnixTime, expires_in_seconds: u64) -> UnixTime {
    now.plus(Duration::from_secs(expires_in_seconds))
}

fn at<E: Into<FaultSource>>(step: Step) -> impl FnOnce(E) -> CredentialFault {
    move |source| CredentialFault { step, source: source.into() }
}
