//! From the shape of a file of cases to the model.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use firegate_expr::Timestamp;

use super::source::{
    ArrivalSource, CaseSource, DecisionCasesSource, ExpectSource, FieldSource, RequestFullSource,
    RequestSource, TokenStateSource, UserFullSource, UserSource,
};
use super::{
    Arrival, CaseUser, ConfigurationSource, DecisionCase, DecisionCases, Expected, Target, TokenState,
};
use crate::diagnostic::{Diagnostic, Diagnostics, YamlPath, code};
use crate::limits::{CASE_REPEAT_MAX, CASES_MAX};
use crate::suggestion::{nearest, quoted};
use crate::yaml::{Document, Part};

/// The client of a request that names none: an address for documentation (RFC 5737).
const CLIENT_DEFAULT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// Checks the cases; what did not pass is reported.
pub(super) fn cases(
    source: DecisionCasesSource,
    document: &Document,
    refused: &BTreeSet<YamlPath>,
    codes: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<DecisionCases> {
    let mut checker = Checker { document, refused, codes, diagnostics };
    checker.file(source)
}

/// What a request says of itself.
struct Head {
    method: String,
    target: Target,
    headers: Vec<(String, String)>,
    client: IpAddr,
}

struct Checker<'a> {
    document: &'a Document,
    refused: &'a BTreeSet<YamlPath>,
    codes: &'a [&'a str],
    diagnostics: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn file(&mut self, source: DecisionCasesSource) -> Option<DecisionCases> {
        let root = YamlPath::root();
        let now = self.time(&root.key("now"), source.now);
        let path = root.key("cases");
        let sources = source.cases.unwrap_or_default();
        if sources.is_empty() && !self.refused.contains(&path) {
            let found = Diagnostic::error(code::MISSING_KEY, "there are no cases")
                .hint("add one: `cases: [ { name: …, request: GET https://…, user: ada, expect: { passes_to: api } } ]`");
            self.report(&path, found);
        }
        if sources.len() > CASES_MAX {
            let message = format!("there are {} cases, the most in one file is {CASES_MAX}", sources.len());
            self.report(&path, Diagnostic::error(code::TOO_LARGE, message).hint("split the file"));
            return None;
        }
        let mut names = BTreeSet::new();
        let mut cases = Vec::new();
        for (index, case) in sources.into_iter().enumerate() {
            let path = path.index(index);
            if let Some(name) = &case.name
                && !names.insert(name.clone())
            {
                let message = format!("two cases are called {}", quoted(name));
                self.report(
                    &path.key("name"),
                    Diagnostic::error(code::DUPLICATE_KEY, message).hint("rename one"),
                );
            }
            cases.extend(self.case(&path, case, now));
        }
        let configuration = source.configuration.map(|text| {
            if text.contains('\n') {
                ConfigurationSource::Text(text)
            } else {
                ConfigurationSource::File(text.into())
            }
        });
        let files = source.files.unwrap_or_default().into_iter();
        let files = files.map(|(name, text)| (PathBuf::from(name), text)).collect::<BTreeMap<_, _>>();
        Some(DecisionCases { configuration, files, cases })
    }

    fn case(&mut self, path: &YamlPath, source: CaseSource, now: Option<i64>) -> Option<DecisionCase> {
        let name = self.given(&path.key("name"), source.name, "say in a few words what the case shows");
        let at = self.time(&path.key("now"), source.now).or(now);
        let before = source.before.unwrap_or_default().into_iter().enumerate();
        let before = before
            .filter_map(|(index, before)| self.arrival(&path.key("before").index(index), before, at))
            .collect();
        let arrival =
            ArrivalSource { now: None, request: source.request, user: source.user, repeat: source.repeat };
        let arrival = self.arrival(path, arrival, at);
        let hint = "add for example `expect: { passes_to: api }` or `expect: { refused: TOKEN_MISSING }`";
        let expected = self.given(&path.key("expect"), source.expect, hint);
        let expected = expected.and_then(|expected| self.expected(&path.key("expect"), expected));
        Some(DecisionCase {
            name: name?,
            line: self.document.place(&path.key("name"), Part::Value).map_or(1, |place| place.line),
            source: source.source,
            before,
            arrival: arrival?,
            expected: expected?,
        })
    }

    fn arrival(&mut self, path: &YamlPath, source: ArrivalSource, now: Option<i64>) -> Option<Arrival> {
        let at_seconds = self.time(&path.key("now"), source.now).or(now);
        let request_path = path.key("request");
        let request = self.given(
            &request_path,
            source.request,
            "add for example `request: GET https://api.example.com/`",
        );
        let user = source.user.map(|user| self.user(&path.key("user"), user));
        let repeat = source.repeat.unwrap_or(1);
        if !(1..=CASE_REPEAT_MAX).contains(&repeat) {
            let message = format!("{repeat} is no number of times");
            let found =
                Diagnostic::error(code::QUANTITY, message).hint(format!("from 1 to {CASE_REPEAT_MAX}"));
            self.report(&path.key("repeat"), found);
            return None;
        }
        let Head { method, target, headers, client } = self.request(&request_path, request?)?;
        let user = match user {
            None => None,
            Some(user) => Some(user?),
        };
        Some(Arrival { at_seconds, method, target, headers, client, user, repeat })
    }

    fn request(&mut self, path: &YamlPath, source: RequestSource) -> Option<Head> {
        let hint = "write for example `GET https://api.example.com/orders?limit=3`";
        let (full, url_path) = match source {
            RequestSource::Full(full) => (full, path.key("url")),
            RequestSource::Line(line) => {
                let (method, url) = match line.split_once(' ') {
                    Some((method, url)) => (Some(method.to_owned()), url.trim().to_owned()),
                    None => (None, line),
                };
                let full = RequestFullSource { method, url: Some(url), ..RequestFullSource::default() };
                (full, path.clone())
            }
        };
        let method = full.method.unwrap_or_else(|| "GET".to_owned());
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if method.is_empty() || !method.bytes().all(is_token) {
            let message = format!("{} is no method", quoted(&method));
            self.report(path, Diagnostic::error(code::UNKNOWN_VALUE, message).hint(hint));
            return None;
        }
        let url = self.given(&url_path, full.url, hint)?;
        let target = Target::parse(&url);
        if target.is_none() {
            let message = format!("{} is no URL of a request", quoted(&url));
            self.report(&url_path, Diagnostic::error(code::URL, message).hint(hint));
        }
        let client = match full.client.as_deref().map(str::parse) {
            None => Some(CLIENT_DEFAULT),
            Some(Ok(address)) => Some(address),
            Some(Err(_)) => {
                let found = Diagnostic::error(code::UNKNOWN_VALUE, "the client is no IP address")
                    .hint("write for example `198.51.100.7` or `2001:db8::7`");
                self.report(&path.key("client"), found);
                None
            }
        };
        let fields = full.headers.unwrap_or_default().into_iter().flat_map(|(name, field)| {
            let values = match field {
                FieldSource::One(value) => vec![value],
                FieldSource::Several(values) => values,
            };
            let name = name.to_ascii_lowercase();
            values.into_iter().map(move |value| (name.clone(), value))
        });
        Some(Head { method, target: target?, headers: fields.collect(), client: client? })
    }

    fn user(&mut self, path: &YamlPath, source: UserSource) -> Option<CaseUser> {
        let full = match source {
            UserSource::Uid(uid) => UserFullSource { uid: Some(uid), ..UserFullSource::default() },
            UserSource::Full(full) => *full,
        };
        let uid = self.given(&path.key("uid"), full.uid, "add the user id: `uid: ada`")?;
        Some(CaseUser {
            uid,
            email_verified: full.email_verified.unwrap_or(full.email.is_some()),
            email: full.email,
            tenant: full.tenant,
            provider: full.provider.unwrap_or_else(|| "password".to_owned()),
            claims: full.claims.unwrap_or_default(),
            token: match full.token {
                None | Some(TokenStateSource::Good) => TokenState::Good,
                Some(TokenStateSource::Expired) => TokenState::Expired,
                Some(TokenStateSource::OtherProject) => TokenState::OtherProject,
                Some(TokenStateSource::WrongSignature) => TokenState::WrongSignature,
                Some(TokenStateSource::Malformed) => TokenState::Malformed,
            },
        })
    }

    fn expected(&mut self, path: &YamlPath, source: ExpectSource) -> Option<Expected> {
        let ExpectSource {
            passes_to,
            refused,
            redirected_to,
            answered,
            status,
            path: seen,
            headers,
            would_be_refused,
        } = source;
        let given = [passes_to.is_some(), refused.is_some(), redirected_to.is_some(), answered.is_some()];
        let stray = (!given[0] && (seen.is_some() || headers.is_some() || would_be_refused.is_some()))
            || (status.is_some() && !given[1] && !given[2]);
        if given.iter().filter(|given| **given).count() != 1 || stray {
            let found = Diagnostic::error(code::EITHER_OR, "what is expected is not one thing").hint(
                "give exactly one of `passes_to` (with `path`, `headers`, `would_be_refused`), `refused` or `redirected_to` \
                 (with `status`), and `answered`",
            );
            self.report(path, found);
            return None;
        }
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        match (passes_to, refused, redirected_to, answered) {
            (Some(to), ..) => {
                let would_be_refused = match would_be_refused {
                    None => None,
                    Some(name) => Some(self.code(&path.key("would_be_refused"), name)?),
                };
                let headers = headers.unwrap_or_default().into_iter().map(lower).collect();
                Some(Expected::Passes { to, path_and_query: seen, headers, would_be_refused })
            }
            (_, Some(name), ..) => {
                let code = self.code(&path.key("refused"), name)?;
                Some(Expected::Refused { code, status })
            }
            (_, _, Some(to), _) => Some(Expected::Redirected { to, status }),
            (_, _, _, Some(status)) => Some(Expected::Answered { status }),
            (None, None, None, None) => None,
        }
    }

    fn code(&mut self, path: &YamlPath, name: String) -> Option<String> {
        if self.codes.contains(&name.as_str()) {
            return Some(name);
        }
        let message = format!("{} is no reason that Firegate gives", quoted(&name));
        let near = nearest(&name, self.codes.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/reasons.md lists them all".to_owned(),
        };
        self.report(path, Diagnostic::error(code::UNKNOWN_VALUE, message).hint(hint));
        None
    }

    fn time(&mut self, path: &YamlPath, text: Option<String>) -> Option<i64> {
        let text = text?;
        match Timestamp::parse(&text) {
            Some(time) => Some(time.seconds()),
            None => {
                let message = format!("{} is no time", quoted(&text));
                self.report(
                    path,
                    Diagnostic::error(code::QUANTITY, message)
                        .hint("write for example `2027-01-15T08:00:00Z`"),
                );
                None
            }
        }
    }

    /// What must be given, unless it was there and was refused.
    fn given<T>(&mut self, path: &YamlPath, value: Option<T>, hint: &str) -> Option<T> {
        if value.is_none() && !self.refused.contains(path) {
            let message = format!("`{path}` is not given");
            self.report(path, Diagnostic::error(code::MISSING_KEY, message).hint(hint));
        }
        value
    }

    fn report(&mut self, path: &YamlPath, diagnostic: Diagnostic) {
        self.document.report(self.diagnostics, path, Part::Value, diagnostic);
    }
}
