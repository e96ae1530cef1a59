//! Names and identifiers that are checked once and then trusted: each type can only hold what it says.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::limits::BACKEND_NAME_CHARACTERS_MAX;
use crate::members::{Pool, is_email};
use crate::suggestion::quoted;

/// Why a text is not the name it should be: what is wrong, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NameError {
    /// What is wrong, in lower case.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl NameError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// What to do about a variable that a shell or a template was to fill in.
pub(super) const NO_VARIABLES: &str = "a configuration has no variables: write the value itself, or fill them in before, for example with `envsubst`";

/// Reads an address to listen on.
///
/// # Errors
/// If it is not an address with a port.
pub fn listen_address(text: &str) -> Result<SocketAddr, NameError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let hint = match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        Ok(port) => format!("did you mean `0.0.0.0:{port}`, or `127.0.0.1:{port}` for this machine alone?"),
        Err(_) => match (text.strip_prefix("localhost:"), text.parse()) {
            (Some(port), _) => format!("did you mean `127.0.0.1:{port}`?"),
            (None, Ok(IpAddr::V4(address))) => format!("add the port, for example `{address}:8080`"),
            (None, Ok(IpAddr::V6(address))) => format!("add the port, for example `[{address}]:8080`"),
            (None, Err(_)) => {
                "write an address and a port, for example `0.0.0.0:8080` or `[::]:8080`".to_owned()
            }
        },
    };
    Err(NameError::new(format!("{} is not an address to listen on", quoted(text)), hint))
}

macro_rules! text_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Display for $name {
            fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_types! {
    /// The ID of a Google Cloud project: 6 to 30 lower-case letters, digits and hyphens that begin with a letter and
    /// do not end with a hyphen; old ones have a domain before (`example.com:my-project`).
    /// <https://cloud.google.com/resource-manager/docs/creating-managing-projects>
    ProjectId;

    /// The number of a Google Cloud project, decimal digits.
    ProjectNumber;

    /// The name of a backend: letters, digits, `-` and `_`.
    BackendName;

    /// The e-mail address of a Google service account.
    ServiceAccountEmail;

    /// The full resource name of a workload identity provider,
    /// `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    WorkloadIdentityProvider;

    /// The ID of an Identity Platform tenant.
    TenantId;

    /// A web origin as browsers send it: scheme, host and, unless it is the scheme's own, port.
    Origin;
}

impl FromStr for ProjectId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NameError::new(
                format!("{} is a project number, and the project ID is needed", quoted(text)),
                format!(
                    "`gcloud projects describe {text} --format='value(projectId)'` prints it; the number goes to `project_number`"
                ),
            ));
        }
        let id = text.rsplit_once(':').map_or(text, |(_, id)| id);
        let domain = text.rsplit_once(':').map(|(domain, _)| domain);
        let valid = (6..=30).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && !id.ends_with('-')
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && domain.is_none_or(|domain| domain.contains('.') && domain.chars().all(is_host_character));
        if valid {
            return Ok(Self(text.to_owned()));
        }
        if text.contains(['$', '{']) {
            return Err(NameError::new(format!("{} holds a variable", quoted(text)), NO_VARIABLES));
        }
        Err(NameError::new(
            format!("{} is not a project ID", quoted(text)),
            "a project ID has 6 to 30 lower-case letters, digits and hyphens and begins with a letter, for example `my-project`",
        ))
    }
}

impl FromStr for ProjectNumber {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::new(
            format!("{} is not a project number", quoted(text)),
            "a project number has digits only; `gcloud projects describe PROJECT_ID --format='value(projectNumber)'` prints it",
        ))
    }
}

impl BackendName {
    /// The name of a backend of this name whose requests name a service, and perhaps a tag of it. No other backend has a dot.
    pub(crate) fn of_service(&self, service: &str, tag: Option<&str>) -> Self {
        let tag = tag.map(|tag| format!(".{tag}")).unwrap_or_default();
        Self(format!("{self}.{service}{tag}"))
    }
}

impl FromStr for BackendName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = (1..=BACKEND_NAME_CHARACTERS_MAX).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if valid {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::new(
            format!("{} is not a name for a backend", quoted(text)),
            format!("use letters, digits, `-` and `_`, at most {BACKEND_NAME_CHARACTERS_MAX}"),
        ))
    }
}

impl FromStr for ServiceAccountEmail {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = !text.contains('/') && !text.contains(':');
        if is_email(text) && plain && text.ends_with(".gserviceaccount.com") {
            return Ok(Self(text.to_owned()));
        }
        let hint = match text.split_once(':') {
            Some(("serviceAccount", address)) => format!("write the address alone: `{address}`"),
            _ => "write for example `caller@my-project.iam.gserviceaccount.com`".to_owned(),
        };
        Err(NameError::new(format!("{} is not the e-mail address of a service account", quoted(text)), hint))
    }
}

impl FromStr for WorkloadIdentityProvider {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const PREFIX: &str = "//iam.googleapis.com/";
        let expected = "write `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`";
        let wrong = |hint: &str| {
            NameError::new(format!("{} is not a workload identity provider", quoted(text)), hint)
        };
        let Some(name) = text.strip_prefix(PREFIX) else {
            let name = text.trim_start_matches("https:").trim_start_matches(PREFIX);
            return Err(match name.starts_with("projects/") {
                true => wrong(&format!("did you mean `{PREFIX}{name}`?")),
                false => wrong(expected),
            });
        };
        let parts: Vec<&str> = name.split('/').collect();
        let ["projects", number, "locations", "global", "workloadIdentityPools", pool, "providers", provider] =
            parts.as_slice()
        else {
            return Err(wrong(expected));
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("name the project by its number, not by its ID"));
        }
        if number.is_empty() || !is_pool_name(pool) || !is_pool_name(provider) {
            return Err(wrong(expected));
        }
        Ok(Self(text.to_owned()))
    }
}

impl WorkloadIdentityProvider {
    /// The pool the provider belongs to.
    pub fn pool(&self) -> Pool {
        let part = |index: usize| self.0.split('/').nth(index).unwrap_or_default().to_owned();
        Pool { project_number: part(4), name: part(8) }
    }
}

impl FromStr for TenantId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = (1..=128).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if valid && !matches!(text, "none" | "any") {
            return Ok(Self(text.to_owned()));
        }
        let hint = match text {
            "none" | "any" => format!("write `tenants: {text}` without a list"),
            _ => "a tenant ID looks like `customer-a-x1y2z`".to_owned(),
        };
        Err(NameError::new(format!("{} is not a tenant ID", quoted(text)), hint))
    }
}

impl FromStr for Origin {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |hint: String| NameError::new(format!("{} is not an origin", quoted(text)), hint);
        if text.eq_ignore_ascii_case("null") {
            return Err(NameError::new(
                "the origin `null` cannot be allowed",
                "sandboxed pages of any site send it; list the origins of your pages",
            ));
        }
        let example = "write scheme and host, for example `https://app.example.com`";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong(example.to_owned()));
        };
        let scheme_valid = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '.' | '-'));
        if rest.contains('*') {
            return Err(wrong("origins are compared exactly: list each one, without `*`".to_owned()));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        if authority.len() < rest.len() {
            return Err(wrong(format!("an origin has no path; write `{scheme}://{authority}`")));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host_valid = !host.is_empty()
            && (host.chars().all(is_host_character)
                || (host.starts_with('[')
                    && host.ends_with(']')
                    && host.chars().all(|c| c.is_ascii_hexdigit() || "[:.]".contains(c))));
        let port_valid =
            port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
        if !scheme_valid || !host_valid || !port_valid {
            let lower = text.to_ascii_lowercase();
            let hint = if lower != text {
                format!("browsers send lower case; did you mean `{lower}`?")
            } else {
                example.to_owned()
            };
            return Err(wrong(hint));
        }
        if matches!((scheme, port), ("https", Some("443")) | ("http", Some("80"))) {
            return Err(wrong(format!(
                "browsers leave out the scheme's own port; write `{scheme}://{host}`"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether `text` can be the ID of a workload identity pool or provider: 4 to 32 characters of `[a-z0-9-]`.
/// <https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools/create>
pub(super) fn is_pool_name(text: &str) -> bool {
    (4..=32).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with("gcp-")
}

fn is_host_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = NameError> + AsRef<str>>(text: &str, expected: Result<(), &str>) {
        match (text.parse::<T>(), expected) {
            (Ok(name), Ok(())) => assert_eq!(name.as_ref(), text),
            (Err(error), Err(part)) => {
                let full = format!("{error}; {}", error.hint);
                assert!(full.contains(part), "{text}: {full}");
            }
            (Ok(_), Err(_)) => panic!("{text} was accepted"),
            (Err(error), Ok(())) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn project_ids() {
        check::<ProjectId>("my-project", Ok(()));
        check::<ProjectId>("demo-firegate", Ok(()));
        check::<ProjectId>("example.com:my-project", Ok(()));
        check::<ProjectId>("123456789012", Err("is a project number, and the project ID is needed"));
        check::<ProjectId>("My-Project", Err("is not a project ID"));
        check::<ProjectId>("short", Err("6 to 30"));
        check::<ProjectId>("my-project-", Err("is not a project ID"));
        check::<ProjectId>("", Err("is not a project ID"));
        check::<ProjectId>("https://my-project", Err("is not a project ID"));
    }

    #[test]
    fn project_numbers() {
        check::<ProjectNumber>("123456789012", Ok(()));
        check::<ProjectNumber>("my-project", Err("is not a project number"));
        check::<ProjectNumber>("", Err("is not a project number"));
    }

    #[test]
    fn backend_names() {
        check::<BackendName>("api", Ok(()));
        check::<BackendName>("Api_2-b", Ok(()));
        check::<BackendName>("", Err("is not a name"));
        check::<BackendName>("a.b", Err("letters, digits"));
        check::<BackendName>(&"a".repeat(64), Err("at most 63"));
    }

    #[test]
    fn service_accounts() {
        check::<ServiceAccountEmail>("caller@my-project.iam.gserviceaccount.com", Ok(()));
        check::<ServiceAccountEmail>("123-compute@developer.gserviceaccount.com", Ok(()));
        check::<ServiceAccountEmail>(
            "eve@example.com",
            Err("is not the e-mail address of a service account"),
        );
        check::<ServiceAccountEmail>(
            "serviceAccount:a@p.iam.gserviceaccount.com",
            Err("is not the e-mail address"),
        );
        check::<ServiceAccountEmail>("../a@p.iam.gserviceaccount.com", Err("is not the e-mail address"));
    }

    #[test]
    fn workload_identity_providers() {
        let name = "projects/123/locations/global/workloadIdentityPools/firebase/providers/users";
        let full = format!("//iam.googleapis.com/{name}");
        check::<WorkloadIdentityProvider>(&full, Ok(()));
        check::<WorkloadIdentityProvider>(name, Err("did you mean `//iam.googleapis.com/projects/123/"));
        check::<WorkloadIdentityProvider>(
            &format!("https:{full}"),
            Err("did you mean `//iam.googleapis.com/projects/123/"),
        );
        check::<WorkloadIdentityProvider>(&full.replace("123", "my-project"), Err("by its number"));
        check::<WorkloadIdentityProvider>(&full.replace("/providers/users", ""), Err("/providers/PROVIDER"));
        check::<WorkloadIdentityProvider>("", Err("is not a workload identity provider"));
        let provider: WorkloadIdentityProvider = full.parse().unwrap();
        assert_eq!(provider.pool(), Pool { project_number: "123".into(), name: "firebase".into() });
    }

    #[test]
    fn tenants() {
        check::<TenantId>("tenant-a", Ok(()));
        check::<TenantId>("any", Err("without a list"));
        check::<TenantId>("a/b", Err("is not a tenant ID"));
    }

    #[test]
    fn origins() {
        check::<Origin>("https://app.example.com", Ok(()));
        check::<Origin>("http://localhost:8081", Ok(()));
        check::<Origin>("http://[::1]:8081", Ok(()));
        check::<Origin>("capacitor://localhost", Ok(()));
        check::<Origin>("null", Err("cannot be allowed"));
        check::<Origin>("https://app.example.com/", Err("write `https://app.example.com`"));
        check::<Origin>("https://app.example.com:443", Err("write `https://app.example.com`"));
        check::<Origin>("https://App.example.com", Err("did you mean `https://app.example.com`?"));
        check::<Origin>("https://*.example.com", Err("list each one"));
        check::<Origin>("app.example.com", Err("scheme and host"));
        check::<Origin>("https://", Err("scheme and host"));
        check::<Origin>("https://user@example.com", Err("scheme and host"));
        check::<Origin>("https://example.com:99999", Err("scheme and host"));
        check::<Origin>("https://example.com:080", Err("scheme and host"));
    }
}
