//! What a condition may ask, and the answers.

use std::borrow::Cow;

use firegate_expr::{Attribute, Attributes, Fact, Outcome, Trace, Value};
use firegate_files::iam_policy::Condition;

use crate::facts::RequestFacts;
use crate::identity::{Principal, User};
use crate::path::NormalPath;
use crate::time::UnixTime;

/// <https://cloud.google.com/iam/docs/conditions-attribute-reference#resource-type>
const RESOURCE_TYPE: &str = "run.googleapis.com/Service";

/// <https://cloud.google.com/iam/docs/conditions-attribute-reference#resource-service>
const RESOURCE_SERVICE: &str = "run.googleapis.com";

/// What a condition asks for that says different things of the readings of a path.
const ONE_READING: &str = "a path that every server reads alike, whether or not it cuts parameters off, decodes slashes or tells capital letters from small ones";

/// A request as conditions see it: the path as it was matched, before anything rewrites it.
#[derive(Clone, Copy, Debug)]
pub struct IamRequest<'a> {
    path: Option<&'a str>,
    /// Whether it is read as servers do that take capital letters for small ones.
    ignores_case_of_path: bool,
    /// The path whose other readings count too.
    whole_path: Option<&'a NormalPath>,
    host: Option<&'a str>,
    now: UnixTime,
}

impl<'a> IamRequest<'a> {
    /// A request that is to be forwarded.
    pub fn of(facts: &'a RequestFacts<'a>, now: UnixTime) -> Self {
        Self { host: Some(facts.host), ..Self::of_path(&facts.path, now) }
    }

    /// The same, for another path.
    pub fn at(self, path: &'a str) -> Self {
        Self { path: Some(path), whole_path: None, ..self }
    }

    /// A request for a path that names no host.
    pub fn of_path(path: &'a NormalPath, now: UnixTime) -> Self {
        let whole_path = Some(path);
        Self { path: Some(path.as_str()), ignores_case_of_path: false, whole_path, host: Some(""), now }
    }

    /// A token is asked for, and nobody knows yet for which requests: neither path nor host can be told.
    pub fn of_exchange(now: UnixTime) -> Self {
        Self { path: None, ignores_case_of_path: false, whole_path: None, host: None, now }
    }

    /// What a condition says of this request, whoever sent it. If it says something else to a service that reads the path in
    /// another way, it says nothing: then it neither grants anything nor spares anybody.
    pub fn evaluate(&self, condition: &Condition, principal: Option<&Principal>) -> Outcome {
        let user = principal.and_then(Principal::user);
        let says = |request: Self| condition.expression.evaluate(&Asked { request, user });
        let outcome = says(*self);
        let mut readings =
            self.whole_path.into_iter().flat_map(|path| path.readings_for(&condition.expression));
        let is_judged_otherwise = readings.any(|reading| {
            let ignores_case_of_path = reading.ignores_case;
            says(Self { ignores_case_of_path, ..self.at(reading.path) }) != outcome
        });
        if is_judged_otherwise { Outcome::Unknown(ONE_READING) } else { outcome }
    }

    /// What each part of a condition says, for people.
    pub fn trace(&self, condition: &Condition, principal: Option<&Principal>) -> Trace {
        let asked = Asked { request: *self, user: principal.and_then(Principal::user) };
        condition.expression.trace(&asked)
    }
}

struct Asked<'a> {
    request: IamRequest<'a>,
    user: Option<&'a User>,
}

impl Attributes for Asked<'_> {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        match attribute {
            Attribute::RequestPath => {
                self.request.path.map_or(Fact::Unavailable, |path| Fact::Known(Value::text(path)))
            }
            Attribute::RequestHost => {
                let host = self.request.host.map(host_name);
                host.map_or(Fact::Unavailable, |host| Fact::Known(Value::Text(host)))
            }
            Attribute::RequestTime => Fact::Known(Value::time(self.request.now.as_seconds())),
            Attribute::ResourceType => Fact::Known(Value::text(RESOURCE_TYPE)),
            Attribute::ResourceService => Fact::Known(Value::text(RESOURCE_SERVICE)),
            of_user if of_user.is_of_user() => self.user.map_or(Fact::Absent, |user| user.fact(of_user)),
            // The service's name, access levels, where the request arrives: nothing here knows them.
            _ => Fact::Unavailable,
        }
    }

    fn ignores_case_of_path(&self) -> bool {
        self.request.ignores_case_of_path
    }

    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn has_user(&self) -> bool {
        self.user.is_some()
    }

    fn claim(&self, name: &str) -> Fact<'_> {
        self.user.map_or(Fact::Absent, |user| user.claim(name))
    }
}

/// The name without a port and without the dot of a whole name, in lower case.
fn host_name(host: &str) -> Cow<'_, [u8]> {
    let port = host.rfind(':').filter(|at| !host.get(*at..).unwrap_or_default().contains(']'));
    let name = port.and_then(|at| host.get(..at)).unwrap_or(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase().into_bytes())
    } else {
        Cow::Borrowed(name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_by_its_name_in_one_spelling() {
        let check = |host: &str, expected: &str| assert_eq!(&*host_name(host), expected.as_bytes(), "{host}");
        check("door.example", "door.example");
        check("Door.Example:8080", "door.example");
        check("door.example.", "door.example");
        check("DOOR.example.:443", "door.example");
        check("[2001:DB8::1]:443", "[2001:db8::1]");
        check("[2001:db8::1]", "[2001:db8::1]");
        check("", "");
    }
}
