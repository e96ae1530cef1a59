//! What a policy may ask about a request, and the answers.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;

use firegate_expr::{Attribute, Attributes, Expression, Fact, Outcome, Value};
use firegate_files::header_names;
use firegate_files::security_policy::Key;
use http::header::{COOKIE, HOST};
use http::{HeaderName, Method};

use super::{Geography, Location, Policy};
use crate::facts::{HeaderDoubt, RequestFacts};
use crate::identity::User;
use crate::path::{PathReading, without_needless_escapes};
use crate::token_source::cookies_named;

/// `X-Forwarded-For`, of which nobody can say which elements the client wrote itself; what `behind` vouches for is the client's
/// address already.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Why a path is malformed by which a rule decides.
const PATH_IN_TWO_READINGS: &str = "a rule of the security policy would decide otherwise if the path's parameters or its end were cut off, its slashes decoded, or the case of its letters did not count";

/// Why a query is malformed by which a rule decides.
const QUERY_IN_ESCAPES: &str = "a rule of the security policy would decide otherwise if the query had its letters, digits, `-`, `.`, `_` and `~` without escapes";

/// Why a request is malformed that names another method beside its own, where a rule decides by the method.
const METHOD_OF_TWO_NAMES: &str = "a rule of the security policy would decide otherwise if the request had the method that its X-HTTP-Method-Override, its like or its _method names";

/// Why a header's name is malformed by which a rule decides.
const HEADER_OF_TWO_NAMES: &str = "a header has a name that servers may take for that of another one, by which a rule of the security policy decides";

/// Why a request is malformed whose Connection names a header by which a rule decides.
const HEADER_OF_THE_CONNECTION: &str =
    "the Connection header names a header by which a rule of the security policy decides";

/// Why a request of HTTP/1.0 is malformed where a rule decides by its host.
const NO_HOST: &str = "the request names no host, by which a rule of the security policy decides";

/// Why a request is malformed that has a header several times by which a rule decides.
const HEADER_OF_SEVERAL_VALUES: &str = "a rule of the security policy would decide otherwise by the first or the last copy alone of a header that the request has several times";

/// Why a request is malformed that has a cookie several times, or one of a name that servers may take for its own, where a
/// limit counts by it.
const COOKIE_OF_SEVERAL_VALUES: &str = "a limit of the security policy counts by a cookie that the request has several times, or under several names";

/// What of a header counts that a request has several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copies {
    /// All, as a list.
    All,
    First,
    Last,
}

/// How a request is read.
#[derive(Clone, Copy, Debug)]
struct Reading<'a> {
    path: PathReading<'a>,
    query: &'a str,
    /// The method that it is taken for.
    method: &'a Method,
    /// Whether nothing is known of a header that the service may get otherwise.
    doubts_headers: bool,
    /// What of a header counts that the request has several times.
    copies: Copies,
}

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
    reading: Reading<'a>,
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
        let reading = Reading {
            path: PathReading { path: facts.path.as_str(), ignores_case: false },
            query: facts.query.unwrap_or_default(),
            method: facts.method,
            doubts_headers: false,
            copies: Copies::All,
        };
        Self { facts, reading, user_ip, knows_user_ip, geography, location: OnceCell::new(), identified }
    }

    /// Why nobody knows what an expression says of the request as the service reads it: it says something else of another
    /// reading of its path or its query, or of another method that the request names too; or it depends on a header that is
    /// another one there, or none; or, unless all copies together make it `refuse`, on one of which the service may go by
    /// a single copy. All of that may come together.
    pub(super) fn doubt_about(
        &self,
        expression: &Expression,
        outcome: Outcome,
        refuses: bool,
    ) -> Option<&'static str> {
        let is_otherwise =
            |reading: Reading<'_>| expression.evaluate(&Subject { reading, ..self.again() }) != outcome;
        let own = self.reading;
        let paths = self.facts.path.readings_for(expression);
        let mut others = paths.map(|path| Reading { path, ..own }).collect::<Vec<_>>();
        if others.iter().copied().any(is_otherwise) {
            return Some(PATH_IN_TWO_READINGS);
        }
        let query = self.facts.query.filter(|_| expression.reads_attribute(Attribute::RequestQuery));
        let query = query.and_then(without_needless_escapes);
        if let Some(query) = &query
            && is_otherwise_beside(own, &mut others, |of| vec![Reading { query, ..of }], is_otherwise)
        {
            return Some(QUERY_IN_ESCAPES);
        }
        if expression.reads_attribute(Attribute::RequestMethod) {
            let Some(methods) = self.facts.other_methods() else { return Some(METHOD_OF_TWO_NAMES) };
            let by_methods = |of| methods.iter().map(|method| Reading { method, ..of }).collect::<Vec<_>>();
            // Nearly every request names no other.
            if !methods.is_empty() && is_otherwise_beside(own, &mut others, by_methods, is_otherwise) {
                return Some(METHOD_OF_TWO_NAMES);
            }
        }
        let mut all = std::iter::once(own).chain(others.iter().copied());
        if let Some(why) = expression.headers().find_map(|name| self.doubt(name))
            && all.clone().any(|of| is_otherwise(Reading { doubts_headers: true, ..of }))
        {
            return Some(why);
        }
        let headers = self.facts.headers;
        let is_repeated = |name| self.copy(name, Copies::First).is_some();
        let goes_by_one = |of| {
            [Copies::First, Copies::Last].into_iter().any(|copies| is_otherwise(Reading { copies, ..of }))
        };
        let is_doubtful = !refuses
            && headers.len() > headers.keys_len()
            && expression.headers().any(is_repeated)
            && all.any(goes_by_one);
        is_doubtful.then_some(HEADER_OF_SEVERAL_VALUES)
    }

    /// Why nobody knows by what a limit would count the request as the service gets it: with a copy or a look-alike beside a
    /// header or a cookie a client would begin at nothing each time.
    pub(super) fn doubt_about_keys(&self, keys: &[Key]) -> Option<&'static str> {
        keys.iter().find_map(|key| match key {
            Key::HttpHeader(name) if name != HOST.as_str() => {
                self.doubt(name).or_else(|| self.copy(name, Copies::First).map(|_| HEADER_OF_SEVERAL_VALUES))
            }
            Key::HttpCookie(name) => {
                let values = cookies_named(self.facts.headers, name);
                let is_one =
                    values.is_some_and(|values| values.iter().all(|value| values.first() == Some(value)));
                (!is_one).then_some(COOKIE_OF_SEVERAL_VALUES)
            }
            _ => None,
        })
    }

    /// One copy of a header that the request has several times; pieces of cookies are none, and of what speaks of the request's
    /// way the service gets no copy of the client's.
    fn copy(&self, name: &str, copies: Copies) -> Option<&'a [u8]> {
        let mut values = self.facts.headers.get_all(name).iter();
        let (first, second) = (values.next()?, values.next()?);
        let copy = match copies {
            Copies::All => return None,
            Copies::First => first,
            Copies::Last => values.next_back().unwrap_or(second),
        };
        let is_the_clients = name != COOKIE.as_str() && !header_names::is_protected(name);
        is_the_clients.then_some(copy.as_bytes())
    }

    /// Why the service may get another header of this name, or none.
    fn doubt(&self, name: &str) -> Option<&'static str> {
        if name == HOST.as_str() {
            // It gets its own.
            return self.facts.host.is_empty().then_some(NO_HOST);
        }
        self.facts.doubt_about_header(name).map(|doubt| match doubt {
            HeaderDoubt::OfTwoNames => HEADER_OF_TWO_NAMES,
            HeaderDoubt::OfTheConnection => HEADER_OF_THE_CONNECTION,
        })
    }

    fn is_in_doubt(&self, name: &str) -> bool {
        self.reading.doubts_headers && self.doubt(name).is_some()
    }

    /// The same once more, to be read in another way.
    fn again(&self) -> Self {
        Self { location: self.location.clone(), ..*self }
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

/// Whether any of the readings is otherwise that are made of a request's own and of its others, which they join.
fn is_otherwise_beside<'a>(
    own: Reading<'a>,
    others: &mut Vec<Reading<'a>>,
    made_of: impl Fn(Reading<'a>) -> Vec<Reading<'a>>,
    is_otherwise: impl Fn(Reading<'a>) -> bool,
) -> bool {
    let made = std::iter::once(own).chain(others.iter().copied()).flat_map(made_of).collect::<Vec<_>>();
    let is_any = made.iter().copied().any(is_otherwise);
    others.extend(made);
    is_any
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
            Attribute::RequestMethod => Fact::Known(Value::text(self.reading.method.as_str())),
            Attribute::RequestPath => Fact::Known(Value::text(self.reading.path.path)),
            Attribute::RequestScheme => Fact::Known(Value::text(facts.scheme)),
            Attribute::RequestQuery => Fact::Known(Value::text(self.reading.query)),
            of_caller if of_caller.is_of_user() && !self.knows_user() => Fact::Unavailable,
            Attribute::AuthAppId => Fact::from(self.app_id().map(Value::text)),
            of_user => self.user().map_or(Fact::Absent, |user| user.fact(of_user)),
        }
    }

    fn ignores_case_of_path(&self) -> bool {
        self.reading.path.ignores_case
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let whole = || self.facts.whole_header(name).filter(|_| !self.is_in_doubt(name));
        self.copy(name, self.reading.copies).map_or_else(whole, |copy| Some(Cow::Borrowed(copy)))
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
