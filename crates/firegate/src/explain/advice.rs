//! The one thing to do next.

use firegate_core::identity::User;
use firegate_core::reason::Code;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_files::configuration::{Configuration, Credential};
use firegate_files::members::Member;

use super::cloud_run::CloudRunAnswer;
use super::firegate_door::{DoorVerdict, FiregateAnswer};
use super::summary::TokenForm;

/// What the advice goes by.
pub(super) struct Situation<'a> {
    pub(super) form: TokenForm,
    pub(super) configuration: &'a Configuration,
    pub(super) snapshot: &'a Snapshot,
    pub(super) backend: Option<&'a Backend>,
    pub(super) user: Option<&'a User>,
    pub(super) firegate: &'a FiregateAnswer,
    pub(super) cloud_run: Option<&'a CloudRunAnswer>,
}

impl Situation<'_> {
    /// One sentence.
    pub(super) fn advice(&self) -> String {
        match self.firegate.verdict {
            DoorVerdict::Passes | DoorVerdict::Depends => self.of_a_token_that_passes(),
            DoorVerdict::Refused => self.of_a_refused_token(),
        }
    }

    fn of_a_token_that_passes(&self) -> String {
        let Some(backend) = self.backend else { return "There is nothing to do.".to_owned() };
        if *backend.credential() == Credential::None {
            return match self.firegate.verdict {
                DoorVerdict::Depends => capitalised(self.firegate.hint.as_deref().unwrap_or_default()),
                DoorVerdict::Passes | DoorVerdict::Refused => {
                    "There is nothing to do: send the request to Firegate.".to_owned()
                }
            };
        }
        format!(
            "Keep the service private and send the app's requests (or the load balancer's) to Firegate instead: \
             `{}`; on the service, grant roles/run.invoker to Firegate's service account alone, not to allUsers.",
            self.serve(backend)
        )
    }

    /// The command that runs the front door with this configuration.
    fn serve(&self, backend: &Backend) -> String {
        let project = &self.configuration.project;
        if self.configuration.backends.len() > 1 || self.configuration.users.accept.len() > 1 {
            return "firegate serve -c firegate.yaml".to_owned();
        }
        let quoted = |member: &Member| match member {
            Member::AllUsers | Member::AllAuthenticatedUsers => format!(" --allow {member}"),
            member => format!(" --allow '{member}'"),
        };
        let allow = backend.members().iter().map(quoted).collect::<String>();
        let url = backend.endpoint().url.origin().ascii_serialization();
        format!("firegate serve --project {project} --backend {url}{allow}")
    }

    fn of_a_refused_token(&self) -> String {
        let admits_in_part = self.cloud_run.is_some_and(|answer| answer.verdict == DoorVerdict::Depends);
        let advice = match self.form {
            TokenForm::GoogleIdToken if admits_in_part => {
                "This token is a machine's: send it to the service itself. Users of the app go through Firegate with \
                 the Firebase user's `getIdToken()`."
            }
            TokenForm::GoogleAccessToken => {
                "This is a Google access token, which neither door takes: send the result of the Firebase SDK's \
                 `getIdToken()`, to Firegate."
            }
            TokenForm::ApiKey => {
                "This is an API key: it says which project calls, not who. Sign a user in with it and send the \
                 user's `getIdToken()`."
            }
            TokenForm::Cut => {
                "The token is not whole: copy all of it, three parts between two dots, about a thousand characters."
            }
            TokenForm::SignatureRemoved => {
                "This token was copied inside a Cloud Run service, where its signature is already taken off: take it \
                 in the app, from `getIdToken()`."
            }
            TokenForm::Encrypted => {
                "This is an encrypted token (JWE), which Firebase never issues: send the result of `getIdToken()`."
            }
            TokenForm::UnsignedFirebaseToken => {
                "The app is connected to an Auth emulator: for local work put `firegate dev` behind it; for \
                 production take `connectAuthEmulator` out of the app's build."
            }
            _ => return self.of_a_code(),
        };
        advice.to_owned()
    }

    fn of_a_code(&self) -> String {
        if let (Some(user), true) =
            (self.user, self.firegate.code == Some(Code::NoInvokerBinding.entry().name))
        {
            let principal = self.snapshot.identity_pool.principal(user);
            return format!(
                "Add `{principal}` to the backend's `allow` for this user, or `allAuthenticatedUsers` for every \
                 signed-in user."
            );
        }
        capitalised(self.firegate.hint.as_deref().unwrap_or_default())
    }
}

/// The catalogue's half sentence as a whole one.
fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}
