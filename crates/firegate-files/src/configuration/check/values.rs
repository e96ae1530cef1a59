//! The values that many parts of a configuration have: names, files, durations, sizes, audiences.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use firegate_expr::Dialect;

use super::Checker;
use crate::configuration::model::PolicyFile;
use crate::configuration::named_files::unreadable_hint;
use crate::configuration::names::NameError;
use crate::configuration::quantity;
use crate::configuration::source::{
    AssumeSource, DialectSource, DurationSource, FileFullSource, FileSource, SizeSource,
};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::AUDIENCE_BYTES_MAX;
use crate::suggestion::quoted;
use crate::text::is_contents;

impl Checker<'_> {
    /// A file of Google's, and what is said of it beside its name.
    pub(super) fn policy_file(&mut self, path: &YamlPath, file: FileSource) -> Option<PolicyFile> {
        let file = match file {
            FileSource::Name(name) => FileFullSource { file: Some(name), dialect: None, assume: None },
            FileSource::Full(full) => full,
        };
        let name = self.file_name(&path.key("file"), file.file.map(|name| name.0))?;
        let text = self.read_file(path, &name)?;
        Some(PolicyFile {
            file: name,
            text,
            dialect: match file.dialect {
                None | Some(DialectSource::Gcloud) => Dialect::Gcloud,
                Some(DialectSource::Firegate) => Dialect::Firegate,
            },
            assume_evaluated_upstream: matches!(file.assume, Some(AssumeSource::EvaluatedUpstream)),
        })
    }

    /// The text of a file that the value at `path` names.
    pub(super) fn read_file(&mut self, path: &YamlPath, name: &Path) -> Option<Arc<str>> {
        match self.files.read(name) {
            Ok(text) => Some(text.into()),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", quoted(&name.display().to_string()));
                let is_of_google = name.extension().is_none() || name.to_string_lossy().contains("://");
                let hint = match unreadable_hint(&error) {
                    Some(hint) if is_of_google && error.kind() == io::ErrorKind::NotFound => Some(format!(
                        "name a file, as `gcloud … export` writes it of what has this name; {hint}"
                    )),
                    hint => hint.map(str::to_owned),
                };
                self.report(path, Diagnostic::error(code::FILE_UNREADABLE, message).hint_if(hint));
                None
            }
        }
    }

    /// The name of a file that must be given.
    pub(super) fn file_name(&mut self, path: &YamlPath, name: Option<String>) -> Option<PathBuf> {
        match name {
            Some(text) if is_contents(&text) => {
                let message = "this is what a file holds, and the name of the file belongs here";
                let hint = "write it into a file, and the file's name here; if it is a private key that others could read, make a new one";
                self.report(path, Diagnostic::error(code::FILE_UNREADABLE, message).hint(hint).conceal());
                None
            }
            Some(name) if !name.is_empty() => Some(PathBuf::from(name)),
            Some(_) => {
                self.report(path, Diagnostic::error(code::EMPTY_VALUE, "the name of the file is empty"));
                None
            }
            None => {
                let message = format!("`{path}` is not given");
                self.missing(
                    path,
                    Diagnostic::error(code::MISSING_KEY, message).hint("add the name of the file"),
                );
                None
            }
        }
    }

    pub(super) fn name<T: FromStr<Err = NameError>>(
        &mut self,
        path: &YamlPath,
        code: &'static str,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(NameError { message, hint }) => {
                self.report(path, Diagnostic::error(code, message).hint(hint));
                None
            }
        }
    }

    /// A duration within `range`, or `default`.
    pub(super) fn duration(
        &mut self,
        path: &YamlPath,
        text: Option<DurationSource>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(DurationSource(text)) = text else { return Some(default) };
        let found = match quantity::duration(&text) {
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) => {
                let message = format!("{} is out of range", quoted(&text));
                let (start, end) = (quantity::written(*range.start()), quantity::written(*range.end()));
                let hint = format!("from {start} to {end}");
                Diagnostic::error(code::QUANTITY, message).hint(hint)
            }
            Err(error) => {
                Diagnostic::error(code::QUANTITY, format!("{} is not a duration: {error}", quoted(&text)))
                    .hint("write for example `300ms`, `5s`, `1m` or `1h`")
            }
        };
        self.report(path, found);
        None
    }

    /// A size in bytes within `range`, or `default`.
    pub(super) fn size(
        &mut self,
        path: &YamlPath,
        size: Option<SizeSource>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let (bytes, text) = match size {
            None => return Some(default),
            Some(SizeSource::Bytes(bytes)) => (Ok(bytes), bytes.to_string()),
            Some(SizeSource::Text(text)) => (quantity::size(&text), text),
        };
        let found = match bytes {
            Ok(bytes) if range.contains(&bytes) => return Some(bytes),
            Ok(_) => Diagnostic::error(code::QUANTITY, format!("{} is out of range", quoted(&text))).hint(
                format!("from {} to {} bytes; there is no way to say unlimited", range.start(), range.end()),
            ),
            Err(error) => {
                Diagnostic::error(code::QUANTITY, format!("{} is not a size: {error}", quoted(&text)))
                    .hint("write for example `512KiB`, `32MiB`, `1GiB`, or a number of bytes")
            }
        };
        self.report(path, found);
        None
    }
}

/// Whether a text can be the audience of a token: Google takes any, but what has white space is a mistake.
pub(super) fn is_audience(text: &str) -> bool {
    let unprintable = text.chars().any(|c| c.is_control() || c.is_whitespace());
    !text.is_empty() && text.len() <= AUDIENCE_BYTES_MAX && !unprintable
}

/// What to do about a text that is no audience.
pub(super) fn audience_hint(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    match bare.len() {
        0 => "write one, or remove this".to_owned(),
        1..=AUDIENCE_BYTES_MAX => format!("write {}", quoted(&bare)),
        _ => format!("write one of {AUDIENCE_BYTES_MAX} bytes at most"),
    }
}
