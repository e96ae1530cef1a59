//! The consuming of App Check tokens, under the settings of one configuration.

use std::sync::Arc;

use firegate_files::configuration::Configuration;
use firegate_google::app_check::AppCheckClient;
use firegate_google::caller::Caller;
use url::Url;

use super::ControlRuntime;

/// The client, and what it was made with.
#[derive(Debug)]
pub(super) struct AppCheck {
    settings: Settings,
    client: Arc<AppCheckClient>,
}

#[derive(Debug, PartialEq, Eq)]
struct Settings {
    project: String,
    url: Url,
    caller: Caller,
}

impl AppCheck {
    /// A client; the one of `former`, which remembers the tokens that are spent, if it would be the same.
    pub(super) fn new(
        control: &ControlRuntime,
        configuration: &Configuration,
        caller: Caller,
        former: Option<&Self>,
    ) -> Self {
        let (project, url) = (configuration.project.to_string(), configuration.google.app_check.clone());
        let settings = Settings { project, url, caller };
        let client = match former.filter(|former| former.settings == settings) {
            Some(former) => Arc::clone(&former.client),
            None => {
                let Settings { project, url, caller } = &settings;
                let (url, project, caller) = (Some(url.clone()), project.clone(), caller.clone());
                Arc::new(AppCheckClient::new(control.http.clone(), url, project, caller))
            }
        };
        Self { settings, client }
    }

    pub(super) fn client(&self) -> &AppCheckClient {
        &self.client
    }
}
