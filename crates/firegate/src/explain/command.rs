//! The command line of `firegate explain`.

use std::io::{IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use firegate_core::identity::TokenKind;
use firegate_core::jose::CompactJws;
use firegate_core::time::SharedClock;
use firegate_files::configuration::{self, Configuration};
use firegate_files::diagnostic::Diagnostics;
use firegate_proxy::ReloadError;

use crate::cases::CaseFileError;
use crate::logging::finding_style;
use crate::named_files::{DiskFiles, called, read_text};
use crate::printable::json;
use crate::{standard_error, standard_output};

use super::keys::{self, KeySource};
use super::limits::TOKEN_TEXT_BYTES_MAX;
use super::request::{
    CaseError, RequestArguments, RequestExplanation, document, explain_case, render_request_text,
};
use super::simulate::{render_simulation_text, simulate};
use super::{DoorVerdict, ExplainInput, explain, pasted, render_text};

/// Whom flags without `--allow` let in, for the sake of the explanation.
const MEMBER_ASSUMED: &str = "allAuthenticatedUsers";

/// Which service a token alone is explained for, if nobody says.
const BACKEND_ASSUMED: &str = "https://your-service-abc123-uc.a.run.app";

/// Which project a token is explained for that names none. No such token is one of a project's users.
const PROJECT_ASSUMED: &str = "your-project";

/// How the IDs of projects begin that are those of emulators (<https://firebase.google.com/docs/emulator-suite/connect_auth>).
const LOCAL_PROJECT_PREFIX: &str = "demo-";

/// Where `firegate dev` publishes its keys, unless another port is chosen.
const LOCAL_KEYS: &str =
    "http://127.0.0.1:9099/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";

/// The arguments of `firegate explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        firegate explain    # and paste the token\n  \
                        firegate explain -c firegate.yaml --url https://api.example.com/orders/7 --token -\n  \
                        firegate explain -c firegate.yaml --simulate requests.json\n\n\
                        Exit codes: 0 if Firegate lets the request pass; 1 if it does not, or if that cannot be said \
                        because the signature could not be checked; 2 for bad input. Of a log: 1 if a request would be \
                        answered otherwise, 2 if it holds none.")]
pub struct ExplainArguments {
    /// The token. Without it, or with `-`, it is read from standard input and stays out of the shell's history. A whole
    /// request has it in its Authorization, and needs none.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The front door's configuration.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["project", "backend", "allow"])]
    pub config: Option<PathBuf>,
    /// The Firebase project's ID. Without it, the one that the token names.
    #[arg(long)]
    pub project: Option<String>,
    /// The service's URL, for example https://api-abc123-uc.a.run.app.
    #[arg(long, value_name = "URL")]
    pub backend: Option<String>,
    /// Who may call it; may be repeated. Without it, every signed-in user of the project.
    #[arg(long, value_name = "MEMBER")]
    pub allow: Vec<String>,
    /// The path that is asked for.
    #[arg(long, default_value = "/")]
    pub path: String,
    /// Where the keys of ID tokens are, instead of the configuration's endpoint: for `firegate dev`, or offline.
    #[arg(long, value_name = "URL_OR_FILE")]
    pub id_token_keys: Option<String>,
    /// The form of the output.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Say which requests of a log would be answered otherwise: entries of Google's load balancers as
    /// `gcloud logging read --order=asc --format=json` writes them, or Firegate's own lines; `-` is standard input.
    #[arg(long, value_name = "LOG", requires = "config", conflicts_with_all = ["token", "path", "request", "url", "address", "at"])]
    pub simulate: Option<PathBuf>,
    /// A whole request.
    #[command(flatten)]
    pub request: RequestArguments,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For a person.
    Text,
    /// One JSON object.
    Json,
}

/// How the command ended, apart from errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainOutcome {
    /// Firegate lets the request pass, or answers those of a log alike: exit code 0.
    Passes,
    /// It does not, or that cannot be said because the signature could not be checked: exit code 1.
    Refused,
    /// The configuration is not usable, and its problems are on standard error: exit code 2, as of every error.
    BadInput,
}

impl From<ExplainOutcome> for ExitCode {
    fn from(outcome: ExplainOutcome) -> Self {
        Self::from(match outcome {
            ExplainOutcome::Passes => 0,
            ExplainOutcome::Refused => 1,
            ExplainOutcome::BadInput => 2,
        })
    }
}

/// Runs the command on a runtime of its own, with the explanation on standard output.
///
/// # Errors
/// If there is no token, no configuration, or nowhere to write.
pub fn run_blocking(arguments: ExplainArguments, clock: SharedClock) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stdout = std::io::stdout();
    let colours = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    let outcome = runtime.block_on(run(arguments, clock, &mut stdout.lock(), colours))?;
    Ok(outcome.into())
}

/// Runs the command.
///
/// # Errors
/// If there is no token, no configuration, or `out` cannot be written to.
pub async fn run(
    arguments: ExplainArguments,
    clock: SharedClock,
    out: &mut dyn Write,
    colours: bool,
) -> anyhow::Result<ExplainOutcome> {
    if let Some(log) = &arguments.simulate {
        return run_simulation(&arguments, log, &clock, out, colours);
    }
    if arguments.request.are_given() {
        return run_request(arguments, clock, out, colours).await;
    }
    let text = token(arguments.token.as_deref())?;
    let token = pasted::unwrap(&text).token;
    if token.is_empty() {
        bail!("there is no token\n\nhint: paste the result of getIdToken(), or give it with --token");
    }
    let mut assumptions = Vec::new();
    let configuration = match load(&arguments, &token, &mut assumptions)? {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(bad_input(&diagnostics)),
    };
    let source = named_keys(arguments.id_token_keys.as_deref())?;
    if source.is_none() && configuration.project.as_str().starts_with(LOCAL_PROJECT_PREFIX) {
        assumptions.push(format!(
            "a project whose ID begins with `{LOCAL_PROJECT_PREFIX}` is a local one: for a token of `firegate dev` add \
             --id-token-keys {LOCAL_KEYS}"
        ));
    }
    let fetched = keys::obtain(&token, &configuration, source).await;
    let file = arguments.config.as_ref().map(|file| file.display().to_string());
    let explanation = explain(ExplainInput {
        token: &text,
        configuration: &configuration,
        configuration_file: file.as_deref(),
        path: &arguments.path,
        keys: &fetched.ring,
        keys_problem: fetched.problem,
        assumptions,
        now: arguments.request.at.unwrap_or_else(|| clock.now()),
    });
    let text = match arguments.output {
        OutputFormat::Text => render_text(&explanation, colours),
        OutputFormat::Json => json(&explanation)?,
    };
    standard_output::write_to(out, &text)?;
    Ok(if explanation.passes() { ExplainOutcome::Passes } else { ExplainOutcome::Refused })
}

/// Explains a whole request.
async fn run_request(
    arguments: ExplainArguments,
    clock: SharedClock,
    out: &mut dyn Write,
    colours: bool,
) -> anyhow::Result<ExplainOutcome> {
    if let (Some(file), Some(name)) = (&arguments.request.request, &arguments.request.case) {
        return match explain_case(file, name, arguments.config.as_deref(), clock.now()) {
            Ok(explanation) => write_request(&explanation, arguments.output, out, colours),
            Err(CaseError::File(CaseFileError::Check(diagnostics))) => Ok(bad_input(&diagnostics)),
            Err(CaseError::File(error)) => Err(error.into()),
            Err(CaseError::Other(error)) => Err(error),
        };
    }
    let text = arguments.token.as_deref().map(|flag| token(Some(flag))).transpose()?;
    let given = arguments.request.read(text.as_deref())?;
    let mut assumptions = Vec::new();
    let token = text.as_deref().map(|text| pasted::unwrap(text).token).unwrap_or_default();
    let configuration = match load(&arguments, &token, &mut assumptions)? {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(bad_input(&diagnostics)),
    };
    let source = named_keys(arguments.id_token_keys.as_deref())?;
    let file = arguments.config.as_deref();
    let explained = arguments.request.explain(&given, &configuration, file, source, assumptions, clock.now());
    write_request(&explained.await?, arguments.output, out, colours)
}

fn write_request(
    explanation: &RequestExplanation,
    output: OutputFormat,
    out: &mut dyn Write,
    colours: bool,
) -> anyhow::Result<ExplainOutcome> {
    let text = match output {
        OutputFormat::Text => render_request_text(explanation, colours),
        OutputFormat::Json => json(explanation)?,
    };
    standard_output::write_to(out, &text)?;
    Ok(match explanation.answer.verdict {
        DoorVerdict::Passes => ExplainOutcome::Passes,
        DoorVerdict::Depends | DoorVerdict::Refused => ExplainOutcome::Refused,
    })
}

/// Plays a log to the configuration.
fn run_simulation(
    arguments: &ExplainArguments,
    log: &Path,
    clock: &SharedClock,
    out: &mut dyn Write,
    colours: bool,
) -> anyhow::Result<ExplainOutcome> {
    let configuration = match load(arguments, "", &mut Vec::new())? {
        Ok(configuration) => configuration,
        Err(diagnostics) => return Ok(bad_input(&diagnostics)),
    };
    let document = arguments.config.as_deref().and_then(document);
    let simulation = simulate(log, &configuration, document.as_ref(), clock)?;
    let text = match arguments.output {
        OutputFormat::Text => {
            let configuration = arguments.config.as_deref().unwrap_or(Path::new("the configuration"));
            render_simulation_text(&simulation, &called(log), &configuration.display().to_string(), colours)
        }
        OutputFormat::Json => json(&simulation)?,
    };
    standard_output::write_to(out, &text)?;
    if simulation.requests == 0 {
        // Nothing that was compared is no proof that nothing changes.
        bail!(
            "no request could be read from {}\n\nhint: of Firegate's own log the lines of --log-format json are read, and of \
             Google's load balancers the entries that `gcloud logging read --order=asc --format=json` writes",
            called(log)
        );
    }
    Ok(if simulation.changed == 0 { ExplainOutcome::Passes } else { ExplainOutcome::Refused })
}

fn bad_input(diagnostics: &Diagnostics) -> ExplainOutcome {
    standard_error::tell(&format!("{}\n", diagnostics.render(finding_style())));
    ExplainOutcome::BadInput
}

/// The keys that were named. A file that holds none is bad input; of an endpoint, the explanation says that it does not answer.
fn named_keys(flag: Option<&str>) -> anyhow::Result<Option<KeySource>> {
    let named = flag.map(KeySource::parse).transpose();
    named.map_err(|why| {
        anyhow!(
            "{why}\n\nhint: --id-token-keys is a file or the URL of the issuer's keys, as a JWK set or as certificates in JSON"
        )
    })
}

/// The token as it was given: by the flag, or on standard input.
fn token(flag: Option<&str>) -> anyhow::Result<String> {
    if let Some(token) = flag.filter(|token| *token != "-") {
        return Ok(token.to_owned());
    }
    let stdin = std::io::stdin();
    let mut text = String::new();
    if stdin.is_terminal() {
        standard_error::tell("Paste the token and press Enter:\n");
        stdin.read_line(&mut text).context("standard input cannot be read")?;
    } else {
        let bytes_max = TOKEN_TEXT_BYTES_MAX as u64;
        stdin.lock().take(bytes_max).read_to_string(&mut text).context("standard input is no text")?;
    }
    Ok(text)
}

/// Reads the configuration from the file or from the flags.
fn load(
    arguments: &ExplainArguments,
    token: &str,
    assumptions: &mut Vec<String>,
) -> anyhow::Result<Result<Configuration, Diagnostics>> {
    if let Some(file) = &arguments.config {
        let name = file.display().to_string();
        return match read_text(file) {
            Ok(text) => Ok(configuration::parse_with_files(&name, &text, &DiskFiles::default())),
            Err(ReloadError::Check(found)) => Ok(Err(found)),
            Err(error) => Err(error.into()),
        };
    }
    let backend = match &arguments.backend {
        Some(backend) => backend,
        None if arguments.request.are_given() => bail!(
            "there is no configuration, which says where a request goes\n\nhint: firegate explain -c firegate.yaml --url \
             https://api.example.com/orders\nhint: or name one service: --backend https://api-abc123-uc.a.run.app"
        ),
        None => {
            assumptions.push(format!("no --backend was given: {BACKEND_ASSUMED} stands for your service"));
            BACKEND_ASSUMED
        }
    };
    let project = match (&arguments.project, project_of(token)) {
        (Some(project), _) => project.clone(),
        (None, Some(project)) => {
            assumptions.push(format!(
                "no --project was given: {project:?} is taken from the token, so that the project is not really checked"
            ));
            project
        }
        (None, None) => {
            assumptions.push(format!(
                "no --project was given, and this text names none: {PROJECT_ASSUMED:?} stands for yours"
            ));
            PROJECT_ASSUMED.to_owned()
        }
    };
    let mut allow = arguments.allow.clone();
    if allow.is_empty() {
        allow.push(MEMBER_ASSUMED.to_owned());
        assumptions.push(format!(
            "no --allow was given: explained as though it were {MEMBER_ASSUMED}, which for Firegate means every \
             signed-in user of the Firebase project"
        ));
    }
    Ok(Configuration::minimal(&project, backend, &allow))
}

/// The project that a Firebase token says it is of.
fn project_of(token: &str) -> Option<String> {
    let jws = CompactJws::parse(token).ok()?;
    let issuer = jws.payload_text("iss")?;
    let project = |kind: TokenKind| issuer.strip_prefix(kind.firebase_issuer_prefix()?).map(str::to_owned);
    TokenKind::FIREBASE.into_iter().find_map(project)
}
