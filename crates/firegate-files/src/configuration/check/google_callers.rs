//! Google ID tokens of service accounts: what they may be for, and whom they let in.

use std::collections::BTreeMap;

use super::values::{audience_hint, is_audience};
use super::{Checker, Given};
use crate::configuration::model::{AcceptedToken, Access, Backend, Users};
use crate::configuration::names::BackendName;
use crate::diagnostic::{Diagnostic, YamlPath, code};
use crate::limits::GOOGLE_AUDIENCES_MAX;
use crate::members::Member;
use crate::suggestion::quoted;
use crate::yaml::{Part, Value};

impl Checker<'_> {
    /// The audiences of Google ID tokens. There are any if, and only if, such tokens are accepted. `accept` is absent if
    /// it did not pass.
    pub(super) fn google_audiences(
        &mut self,
        path: &YamlPath,
        given: Option<Vec<String>>,
        accept: Option<&[AcceptedToken]>,
    ) -> Option<Vec<String>> {
        let accepts = accept?.contains(&AcceptedToken::GoogleIdToken);
        let hint = "add the audience that the callers are told to ask for, for example the public URL of this front door: \
                    `google_audiences: [\"https://api.example.com\"]`";
        let audiences = match given {
            None if !accepts => return Some(Vec::new()),
            None => {
                let message = "`google_id_token` needs `google_audiences`: without them a token for any service would do";
                if !self.was_refused(path) {
                    let place = self.accept_path("google_id_token");
                    self.report(&place, Diagnostic::error(code::GOOGLE_AUDIENCES, message).hint(hint));
                }
                return None;
            }
            Some(_) if !accepts => {
                let message = "`google_audiences` does nothing: `users.accept` has no `google_id_token`";
                let found = Diagnostic::error(code::GOOGLE_AUDIENCES, message)
                    .hint("add `google_id_token` to `users.accept`, or remove `google_audiences`");
                self.report_part(path, Part::Key, found);
                return None;
            }
            Some(audiences) => audiences,
        };
        if audiences.is_empty() {
            let found = Diagnostic::error(code::GOOGLE_AUDIENCES, "the list of Google audiences is empty");
            self.report(path, found.hint(hint));
            return None;
        }
        if audiences.len() > GOOGLE_AUDIENCES_MAX {
            let message =
                format!("there are {} Google audiences, the most is {GOOGLE_AUDIENCES_MAX}", audiences.len());
            let found = Diagnostic::error(code::TOO_LARGE, message)
                .hint("keep one audience, and let every caller of this front door ask for that");
            self.report_part(path, Part::Key, found);
            return None;
        }
        self.each_google_audience(path, &audiences).then_some(audiences)
    }

    fn each_google_audience(&mut self, path: &YamlPath, audiences: &[String]) -> bool {
        let mut valid = true;
        for (index, audience) in audiences.iter().enumerate() {
            let found = if !is_audience(audience) {
                let message = "an audience is a text without white space, for example the public URL of this front door";
                Diagnostic::error(code::GOOGLE_AUDIENCES, message).hint(audience_hint(audience))
            } else if audiences.iter().take(index).any(|before| before == audience) {
                Diagnostic::error(code::GOOGLE_AUDIENCES, format!("{} is listed twice", quoted(audience)))
                    .hint("remove one of them")
            } else {
                continue;
            };
            self.report(&path.index(index), found);
            valid = false;
        }
        valid
    }

    /// Warns where Google ID tokens would let in whom nobody meant, or nobody at all: that is known of all backends together.
    pub(super) fn google_callers(
        &mut self,
        backends: Option<&BTreeMap<BackendName, Backend>>,
        is_whole: bool,
        users: Option<&Users>,
    ) {
        let (Some(backends), Some(users)) = (backends, users) else { return };
        if !users.accept.contains(&AcceptedToken::GoogleIdToken) {
            return;
        }
        for (index, audience) in users.google_audiences.iter().enumerate() {
            let shares =
                |backend: &Backend| backend.endpoints().any(|endpoint| endpoint.audience == *audience);
            let Some((name, _)) = backends.iter().find(|(_, backend)| shares(backend)) else { continue };
            let message = format!(
                "{} is the audience of the backend `{name}` too: a Google ID token that this service received could be \
                 replayed here",
                quoted(audience)
            );
            let found = Diagnostic::warning(code::GOOGLE_AUDIENCE_SHARED, message).hint(
                "let callers of this front door ask for an audience of its own, for example its public URL",
            );
            self.report(&YamlPath::root().key("users").key("google_audiences").index(index), found);
        }
        let may_name_one = |backend: &Backend| match &backend.access {
            Access::Members(members) => {
                members.iter().any(|member| matches!(member, Member::ServiceAccount(_)))
            }
            Access::Policy { grants, .. } => {
                grants.iter().any(|grant| matches!(grant.member, Member::ServiceAccount(_)))
            }
        };
        if is_whole && !backends.values().any(may_name_one) {
            let message = "`google_id_token` is accepted, and no member names a service account: nobody could pass by it";
            let found = Diagnostic::warning(code::GOOGLE_CALLERS, message).hint(
                "add a member such as `serviceAccount:scheduler@my-project.iam.gserviceaccount.com` to `allow`; \
                 `allAuthenticatedUsers` does not mean service accounts",
            );
            let path = self.accept_path("google_id_token");
            self.report(&path, found);
        }
    }

    /// Where `users.accept` has this word; else the whole of it.
    pub(super) fn accept_path(&self, word: &str) -> YamlPath {
        let path = YamlPath::root().key("users").key("accept");
        let Given::File(document) = &self.given else { return path };
        let words = match document.get(&path).map(|node| &node.value) {
            Some(Value::Sequence(words)) => words.as_slice(),
            _ => &[],
        };
        let position =
            words.iter().position(|node| matches!(&node.value, Value::Scalar(scalar) if scalar.text == word));
        position.map_or(path.clone(), |position| path.index(position))
    }
}
