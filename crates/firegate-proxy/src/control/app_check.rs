//! The consuming of App Check tokens, under the settings of one configuration.

use std::sync::Arc;

use firegate_core::decision::Answer;
use firegate_files::configuration::Configuration;
use firegate_google::app_check::{AppCheckClient, ConsumeFault, Consumed};
use firegate_google::caller::Caller;
use firegate_google::outage::Outage;
use tokio::time::Instant;
use url::Url;

use super::ControlRuntime;

/// What is logged while tokens cannot be consumed.
const NOT_CONSUMED: &str = "App Check tokens could not be consumed, and their requests get 503; hint: let this process reach the App Check \
    endpoint, and its account have roles/firebaseappcheck.tokenVerifier on the project";

/// The client, and what it was made with.
#[derive(Debug)]
pub(super) struct AppCheck {
    settings: Settings,
    client: Arc<AppCheckClient>,
    told: Arc<Told>,
}

/// What the log says: each request has a line of its own beside it.
#[derive(Debug, Default)]
struct Told {
    outage: Outage,
    refusals: Outage,
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
        let told = former.map(|former| Arc::clone(&former.told)).unwrap_or_default();
        let client = match former.filter(|former| former.settings == settings) {
            Some(former) => Arc::clone(&former.client),
            None => {
                let Settings { project, url, caller } = &settings;
                let (url, project, caller) = (Some(url.clone()), project.clone(), caller.clone());
                Arc::new(AppCheckClient::new(control.http.clone(), url, project, caller))
            }
        };
        Self { settings, client, told }
    }

    /// Marks a token as used.
    pub(super) async fn consume(&self, token: &str) -> Answer {
        let Told { outage, refusals } = &*self.told;
        match self.client.consume(token).await {
            Ok(consumed) => {
                // A replay is known without a call.
                if consumed == Consumed::Now
                    && let Some(failures) = outage.worked()
                {
                    tracing::info!(failures, "App Check tokens can be consumed again");
                }
                Answer::AppCheckConsumed { already: consumed == Consumed::Before }
            }
            Err(ConsumeFault::Overloaded) => Answer::Overloaded,
            Err(fault) if fault.is_about_token() => {
                if let Some(times) = refusals.failed(Instant::now()) {
                    tracing::info!(%fault, times, "App Check tokens were refused where they are consumed");
                }
                Answer::AppCheckRefused
            }
            Err(fault) => {
                if let Some(failures) = outage.failed(Instant::now()) {
                    tracing::warn!(%fault, failures, "{NOT_CONSUMED}");
                }
                if fault.is_internal() { Answer::Failed } else { Answer::Unavailable }
            }
        }
    }
}
