//! Whether requests must carry an App Check token.

use super::{Checker, Whole};
use crate::configuration::model::AppCheck;
use crate::configuration::names::ProjectNumber;
use crate::configuration::source::{AppCheckFullSource, AppCheckSource, SwitchSource};
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::suggestion::quoted;
use crate::yaml::Part;

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

    /// What `app_check` of one backend says. It replaces the setting of `users` as a whole, and what it leaves out of that is
    /// lost.
    pub(super) fn own_app_check(
        &mut self,
        path: &YamlPath,
        own: AppCheckSource,
        whole: Whole<'_>,
    ) -> Option<AppCheck> {
        if let (AppCheckSource::Full(own), Some(AppCheck::Required { apps, consume, .. })) =
            (&own, whole.app_check)
        {
            if own.apps.is_none() && apps.is_some() && !self.was_refused(&path.key("apps")) {
                let message =
                    "every app of the project is let in: this replaces `users.app_check` with its `apps`";
                let found = Diagnostic::warning(code::APP_CHECK, message)
                    .hint("list the `apps` here too, unless all of them are meant");
                self.report_part(path, Part::Key, found);
            }
            if own.consume.is_none() && *consume && !self.was_refused(&path.key("consume")) {
                let message =
                    "a token is good more than once: this replaces `users.app_check` with its `consume`";
                let found = Diagnostic::warning(code::APP_CHECK, message)
                    .hint("write `consume: true` here too, or `consume: false` if that is meant");
                self.report_part(path, Part::Key, found);
            }
        }
        self.app_check(path, Some(own), whole.project_number)
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
