//! What a policy may ask about a request, and the answers.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use firegate_expr::{Attribute, Attributes, Expression, Fact, Outcome, Value};
use http::HeaderName;

use super::{Geography, Location, Policy};
use crate::facts::RequestFacts;
use crate::headers::is_alike;
use crate::identity::User;

/// `X-Forwarded-For`, of which nobody can say which elements the client wrote itself; what `behind` vouches for is the client's
/// address already.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The verified user and app, as far as there are any.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserFacts<'a> {
    /// The user.
    pub user: Option<&'a User>,
    /// The app's ID, by App Check.
    pub app_id: Option<&'a str>,
}

/// A request as a policy sees it.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(super) facts: &'a RequestFacts<'a>,
    /// The reading of its path that is looked at.
    path: &'a str,
    /// Whether nothing is known of a header that has a look-alike.
    doubts_look_alikes: bool,
    pub(super) user_ip: IpAddr,
    /// Whether the headers are known that may name it.
    knows_user_ip: bool,
    geography: Option<&'a dyn Geography>,
    location: OnceCell<Location>,
    /// None as long as nobody has tried to identify anybody.
    pub(super) identified: Option<UserFacts<'a>>,
}

impl<'a> Subject<'a> {
    /// A request, before or after its user was identified.
    pub fn new(
        facts: &'a RequestFacts<'a>,
        policy: &Policy,
        geography: Option<&'a dyn Geography>,
        identified: Option<UserFacts<'a>>,
    ) -> Self {
        let user_ip = user_ip(facts, &policy.user_ip_headers);
        let knows_user_ip = facts.recorded_headers.is_none() || policy.user_ip_headers.is_empty();
        let path = facts.path.as_str();
        Self {
            facts,
            path,
            doubts_look_alikes: false,
            user_ip,
            knows_user_ip,
            geography,
            location: OnceCell::new(),
            identified,
        }
    }

    /// Whether an expression says something else of the request to a server that reads its path in another way.
    pub(super) fn is_judged_otherwise(&self, expression: &Expression, outcome: Outcome) -> bool {
        let mut readings = self.facts.path.readings_for(expression);
        readings.any(|path| expression.evaluate(&self.at(path)) != outcome)
    }

    /// Whether what an expression says depends on a header of which the request has a look-alike: a service may take that for
    /// the header, and nobody knows what this one does.
    pub(super) fn is_judged_by_a_look_alike(&self, expression: &Expression, outcome: Outcome) -> bool {
        expression.headers().any(|name| self.has_look_alike(name))
            && expression.evaluate(&Self { doubts_look_alikes: true, ..self.at(self.path) }) != outcome
    }

    fn has_look_alike(&self, name: &str) -> bool {
        self.facts.headers.keys().any(|found| is_alike(found, name))
    }

    fn is_in_doubt(&self, name: &str) -> bool {
        self.doubts_look_alikes && self.has_look_alike(name)
    }

    /// The same, by another reading of its path.
    fn at(&self, path: &'a str) -> Self {
        Self { path, location: self.location.clone(), ..*self }
    }

    /// The client's address.
    pub fn client(&self) -> IpAddr {
        self.facts.client
    }

    pub(super) fn user(&self) -> Option<&'a User> {
        self.identified.and_then(|identified| identified.user)
    }

    pub(super) fn app_id(&self) -> Option<&'a str> {
        self.identified.and_then(|identified| identified.app_id)
    }

    /// Where the client is; `None` without a database.
    pub(super) fn location(&self) -> Option<&Location> {
        let geography = self.geography?;
        Some(self.location.get_or_init(|| geography.locate(self.facts.client)))
    }
}

/// `origin.user_ip`: the first configured header that holds one address and nothing else, if whoever the request came from may
/// speak for others; else the client's address.
fn user_ip(facts: &RequestFacts<'_>, names: &[HeaderName]) -> IpAddr {
    if !facts.is_vouched_for {
        return facts.client;
    }
    let named = names.iter().find_map(|name| {
        if *name == X_FORWARDED_FOR {
            return facts.headers.contains_key(name).then_some(facts.client);
        }
        let value = facts.header(name.clone())?.trim();
        value.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    });
    named.unwrap_or(facts.client)
}

impl Attributes for Subject<'_> {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        let facts = self.facts;
        match attribute {
            Attribute::OriginIp => Fact::Known(Value::Address(facts.client)),
            Attribute::OriginUserIp if !self.knows_user_ip => Fact::Unavailable,
            Attribute::OriginUserIp => Fact::Known(Value::Address(self.user_ip)),
            Attribute::OriginRegionCode => match self.location() {
                None => Fact::Unavailable,
                Some(location) => Fact::from(location.region.as_ref().map(Value::text)),
            },
            Attribute::OriginAsn => match self.location() {
                None => Fact::Unavailable,
                Some(location) => Fact::Known(Value::Int(location.asn.unwrap_or(0).into())),
            },
            Attribute::OriginTlsJa3Fingerprint | Attribute::OriginTlsJa4Fingerprint => Fact::Unavailable,
            Attribute::RequestMethod => Fact::Known(Value::text(facts.method.as_str())),
            Attribute::RequestPath => Fact::Known(Value::text(self.path)),
            Attribute::RequestScheme => Fact::Known(Value::text(facts.scheme)),
            Attribute::RequestQuery => Fact::Known(Value::text(facts.query.unwrap_or_default())),
            of_caller if of_caller.is_of_user() && !self.knows_user() => Fact::Unavailable,
            Attribute::AuthAppId => Fact::from(self.app_id().map(Value::text)),
            of_user => self.user().map_or(Fact::Absent, |user| user.fact(of_user)),
        }
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.facts.whole_header(name).filter(|_| !self.is_in_doubt(name))
    }

    fn has_user(&self) -> bool {
        self.user().is_some()
    }

    fn knows_header(&self, name: &str) -> bool {
        self.facts.knows_header(name) && !self.is_in_doubt(name)
    }

    fn knows_user(&self) -> bool {
        self.facts.recorded_headers.is_none()
    }

    fn claim(&self, name: &str) -> Fact<'_> {
        self.user().map_or(Fact::Absent, |user| user.claim(name))
    }
}
