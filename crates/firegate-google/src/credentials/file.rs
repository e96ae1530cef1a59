//! The credential files of gcloud and the Cloud console (AIP-4112, AIP-4113, AIP-4117), as far as Firegate uses them.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use firegate_core::jose::{RsaSigner, strict_json};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::discover::ContentError;
use super::exchange::Impersonation;
use crate::fault::FaultSource;

/// Where an identity comes from. Two that are equal give the same tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// The metadata server of Cloud Run, Compute Engine and Kubernetes Engine.
    Metadata,
    /// A service account's key: `"type": "service_account"`.
    ServiceAccountKey(ServiceAccountKey),
    /// A user who signed in with gcloud: `"type": "authorized_user"`.
    AuthorizedUser(AuthorizedUser),
    /// Workload identity federation: `"type": "external_account"`.
    ExternalAccount(Box<ExternalAccount>),
    /// Another identity that impersonates a service account: `"type": "impersonated_service_account"`.
    ImpersonatedServiceAccount(ImpersonatedServiceAccount),
}

/// A service account's key.
#[derive(Clone)]
pub struct ServiceAccountKey {
    pub(super) email: String,
    pub(super) signer: RsaSigner,
    /// The digest of the private key, by which it is compared.
    pub(super) digest: Vec<u8>,
    pub(super) token_uri: Option<Url>,
}

/// A user's refresh token.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizedUser {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
    pub(super) token_uri: Option<Url>,
}

/// A workload's identity elsewhere, exchanged by the Security Token Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) subject: SubjectSource,
    pub(super) format: SubjectFormat,
    pub(super) token_url: Option<Url>,
    pub(super) impersonation: Option<Impersonation>,
}

/// Where a workload's token is found.
#[derive(Clone, PartialEq, Eq)]
pub enum SubjectSource {
    /// In a file that its platform renews.
    File(PathBuf),
    /// At an address, with these headers.
    Url(Url, Vec<(String, String)>),
}

/// What a workload's token is wrapped in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectFormat {
    /// Nothing.
    Text,
    /// A member of this name in a JSON object.
    Json(String),
}

/// A service account that another identity impersonates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImpersonatedServiceAccount {
    pub(super) source: Box<CredentialSource>,
    pub(super) impersonation: Impersonation,
}

impl CredentialSource {
    /// Reads the content of a credential file.
    ///
    /// # Errors
    /// If it is no credential file that is supported.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ContentError> {
        let object = strict_json::parse_object(bytes).map_err(|_| ContentError::Json)?;
        if object.get("type").and_then(Value::as_str) == Some("impersonated_service_account") {
            return impersonated_service_account(&object).map(Self::ImpersonatedServiceAccount);
        }
        Self::direct(&object)
    }

    /// Why these credentials have no ID token for a service, if they have none: known before anybody asks for one.
    pub fn has_no_id_tokens(&self) -> Option<FaultSource> {
        match self {
            Self::AuthorizedUser(_) => Some(FaultSource::UserCredentials),
            Self::ExternalAccount(account) if account.impersonation.is_none() => {
                Some(FaultSource::FederatedCredentials)
            }
            Self::Metadata
            | Self::ServiceAccountKey(_)
            | Self::ExternalAccount(_)
            | Self::ImpersonatedServiceAccount(_) => None,
        }
    }

    /// Reads an identity that impersonates nobody by its own type.
    fn direct(object: &Map<String, Value>) -> Result<Self, ContentError> {
        match object.get("type").and_then(Value::as_str) {
            Some("service_account") => service_account(object).map(Self::ServiceAccountKey),
            Some("authorized_user") => authorized_user(object).map(Self::AuthorizedUser),
            Some("external_account") => {
                external_account(object).map(|account| Self::ExternalAccount(Box::new(account)))
            }
            Some(_) => Err(ContentError::Type),
            None => Err(ContentError::NoType),
        }
    }
}

fn service_account(object: &Map<String, Value>) -> Result<ServiceAccountKey, ContentError> {
    const WRONG_KEY: ContentError = ContentError::Member("private_key");
    let pem = text(object, "private_key")?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| WRONG_KEY)?;
    let signer = RsaSigner::from_pkcs8(&text(object, "private_key_id")?, der.secret_pkcs8_der())
        .map_err(|_| WRONG_KEY)?;
    Ok(ServiceAccountKey {
        email: text(object, "client_email")?,
        digest: digest(&SHA256, der.secret_pkcs8_der()).as_ref().to_vec(),
        signer,
        token_uri: url(object, "token_uri")?,
    })
}

fn authorized_user(object: &Map<String, Value>) -> Result<AuthorizedUser, ContentError> {
    Ok(AuthorizedUser {
        client_id: text(object, "client_id")?,
        client_secret: text(object, "client_secret")?,
        refresh_token: text(object, "refresh_token")?,
        token_uri: url(object, "token_uri")?,
    })
}

fn external_account(object: &Map<String, Value>) -> Result<ExternalAccount, ContentError> {
    let Some(Value::Object(source)) = object.get("credential_source") else {
        return Err(ContentError::Member("credential_source"));
    };
    for unsupported in ["executable", "environment_id", "certificate"] {
        if source.contains_key(unsupported) {
            return Err(ContentError::Unsupported(unsupported));
        }
    }
    let subject = match (source.get("file"), url_anywhere(source, "url")?) {
        (Some(Value::String(file)), None) => SubjectSource::File(file.into()),
        (None, Some(url)) => SubjectSource::Url(url, headers(source)?),
        _ => return Err(ContentError::Member("credential_source")),
    };
    Ok(ExternalAccount {
        audience: text(object, "audience")?,
        subject_token_type: text(object, "subject_token_type")?,
        subject,
        format: subject_format(source)?,
        token_url: url(object, "token_url")?,
        impersonation: impersonation(object)?,
    })
}

fn impersonated_service_account(
    object: &Map<String, Value>,
) -> Result<ImpersonatedServiceAccount, ContentError> {
    let Some(Value::Object(source)) = object.get("source_credentials") else {
        return Err(ContentError::Member("source_credentials"));
    };
    let mut impersonation =
        impersonation(object)?.ok_or(ContentError::Member("service_account_impersonation_url"))?;
    impersonation.delegates = match object.get("delegates") {
        None | Some(Value::Null) => Vec::new(),
        Some(delegates) => delegates
            .as_array()
            .and_then(|delegates| {
                delegates.iter().map(|delegate| delegate.as_str().map(delegate_name)).collect()
            })
            .ok_or(ContentError::Member("delegates"))?,
    };
    Ok(ImpersonatedServiceAccount { source: Box::new(CredentialSource::direct(source)?), impersonation })
}

/// The resource name of a hop, which files give as an address or as that name.
fn delegate_name(delegate: &str) -> String {
    if delegate.contains('/') {
        delegate.to_owned()
    } else {
        format!("projects/-/serviceAccounts/{delegate}")
    }
}

/// Takes `https://HOST/v1/projects/-/serviceAccounts/EMAIL:generateAccessToken` apart: the same account's ID tokens are
/// asked for beside it.
fn impersonation(object: &Map<String, Value>) -> Result<Option<Impersonation>, ContentError> {
    const NAME: &str = "service_account_impersonation_url";
    let Some(mut url) = url(object, NAME)? else { return Ok(None) };
    let account = url
        .path()
        .strip_prefix("/v1/projects/-/serviceAccounts/")
        .and_then(|rest| rest.strip_suffix(":generateAccessToken"))
        .filter(|account| !account.is_empty() && !account.contains(['/', '%']))
        .map(str::to_owned);
    let service_account = account.ok_or(ContentError::Member(NAME))?;
    url.set_path("");
    Ok(Some(Impersonation { service_account, delegates: Vec::new(), base_url: Some(url) }))
}

fn subject_format(source: &Map<String, Value>) -> Result<SubjectFormat, ContentError> {
    const WRONG: ContentError = ContentError::Member("credential_source.format");
    let format = match source.get("format") {
        None => return Ok(SubjectFormat::Text),
        Some(format) => format.as_object().ok_or(WRONG)?,
    };
    match format.get("type").and_then(Value::as_str) {
        None | Some("text") => Ok(SubjectFormat::Text),
        Some("json") => text(format, "subject_token_field_name").map(SubjectFormat::Json),
        Some(_) => Err(WRONG),
    }
}

fn headers(source: &Map<String, Value>) -> Result<Vec<(String, String)>, ContentError> {
    const WRONG: ContentError = ContentError::Member("credential_source.headers");
    let Some(headers) = source.get("headers") else { return Ok(Vec::new()) };
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    headers.as_object().and_then(|headers| headers.iter().map(text).collect()).ok_or(WRONG)
}

fn text(object: &Map<String, Value>, name: &'static str) -> Result<String, ContentError> {
    match object.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(ContentError::Member(name)),
    }
}

/// An address that is sent secrets: `https`, or a loopback address for local parts.
fn url(object: &Map<String, Value>, name: &'static str) -> Result<Option<Url>, ContentError> {
    let url = url_anywhere(object, name)?;
    if url.as_ref().is_some_and(|url| url.scheme() != "https" && !is_loopback(url)) {
        return Err(ContentError::Member(name));
    }
    Ok(url)
}

fn url_anywhere(object: &Map<String, Value>, name: &'static str) -> Result<Option<Url>, ContentError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .map(Some)
            .ok_or(ContentError::Member(name)),
        Some(_) => Err(ContentError::Member(name)),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl PartialEq for ServiceAccountKey {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.signer.key_id() == other.signer.key_id()
            && self.email == other.email
            && self.token_uri == other.token_uri
    }
}

impl Eq for ServiceAccountKey {}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServiceAccountKey").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthorizedUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AuthorizedUser").finish_non_exhaustive()
    }
}

impl fmt::Debug for SubjectSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Url(..) => formatter.write_str("Url"),
        }
    }
}
