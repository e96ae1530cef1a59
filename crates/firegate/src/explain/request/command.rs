//! The command line of `firegate explain` for a whole request.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use firegate_core::time::UnixTime;
use firegate_files::configuration::Configuration;
use firegate_files::decision_cases::DecisionCase;
use firegate_files::diagnostic::Diagnostics;
use firegate_files::yaml::{self, Document};

use crate::cases::{CaseFile, CaseFileError, Issuer};
use crate::named_files::{called, read_text};
use crate::standard_error;

use super::super::keys::{self, FetchedKeys, KeySource};
use super::super::limits::REQUEST_BYTES_MAX;
use super::super::pasted;
use super::{GivenRequest, RequestExplanation, RequestFlags, RequestInput, explain_request, tokens_of};

/// The client of a request that names none: an address for documentation (RFC 5737).
const ADDRESS_ASSUMED: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// The arguments about a whole request.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(group(clap::ArgGroup::new("asked").args(["request", "url"])))]
pub struct RequestArguments {
    /// Explain a whole request, whose head is in this file as it travels, or as `curl -v` shows it; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub request: Option<PathBuf>,
    /// The decision case of this name: the file for `--request` is then one of those that `firegate test` runs.
    #[arg(long, value_name = "NAME", requires = "request", conflicts_with_all = ["address", "at", "token"])]
    pub case: Option<String>,
    /// Explain a whole request for this URL.
    #[arg(long, conflicts_with = "path")]
    pub url: Option<String>,
    /// The method of the request for `--url`; without it GET.
    #[arg(long, requires = "url")]
    pub method: Option<String>,
    /// A header field of the request for `--url`, as 'Name: value'; may be repeated.
    #[arg(long, value_name = "FIELD", requires = "url")]
    pub header: Vec<String>,
    /// Whom the request comes from: the client, or what stands before the door and names the client in X-Forwarded-For.
    #[arg(long, value_name = "IP", requires = "asked")]
    pub address: Option<IpAddr>,
    /// When the token or the request comes, for example 2027-01-15T08:00:00Z; without it now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<UnixTime>,
    /// Explain for a front door on Cloud Run, where nobody but Cloud Run's own front reaches it.
    #[arg(long, requires = "asked")]
    pub on_cloud_run: bool,
}

fn time(text: &str) -> Result<UnixTime, String> {
    UnixTime::parse(text).ok_or_else(|| "write for example 2027-01-15T08:00:00Z".to_owned())
}

impl RequestArguments {
    /// Whether a whole request is asked about, and not a token alone.
    pub(in crate::explain) fn are_given(&self) -> bool {
        self.request.is_some() || self.url.is_some()
    }

    /// Reads the request, with the user's token that was given beside it.
    ///
    /// # Errors
    /// If it cannot be read, or describes no request.
    pub(in crate::explain) fn read(&self, token: Option<&str>) -> anyhow::Result<GivenRequest> {
        let hint =
            "hint: firegate explain -c firegate.yaml --url https://api.example.com/orders --token TOKEN";
        let given = match (&self.request, &self.url) {
            (Some(file), _) => {
                let text = read(file)?;
                if text.trim_ascii().is_empty() {
                    bail!(
                        "the request {} is empty\n\nhint: it holds the request's head, as it travels or as `curl -v` shows it",
                        file.display()
                    );
                }
                if text.trim_ascii_start().starts_with(b"curl ") {
                    bail!(
                        "{} holds a command and no request\n\nhint: run it as `curl -v`, and give what that shows; or write --url URL \
                         --header 'Name: value'",
                        called(file)
                    );
                }
                GivenRequest::from_text(&text)
            }
            (None, Some(url)) => {
                let method = self.method.as_deref().unwrap_or("GET");
                let flags = RequestFlags { method, url, headers: &self.header };
                GivenRequest::from_flags(&flags).map_err(|why| anyhow!("{why}\n\n{hint}"))?
            }
            (None, None) => bail!("there is no request\n\n{hint}"),
        };
        match token.map(|text| pasted::unwrap(text).token) {
            Some(token) => given.with_token(&token).map_err(|why| anyhow!("{why}\n\n{hint}")),
            None => Ok(given),
        }
    }

    /// Explains the request, with the keys of its tokens, which are fetched.
    ///
    /// # Errors
    /// If the database of regions cannot be opened.
    pub(in crate::explain) async fn explain(
        &self,
        given: &GivenRequest,
        configuration: &Configuration,
        file: Option<&Path>,
        id_token_keys: Option<KeySource>,
        mut assumptions: Vec<String>,
        now: UnixTime,
    ) -> anyhow::Result<RequestExplanation> {
        if self.address.is_none() {
            assumptions.push(format!(
                "no --address was given: explained as though the request came from {ADDRESS_ASSUMED}, an address for documentation"
            ));
        }
        let document = file.and_then(document);
        let no_keys = firegate_core::identity::KeyRing::default();
        let mut input = RequestInput {
            given,
            peer: self.address.unwrap_or(ADDRESS_ASSUMED),
            peer_is_client: false,
            configuration,
            document: document.as_ref(),
            geography: firegate_proxy::open_geography(configuration)?,
            on_cloud_run: self.on_cloud_run,
            keys: &no_keys,
            keys_problem: None,
            assumptions,
            now: self.at.unwrap_or(now),
        };
        let (token, app_token) = tokens_of(&input);
        let mut fetched = match &token {
            Some(token) => keys::obtain(token, configuration, id_token_keys).await,
            None => FetchedKeys::default(),
        };
        if app_token.is_some() {
            fetched.obtain_of_app_check(configuration).await;
        }
        input.keys = &fetched.ring;
        input.keys_problem = fetched.problem.clone();
        Ok(explain_request(input))
    }
}

/// Explains a decision case, with the token of its user, which is signed for it.
///
/// # Errors
/// If there is no such case, or its files cannot be read or do not check.
pub(in crate::explain) fn explain_case(
    file: &Path,
    name: &str,
    configuration: Option<&Path>,
    now: UnixTime,
) -> Result<RequestExplanation, CaseError> {
    let issuer = Issuer::generate()?;
    let file = CaseFile::read(file, configuration)?;
    let case = file.cases.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| {
        let names = file.cases.iter().map(|case| format!("  {}", case.name)).collect::<Vec<_>>().join("\n");
        anyhow!("{} has no case with the name {name:?}\n\nhint: it has these:\n{names}", file.name)
    })?;
    Ok(explain_decision_case(&file, case, &issuer, now)?)
}

/// Explains a decision case. `now` is the time of one that names none.
///
/// # Errors
/// If its token cannot be signed, or the database of regions cannot be opened.
pub fn explain_decision_case(
    file: &CaseFile,
    case: &DecisionCase,
    issuer: &Issuer,
    now: UnixTime,
) -> anyhow::Result<RequestExplanation> {
    let arrival = &case.arrival;
    let now = arrival.at_seconds.map_or(now, UnixTime::from_seconds);
    let headers = arrival.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
    let url = arrival.target.url();
    let flags = RequestFlags { method: &arrival.method, url: &url, headers: &headers };
    let mut given = GivenRequest::from_flags(&flags).map_err(|why| anyhow!(why))?;
    if let Some(user) = &arrival.user {
        let token = issuer.id_token(user, file.configuration.project.as_str(), now)?;
        given = given.with_token(&token).map_err(|why| anyhow!(why))?;
    }
    let mut assumptions = vec![format!("the case stands in {}:{}", file.name, case.line)];
    if !case.before.is_empty() || arrival.repeat > 1 {
        assumptions.push(
            "the requests before it, and its repetition, are not played: nothing is counted here".to_owned(),
        );
    }
    Ok(explain_request(RequestInput {
        given: &given,
        peer: arrival.client,
        peer_is_client: true,
        configuration: &file.configuration,
        document: file.document.as_ref(),
        geography: firegate_proxy::open_geography(&file.configuration)?,
        on_cloud_run: false,
        keys: &issuer.key_ring()?,
        keys_problem: None,
        assumptions,
        now,
    }))
}

/// Why a case cannot be explained.
#[derive(Debug, thiserror::Error)]
pub(in crate::explain) enum CaseError {
    /// Its files.
    #[error(transparent)]
    File(#[from] CaseFileError),
    /// Something else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// The request's file, or standard input.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let bytes_max = REQUEST_BYTES_MAX as u64;
    if file == Path::new("-") {
        if std::io::stdin().is_terminal() {
            standard_error::tell("Paste the head of the request, and end it with Ctrl-D:\n");
        }
        std::io::stdin()
            .lock()
            .take(bytes_max)
            .read_to_end(&mut text)
            .context("standard input cannot be read")?;
    } else {
        let opened = File::open(file).and_then(|open| open.take(bytes_max).read_to_end(&mut text));
        opened.with_context(|| format!("the request {} cannot be read", file.display()))?;
    }
    Ok(text)
}

/// The configuration as a tree, for the places of its keys.
pub(in crate::explain) fn document(file: &Path) -> Option<Document> {
    let text = read_text(file).ok()?;
    yaml::parse(&file.display().to_string(), &text, &mut Diagnostics::new())
}
