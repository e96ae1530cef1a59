//! The one thing to do next.

use firegate_core::identity::{Principal, User};
use firegate_core::reason::Code;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_files::configuration::{AcceptedToken, Configuration, Credential};
use firegate_files::iam_policy::Grant;
use firegate_files::members::Member;

use super::cloud_run::CloudRunAnswer;
use super::firegate_door::{DoorVerdict, FiregateAnswer};
use super::summary::TokenForm;

/// What the advice goes by.
pub(super) struct Situation<'a> {
    pub(super) form: TokenForm,
    pub(super) configuration: &'a Configuration,
    pub(super) configuration_file: Option<&'a str>,
    pub(super) snapshot: &'a Snapshot,
    pub(super) backend: Option<&'a Backend>,
    pub(super) principal: Option<&'a Principal>,
    pub(super) firegate: &'a FiregateAnswer,
    pub(super) cloud_run: Option<&'a CloudRunAnswer>,
}

impl Situation<'_> {
    /// The command that the advice speaks of.
    pub(super) fn command(&self) -> Option<String> {
        let backend = self.backend.filter(|backend| *backend.credential() != Credential::None)?;
        (self.firegate.verdict == DoorVerdict::Passes).then(|| self.serve(backend))
    }

    /// One sentence.
    pub(super) fn advice(&self) -> String {
        match self.firegate.verdict {
            DoorVerdict::Passes if self.firegate.code.is_none() => self.of_a_token_that_passes(),
            // Whether there is anything else to do is only known with what is missing.
            DoorVerdict::Depends => capitalised(self.firegate.hint.as_deref().unwrap_or_default()),
            DoorVerdict::Passes | DoorVerdict::Refused => self.of_a_refused_token(),
        }
    }

    fn of_a_token_that_passes(&self) -> String {
        let Some(backend) = self.backend else { return "There is nothing to do.".to_owned() };
        if *backend.credential() == Credential::None {
            return "There is nothing to do: send the request to Firegate.".to_owned();
        }
        let caller = match self.principal {
            Some(Principal::GoogleAccount(_)) => "the job that sends this token",
            Some(Principal::User(_)) | None => "the app (or the load balancer)",
        };
        let invoker = match backend.credential() {
            Credential::FederateUser { service_account, .. } => service_account.to_string(),
            _ => "Firegate's service account".to_owned(),
        };
        format!(
            "Keep the service private, run Firegate before it, and let {caller} call Firegate instead; on the service, \
             grant roles/run.invoker to {invoker} alone, not to allUsers."
        )
    }

    /// The command that runs the front door with this configuration.
    fn serve(&self, backend: &Backend) -> String {
        if let Some(file) = self.configuration_file {
            return format!("firegate serve --config {}", shell_word(file));
        }
        let project = &self.configuration.project;
        let url = backend.endpoint().url.origin().ascii_serialization();
        let member = |grant: &Grant| format!(" --allow {}", shell_word(&grant.member.to_string()));
        let allow = backend.bindings.grants().iter().map(member).collect::<String>();
        format!("firegate serve --project {project} --backend {url}{allow}")
    }

    fn of_a_refused_token(&self) -> String {
        let admits_in_part = self.cloud_run.is_some_and(|answer| answer.verdict == DoorVerdict::Depends);
        let advice = match self.form {
            TokenForm::GoogleIdToken if admits_in_part && self.is(Code::TokenIsGoogleIdToken) => {
                "This token is a machine's: send it to the service itself. Users of the app go through Firegate with \
                 the Firebase user's `getIdToken()`."
            }
            TokenForm::GoogleIdToken if self.is(Code::TokenExpired) => {
                "A Google ID token lives one hour: let the caller fetch a new one in time."
            }
            TokenForm::FiregateExchangedToken => return self.of_a_refused_exchanged_token(),
            TokenForm::FiregateAssertion => {
                "This is the assertion about the user that Firegate writes for the service, in `X-Firegate-Assertion`, and \
                 no token to call with: send the user's `getIdToken()`."
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
                "The token is not whole: copy all of it, three parts joined by two dots, about a thousand characters."
            }
            TokenForm::Several => {
                "This text holds a token more than once: send one of them alone, the result of `getIdToken()`; a form field or a \
                 variable was filled twice."
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

    /// What the catalogue says of most codes is for tokens of Firebase's or Google's.
    fn of_a_refused_exchanged_token(&self) -> String {
        let is_accepted = self.configuration.users.accept.contains(&AcceptedToken::ExchangedToken);
        if self.is(Code::TokenExpired) {
            return "An exchanged token lives five minutes at most: exchange the user's `getIdToken()` again.".to_owned();
        }
        if self.is(Code::TokenIssuerUnknown) {
            return "Another Firegate exchanged this token, for `assertion.issuer` is not its `iss`: send it there, or the \
                    user's `getIdToken()` here."
                .to_owned();
        }
        match self.backend {
            Some(backend) if self.is(Code::TokenWrongAudience) => format!(
                "An exchanged token is for one backend alone: exchange the user's `getIdToken()` for the audience {:?}.",
                backend.endpoint().audience
            ),
            Some(_) if self.is(Code::TokenIsFiregatesOwn) && is_accepted => {
                "With `credential: federate_user` Google has to know the issuer: send the user's own `getIdToken()`."
                    .to_owned()
            }
            _ => self.of_a_code(),
        }
    }

    fn of_a_code(&self) -> String {
        match self.principal {
            Some(Principal::User(user)) if self.is(Code::NoInvokerBinding) => self.binding_for(user),
            Some(Principal::GoogleAccount(account)) if self.is(Code::NoInvokerBinding) => format!(
                "Add `serviceAccount:{}` to the backend's `allow` for this caller; `allAuthenticatedUsers` does not name \
                 it.",
                account.email
            ),
            _ => capitalised(self.firegate.hint.as_deref().unwrap_or_default()),
        }
    }

    fn binding_for(&self, user: &User) -> String {
        let member = match (user.verified_email(), &user.tenant) {
            (Some(email), None) => format!("user:{email}"),
            _ => self.snapshot.directory.pool().principal(user),
        };
        let binding = format!(
            "Add `{member}` to the backend's `allow` for this user, or `allAuthenticatedUsers` for every \
             signed-in user."
        );
        if !self.is_named_but_not_verified(user) {
            return binding;
        }
        format!(
            "Let the user verify their address, by `sendEmailVerification(user)`, and get a token by `getIdToken(true)` \
             afterwards: a member names it, and counts for verified ones alone. Or: {binding}"
        )
    }

    /// Whether a member of the backend names the user's address, which is not verified.
    fn is_named_but_not_verified(&self, user: &User) -> bool {
        let (Some(email), None, None) = (&user.email, user.verified_email(), &user.tenant) else {
            return false;
        };
        let names = |grant: &Grant| match &grant.member {
            Member::User(address) => address.eq_ignore_ascii_case(email),
            Member::Domain(domain) => {
                email.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
            }
            _ => false,
        };
        self.backend.is_some_and(|backend| backend.bindings.grants().iter().any(names))
    }

    fn is(&self, code: Code) -> bool {
        self.firegate.code == Some(code.entry().name)
    }
}

/// The text as one word of a shell's command line.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The catalogue's half sentence as a whole one.
fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_word_as_it_was() {
        let check = |text: &str, expected: &str| assert_eq!(shell_word(text), expected, "{text}");
        check("allAuthenticatedUsers", "allAuthenticatedUsers");
        check("user:ada@example.com", "user:ada@example.com");
        check("", "''");
        check("a b", "'a b'");
        check("o'hara; rm *", r"'o'\''hara; rm *'");
    }
}
