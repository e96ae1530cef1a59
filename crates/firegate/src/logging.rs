//! Logs go to stderr, by a queue that nobody waits for: lines for a person, or JSON in the shape that Cloud Logging reads.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;

use firegate_core::time::SharedClock;
use firegate_files::diagnostic::{Diagnostics, Severity, Style};
use firegate_proxy::limits::LOG_FINISH_TIMEOUT;
use firegate_proxy::{LogForm, LogQueue, rfc_3339, threads};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::standard_error;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// JSON on Cloud Run, text elsewhere.
    Auto,
    /// One JSON object a line (<https://cloud.google.com/logging/docs/structured-logging>).
    Json,
    /// Text.
    Text,
}

impl LogFormat {
    /// The form of the lines.
    pub fn form(self, on_cloud_run: bool) -> LogForm {
        match self {
            Self::Json => LogForm::Json,
            Self::Auto if on_cloud_run => LogForm::Json,
            Self::Auto | Self::Text => LogForm::Text { coloured: is_coloured() },
        }
    }
}

/// The log of this process. What is queued is written when it is dropped, as far as that does not take long.
#[derive(Debug)]
pub struct Log {
    queue: LogQueue,
}

impl Log {
    /// Starts logging. Called once.
    ///
    /// # Errors
    /// If there can be no thread that writes.
    pub fn start(
        form: LogForm,
        filter: Option<&str>,
        default_filter: &str,
        clock: SharedClock,
    ) -> io::Result<Self> {
        let queue = LogQueue::start(io::stderr(), form, Arc::clone(&clock))?;
        let (given, not_understood) = match filter.map(|filter| (filter, parsed(filter))) {
            None => (None, None),
            Some((_, Ok(given))) => (Some(given), None),
            Some((filter, Err(why))) => (None, Some((filter, why))),
        };
        let filter = given.unwrap_or_else(|| EnvFilter::builder().parse_lossy(default_filter));
        let lines = Lines(queue.clone());
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || lines.clone());
        match form {
            LogForm::Json => builder.event_format(CloudLogging { clock }).init(),
            LogForm::Text { coloured } => builder.with_ansi(coloured).with_target(false).init(),
        }
        std::panic::set_hook(Box::new(|panic| {
            // The standard hook writes to stderr itself, and waits for whoever reads it.
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let what = panic.payload_as_str().unwrap_or("of no words");
            if threads::is_refusal(what) {
                tracing::error!(what, place, "the system gives no more threads; hint: {}", threads::HINT);
            } else {
                tracing::error!(
                    what,
                    place,
                    "a thread panicked, which is a mistake in this program; hint: report it"
                );
            }
        }));
        if let Some((filter, why)) = not_understood {
            tracing::error!(
                filter,
                "FIREGATE_LOG is not understood, and the log is as without it: {why}; hint: write a level (off, error, warn, info, \
                 debug, trace), or one for a part, as in info,firegate_proxy=debug"
            );
        }
        Ok(Self { queue })
    }

    /// Where lines go.
    pub fn queue(&self) -> &LogQueue {
        &self.queue
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.finish(LOG_FINISH_TIMEOUT);
    }
}

/// Reads a filter. By its syntax every word that is no level is the name of a part of the program; whoever writes `warning`
/// means none, and would have no line of all others.
///
/// # Errors
/// Why it means nothing.
fn parsed(filter: &str) -> Result<EnvFilter, String> {
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let is_part = |word: &str| word.starts_with("firegate") || word.contains(['=', '[', '{', ':']);
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    if let Some(word) = words.find(|word| !is_level(word) && !is_part(word)) {
        return Err(format!("{word:?} is no level"));
    }
    EnvFilter::builder().parse(filter).map_err(|error| error.to_string())
}

/// Takes whole lines, as `tracing-subscriber` writes them.
#[derive(Clone)]
struct Lines(LogQueue);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line.to_vec(), 1);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cloud Logging's own names for severity, time and message; every other field as it is.
struct CloudLogging {
    clock: SharedClock,
}

impl<S, N> FormatEvent<S, N> for CloudLogging
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let severity = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        let time = rfc_3339(self.clock.since_epoch());
        let mut fields = Fields(Map::from_iter([
            ("severity".to_owned(), json!(severity)),
            ("time".to_owned(), json!(time)),
        ]));
        event.record(&mut fields);
        fields.take_hint();
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

/// Whether stderr is a terminal whose user wants colours (<https://no-color.org>).
fn is_coloured() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// How findings look on stderr: with colours if that is a terminal that shows them.
pub fn finding_style() -> Style {
    if is_coloured() { Style::Coloured } else { Style::Plain }
}

/// Tells findings on stderr, with the lines of their files.
pub fn tell_findings(diagnostics: &Diagnostics) {
    standard_error::tell(&diagnostics.render(finding_style()));
}

/// Says what was found in the files before the door listens: with their lines for a person, and else as the log's lines are.
pub fn log_findings(diagnostics: &Diagnostics, log: &LogQueue) {
    let bytes = match log.form() {
        LogForm::Json => finding_lines(diagnostics, log.clock()),
        LogForm::Text { coloured: true } => diagnostics.render(Style::Coloured).into_bytes(),
        LogForm::Text { coloured: false } => diagnostics.render(Style::Plain).into_bytes(),
    };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    log.append(bytes, lines);
}

/// Findings as lines of JSON in the log's layout, one for each, with the members that `firegate check --output json` has.
fn finding_lines(diagnostics: &Diagnostics, clock: &SharedClock) -> Vec<u8> {
    let mut lines = String::new();
    for found in diagnostics.iter() {
        let severity = match found.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Note => "INFO",
        };
        let mut line = Map::from_iter([
            ("severity".to_owned(), json!(severity)),
            ("time".to_owned(), json!(rfc_3339(clock.since_epoch()))),
            ("message".to_owned(), json!(found.message)),
            ("code".to_owned(), json!(found.code)),
        ]);
        let path = (!found.path.is_empty()).then(|| json!(found.path));
        let place = found.place.as_ref().map(|place| json!(place));
        let hint = found.hint.as_ref().map(|hint| json!(hint));
        let given = [("path", path), ("place", place), ("hint", hint)];
        line.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{}", Value::Object(line));
    }
    lines.into_bytes()
}

struct Fields(Map<String, Value>);

impl Fields {
    /// What to do is a member of its own in every line, as in those about requests.
    fn take_hint(&mut self) {
        let Some(Value::String(message)) = self.0.get("message") else { return };
        let parts = HINTS.into_iter().find_map(|mark| message.split_once(mark));
        let Some((message, hint)) = parts.map(|(message, hint)| (json!(message), json!(hint))) else {
            return;
        };
        self.0.insert("message".to_owned(), message);
        self.0.insert("hint".to_owned(), hint);
    }
}

/// Before what an operator can do: in a line of text, and in the texts of errors.
const HINTS: [&str; 2] = ["; hint: ", "\nhint: "];

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), Value::String(text));
    }
}
