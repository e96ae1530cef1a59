//! Whether requests must carry an App Check token.

use super::Checker;
use crate::configuration::model::AppCheck;
use crate::configuration::names::ProjectNumber;
use crate::configuration::source::{AppCheckFullSource, AppCheckSource, SwitchSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};

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
            let found = Diagnostic::error(code::USERS, "no app is let in")
                .hint("list the app IDs, or remove `apps` for every app of the project");
            self.report(&path.key("apps"), found);
            return None;
        }
        let Some(number) = number else {
            if !self.was_refused(&YamlPath::root().key("project_number")) {
                let found = Diagnostic::error(code::PROJECT_NUMBER, "App Check needs the `project_number`")
                    .hint(
                        "add `project_number: \"123456789012\"`; `gcloud projects describe PROJECT_ID \
                     --format='value(projectNumber)'` prints it",
                    );
                self.report(path, found);
            }
            return None;
        };
        Some(AppCheck::Required {
            project_number: number.clone(),
            apps: settings.apps,
            consume: settings.consume.unwrap_or(false),
        })
    }
}
