//! Whether requests must carry an App Check token.

use super::Checker;
use crate::configuration::model::AppCheck;
use crate::configuration::names::ProjectNumber;
use crate::configuration::source::{AppCheckFullSource, AppCheckSource, SwitchSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::suggestion::quoted;

impl Checker<'_> {
    /// What `app_check` at `path` says: of `users`, or of one backend.
    pub(super) fn app_check(
        &mut self,
        path: &YamlPath,
        app_check: Option<AppCheckSource>,
        number: Option<&ProjectNumber>,
    ) -> Option<AppCheck> {
        let settings = match app_check {
            None | Some(AppCheckSource::Word(SwitchSource::Off)) => return Some(AppCheck::Off),
            Some(AppCheckSource::Word(SwitchSource::Required)) => {
                AppCheckFullSource { apps: None, consume: None }
            }
            Some(AppCheckSource::Full(full)) => full,
        };
        if settings.apps.as_ref().is_some_and(Vec::is_empty) {
            let found = Diagnostic::error(code::APP_CHECK, "no app is let in")
                .hint("list the app IDs, or remove `apps` for every app of the project");
            self.report(&path.key("apps"), found);
            return None;
        }
        let Some(number) = number else {
            // A number that did not pass was already reported.
            let path_of_number = YamlPath::root().key("project_number");
            if !self.was_refused(&path_of_number) && !self.stands_at(&path_of_number) {
                let found = Diagnostic::error(code::PROJECT_NUMBER, "App Check needs the `project_number`")
                    .hint(
                        "add `project_number: \"123456789012\"`; `gcloud projects describe PROJECT_ID \
                     --format='value(projectNumber)'` prints it",
                    );
                self.report(path, found);
            }
            return None;
        };
        let apps = settings.apps.as_deref().unwrap_or_default();
        self.apps(&path.key("apps"), apps, number)?;
        Some(AppCheck::Required {
            project_number: number.clone(),
            apps: settings.apps,
            consume: settings.consume.unwrap_or(false),
        })
    }

    /// App IDs are compared exactly with the token's `sub`. They begin with a version, always 1 so far, and the number of
    /// the project that the app belongs to.
    fn apps(&mut self, path: &YamlPath, apps: &[String], number: &ProjectNumber) -> Option<()> {
        let mut valid = Some(());
        for (index, app) in apps.iter().enumerate() {
            let mut parts = app.split(':').skip(1);
            let found = if app.is_empty() || app.chars().any(|c| c.is_control() || c.is_whitespace()) {
                valid = None;
                Diagnostic::error(code::APP_CHECK, "an app ID is a text without white space")
                    .hint(format!("write for example `1:{number}:web:0123456789abcdef`"))
            } else if parts.next().is_none_or(|of| of != number.as_str()) {
                let message = format!("{} is not the ID of an app of the project {number}", quoted(app));
                Diagnostic::warning(code::APP_CHECK, message).hint(format!(
                    "copy the App ID from the project settings in the Firebase console: `1:{number}:web:…`"
                ))
            } else {
                continue;
            };
            self.report(&path.index(index), found);
        }
        valid
    }
}
