//! The arguments of `firegate dev`, and which of them contradict each other.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::bail;
use firegate_files::configuration::{NameError, ProjectId, is_loopback};
use url::Url;

use super::DevContext;

/// The arguments of `firegate dev`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        firegate dev\n  \
        firegate dev --service http://localhost:3000\n  \
        firegate dev -c firegate.yaml --map api=http://localhost:3000\n\n\
        Exit codes: 0 after Ctrl-C; 2 if a part cannot start, or ends by itself; 130 if it was interrupted twice.")]
pub struct DevArguments {
    /// The front door's port.
    #[arg(long, value_name = "PORT", default_value_t = 9080)]
    pub port: u16,
    /// The port of Cloud Run's front, behind which the private service is.
    #[arg(long, value_name = "PORT", default_value_t = 9081)]
    pub service_port: u16,
    /// The port of the Google parts: metadata server, OAuth, STS, IAM Credentials.
    #[arg(long, value_name = "PORT", default_value_t = 9082)]
    pub google_port: u16,
    /// The identity server's port.
    #[arg(long, value_name = "PORT", default_value_t = 9099)]
    pub identity_port: u16,
    /// The Firebase project's ID.
    #[arg(long, default_value = "demo-firegate", value_parser = project)]
    pub project: String,
    /// Your own backend, which is put behind the local Cloud Run front instead of the sample.
    #[arg(long, value_name = "URL", value_parser = server)]
    pub service: Option<Url>,
    /// A Firebase Auth emulator that already runs, instead of the identity server.
    #[arg(long, value_name = "URL", value_parser = server, conflicts_with_all = ["identity_port", "token_signing"])]
    pub identity: Option<Url>,
    /// A real configuration, run against the local parts.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["project", "service"])]
    pub config: Option<PathBuf>,
    /// Which local server stands behind a backend of that configuration: `api=http://localhost:3000`. May be repeated.
    #[arg(long, value_name = "BACKEND=URL", requires = "config")]
    pub map: Vec<Mapping>,
    /// A name that the front door answers to beside this machine's own and the hosts that the configuration's URL map names in
    /// full. Name none that a stranger could own. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<HostName>,
    /// Also listen for the local network, so that a phone reaches the front door and the identity server.
    #[arg(long)]
    pub lan: bool,
    /// Keep accounts and keys in this directory. Without it nothing outlives the process.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// How the identity server signs: `none` makes the unsigned tokens of the Firebase Auth emulator.
    #[arg(long, value_enum, default_value_t = Signing::Rs256)]
    pub token_signing: Signing,
    /// How the local Cloud Run behaves: `allUsers`, `ingress=internal`, `use-http2` (for gRPC), or where reports about the real
    /// one disagree: `missing-invoker=401`, `wrong-audience=403`, `foreign-issuer=403`, `public-token=refuse`,
    /// `trailing-slash=forgive`. May be repeated.
    #[arg(long, value_name = "SETTING")]
    pub cloud_run: Vec<CloudRunSetting>,
    /// Write all addresses to this file, as JSON, once everything answers.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// A project's ID, refused where it is given.
fn project(text: &str) -> Result<String, String> {
    let project = text.parse::<ProjectId>();
    project
        .map(|project| project.to_string())
        .map_err(|NameError { message, hint }| format!("{message}; {hint}"))
}

/// A server's URL. `127.0.0.1:9099`, as the variables of Firebase's emulators have it, is none.
fn server(text: &str) -> Result<Url, String> {
    text.parse::<Url>().map_err(|error| match format!("http://{text}").parse::<Url>() {
        Ok(meant) if is_local_server(&meant) => format!("it has no scheme; did you mean http://{text}?"),
        _ => format!("{error}; write for example http://localhost:3000"),
    })
}

/// How ID tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Signing {
    /// Not at all.
    None,
    /// As Google signs them.
    Rs256,
}

/// A backend and the local server that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The backend's name.
    pub backend: String,
    /// The local server.
    pub url: Url,
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is no mapping; write for example api=http://localhost:3000");
        let (backend, url) = text.split_once('=').ok_or_else(form)?;
        let url = url.parse::<Url>().ok().filter(is_local_server).ok_or_else(form)?;
        Ok(Self { backend: backend.to_owned(), url })
    }
}

/// The name of a host, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(pub(super) String);

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(is_plain)
        };
        if text.split('.').all(is_label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!(
                "{text:?} is no host's name; write it in full and without a port, for example api.example.com"
            ))
        }
    }
}

/// A setting of the local Cloud Run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudRunSetting {
    /// The service is public: `allUsers` has `roles/run.invoker`.
    AllUsers,
    /// A token of another issuer is answered 403.
    ForeignIssuerForbidden,
    /// The service admits internal traffic only, which nothing here is: 404.
    IngressInternal,
    /// A valid token without the role is answered 401.
    MissingInvokerUnauthorized,
    /// A bad token on a public service is refused instead of passed on.
    PublicTokenRefused,
    /// A slash at the end of the audience is forgiven.
    TrailingSlashForgiven,
    /// The service is spoken to in HTTP/2 without TLS, as `gcloud run deploy --use-http2` makes it: for gRPC.
    UseHttp2,
    /// A token for another audience is answered 403.
    WrongAudienceForbidden,
}

impl FromStr for CloudRunSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "allUsers" => Self::AllUsers,
            "foreign-issuer=403" => Self::ForeignIssuerForbidden,
            "ingress=internal" => Self::IngressInternal,
            "missing-invoker=401" => Self::MissingInvokerUnauthorized,
            "public-token=refuse" => Self::PublicTokenRefused,
            "trailing-slash=forgive" => Self::TrailingSlashForgiven,
            "use-http2" => Self::UseHttp2,
            "wrong-audience=403" => Self::WrongAudienceForbidden,
            _ => {
                return Err(format!(
                    "{text:?} is no setting of the local Cloud Run; see `firegate dev --help`"
                ));
            }
        })
    }
}

impl Default for DevArguments {
    /// Free ports and the sample service: what a test starts from.
    fn default() -> Self {
        Self {
            port: 0,
            service_port: 0,
            google_port: 0,
            identity_port: 0,
            project: "demo-firegate".to_owned(),
            service: None,
            identity: None,
            config: None,
            map: Vec::new(),
            host: Vec::new(),
            lan: false,
            data: None,
            token_signing: Signing::Rs256,
            cloud_run: Vec::new(),
            ready_file: None,
        }
    }
}

impl DevArguments {
    /// Whether unsigned tokens count.
    pub(super) fn trusts_emulator(&self) -> bool {
        self.identity.is_some() || self.token_signing == Signing::None
    }

    /// Refuses what would let somebody else's word count, or let anybody from outside have it counted.
    pub(super) fn check(&self, context: &DevContext) -> anyhow::Result<()> {
        if let Some(identity) = &self.identity {
            check_local("--identity", identity, ", and its unsigned tokens would be believed")?;
        }
        if let Some(service) = &self.service {
            check_local("--service", service, "; `firegate serve` is for services elsewhere")?;
        }
        self.check_mappings()?;
        if !self.trusts_emulator() {
            return Ok(());
        }
        if self.lan {
            bail!(
                "--lan would let the whole network in with unsigned tokens, which anyone can write\n\
                 hint: leave out --token-signing none and --identity"
            );
        }
        if context.has_application_credentials {
            bail!(
                "unsigned tokens are not believed beside real application credentials\nhint: unset \
                 GOOGLE_APPLICATION_CREDENTIALS, or leave out --token-signing none and --identity"
            );
        }
        Ok(())
    }

    /// Refuses a second server for the same backend, which would never be asked.
    fn check_mappings(&self) -> anyhow::Result<()> {
        for (index, Mapping { backend, url }) in self.map.iter().enumerate() {
            let mut before = self.map.iter().take(index);
            if let Some(first) = before.find(|first| first.backend == *backend) {
                bail!(
                    "--map {backend}={} and --map {backend}={}: one server alone can stand behind a backend\n\
                     hint: leave out one of them",
                    without_slash(&first.url),
                    without_slash(url)
                );
            }
        }
        Ok(())
    }
}

/// A server's address as people write it.
fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Whether the URL is that of a server on this machine and no more: it is spoken to without TLS, and each request brings a
/// path of its own.
fn is_local_server(url: &Url) -> bool {
    url.scheme() == "http"
        && is_loopback(url)
        && url.as_str() == format!("{}/", url.origin().ascii_serialization())
}

/// Refuses the URL of a server that is elsewhere, or of which more would be left out than it says.
fn check_local(flag: &str, url: &Url, elsewhere: &str) -> anyhow::Result<()> {
    // `localhost:3000` is a URL, whose scheme is `localhost`.
    if !url.has_host() {
        let meant = format!("http://{url}").parse::<Url>().ok().filter(is_local_server);
        let hint = match meant {
            Some(_) => format!("did you mean {flag} http://{url}?"),
            None => format!("write for example {flag} http://localhost:3000"),
        };
        bail!("{flag} {url} has no scheme\nhint: {hint}");
    }
    if !is_loopback(url) {
        bail!("{flag} {url} is not on this machine{elsewhere}");
    }
    if !is_local_server(url) {
        bail!(
            "{flag} {url} is more than the address of a server that speaks HTTP without TLS\n\
             hint: write http, host and port alone, for example {flag} http://localhost:3000"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_not_taken_for_one_elsewhere() {
        for (text, hint) in [
            ("localhost:9099", "did you mean --identity http://localhost:9099?"),
            ("localhost:9099/x", "write for example --identity http://localhost:3000"),
            ("mailto:a", "write for example --identity http://localhost:3000"),
        ] {
            let error = check_local("--identity", &text.parse().unwrap(), "").unwrap_err().to_string();
            assert_eq!(error, format!("--identity {text} has no scheme\nhint: {hint}"));
        }
    }

    #[test]
    fn what_is_no_url_is_told_with_the_one_that_was_meant() {
        let check = |text: &str, expected: &str| assert_eq!(server(text).unwrap_err(), expected, "{text}");
        check("127.0.0.1:9099", "it has no scheme; did you mean http://127.0.0.1:9099?");
        check("[::1]:9099", "it has no scheme; did you mean http://[::1]:9099?");
        check("10.0.0.5:9099", "relative URL without a base; write for example http://localhost:3000");
        assert_eq!(server("http://127.0.0.1:9099").unwrap().port(), Some(9099));
        let refused = project("My_Project").unwrap_err();
        assert!(refused.starts_with("`My_Project` is not a project ID; a project ID has"), "{refused}");
    }

    #[test]
    fn a_local_server_is_named_by_its_address_alone() {
        let check = |text: &str, expected: bool| {
            let url = text.parse().unwrap();
            assert_eq!(check_local("--service", &url, "").is_ok(), expected, "{text}");
            assert_eq!(format!("api={text}").parse::<Mapping>().is_ok(), expected, "{text}");
        };
        check("http://localhost:3000", true);
        check("http://127.0.0.1:3000/", true);
        check("http://[::1]:3000", true);
        check("http://localhost", true);
        check("https://localhost:3000", false);
        check("ftp://localhost:3000", false);
        check("http://localhost:3000/base", false);
        check("http://localhost:3000/?a=1", false);
        check("http://ada:secret@localhost:3000", false);
        check("http://192.168.1.5:3000", false);
    }
}
