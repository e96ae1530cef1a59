//! What a URL map does to headers. Its own names alone: what speaks of identity, of Google or of the way a request took is
//! dropped when the map is compiled, whatever checked it before.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use firegate_files::header_names;
use firegate_files::url_map::{AddedHeader, HeaderAction, HeaderValueTemplate, HeaderVariable, ValuePart};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::armor::Geography;
use crate::headers::remove_alike;

/// What is known of a request for the variables in the values of headers.
#[derive(Clone, Copy, Debug)]
pub struct HeaderFacts<'a> {
    /// The client's address.
    pub client_address: IpAddr,
    /// The client's port, if it is known.
    pub client_port: Option<u16>,
    /// The address and port that the client connected to, if they are known.
    pub server: Option<SocketAddr>,
    /// The version of TLS that the client spoke, if it is known.
    pub tls_version: Option<&'static str>,
    /// Whether the client spoke TLS.
    pub is_encrypted: bool,
    /// The version of HTTP that the client spoke, for example `HTTP/1.1`.
    pub protocol: &'static str,
    /// Where addresses are, if a database says so.
    pub geography: Option<&'a dyn Geography>,
}

/// What is done to the headers of a request and of its answer, level by level: the weighted service's, the route rule's, the
/// path matcher's, the map's, the backend service's own.
#[derive(Clone, Debug, Default)]
pub struct HeaderActions {
    levels: Vec<Arc<Level>>,
}

/// What one level does.
#[derive(Debug)]
pub(super) struct Level {
    request: Changes,
    response: Changes,
}

#[derive(Debug)]
struct Changes {
    /// Removed before anything is added.
    removed: Vec<HeaderName>,
    added: Vec<(HeaderName, Value, bool)>,
}

#[derive(Debug)]
enum Value {
    Fixed(HeaderValue),
    Made(HeaderValueTemplate),
}

impl Level {
    /// The level of an action; none if it does nothing.
    pub(super) fn of(action: &HeaderAction) -> Option<Arc<Self>> {
        let request = Changes::of(&action.request_remove, &action.request_add);
        let response = Changes::of(&action.response_remove, &action.response_add);
        let is_empty = |changes: &Changes| changes.removed.is_empty() && changes.added.is_empty();
        (!is_empty(&request) || !is_empty(&response)).then(|| Arc::new(Self { request, response }))
    }
}

impl Changes {
    fn of(removed: &[String], added: &[AddedHeader]) -> Self {
        let added = added.iter().filter_map(|header| {
            Some((changeable(&header.name)?, Value::of(&header.value)?, header.replace))
        });
        Self { removed: removed.iter().filter_map(|name| changeable(name)).collect(), added: added.collect() }
    }

    /// Changes headers; `remove` is how one is taken out of them.
    fn apply(
        &self,
        headers: &mut HeaderMap,
        facts: &HeaderFacts<'_>,
        remove: impl Fn(&mut HeaderMap, &HeaderName),
    ) {
        for name in &self.removed {
            remove(headers, name);
        }
        for (name, value, replace) in &self.added {
            if *replace {
                remove(headers, name);
            }
            if let Some(value) = value.with(facts) {
                headers.append(name, value);
            }
        }
    }
}

/// An answer is the service's own, which has no reason to misspell it.
fn remove_exactly(headers: &mut HeaderMap, name: &HeaderName) {
    headers.remove(name);
}

/// The name of a header that a map may change.
fn changeable(name: &str) -> Option<HeaderName> {
    let is_free = !header_names::is_reserved(name);
    HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| is_free)
}

impl Value {
    fn of(template: &HeaderValueTemplate) -> Option<Self> {
        match template.0.as_slice() {
            [] => Some(Self::Fixed(HeaderValue::from_static(""))),
            [ValuePart::Text(text)] => HeaderValue::from_str(text).ok().map(Self::Fixed),
            _ => Some(Self::Made(template.clone())),
        }
    }

    fn with(&self, facts: &HeaderFacts<'_>) -> Option<HeaderValue> {
        let template = match self {
            Self::Fixed(value) => return Some(value.clone()),
            Self::Made(template) => template,
        };
        let mut text = String::new();
        for part in &template.0 {
            match part {
                ValuePart::Text(fixed) => text.push_str(fixed),
                ValuePart::Variable(HeaderVariable::ClientIpAddress) => {
                    text.push_str(&facts.client_address.to_string())
                }
                ValuePart::Variable(HeaderVariable::ClientEncrypted) => {
                    text.push_str(if facts.is_encrypted { "true" } else { "false" });
                }
                ValuePart::Variable(HeaderVariable::ClientProtocol) => text.push_str(facts.protocol),
                ValuePart::Variable(HeaderVariable::ClientPort) => write(&mut text, facts.client_port),
                ValuePart::Variable(HeaderVariable::ServerIpAddress) => {
                    write(&mut text, facts.server.map(|server| server.ip()));
                }
                ValuePart::Variable(HeaderVariable::ServerPort) => {
                    write(&mut text, facts.server.map(|server| server.port()));
                }
                ValuePart::Variable(HeaderVariable::TlsVersion) => write(&mut text, facts.tls_version),
                ValuePart::Variable(HeaderVariable::ClientRegion) => {
                    let region = facts.geography.and_then(|known| known.locate(facts.client_address).region);
                    text.extend(region.into_iter().flatten().map(char::from));
                }
                // Google writes nothing where it knows nothing.
                ValuePart::Variable(HeaderVariable::Unknown) => {}
            }
        }
        HeaderValue::from_str(&text).ok()
    }
}

/// Appends what is known.
fn write(text: &mut String, known: Option<impl ToString>) {
    if let Some(known) = known {
        text.push_str(&known.to_string());
    }
}

impl HeaderActions {
    /// These levels in the order in which they act.
    pub(super) fn new(levels: impl IntoIterator<Item = Option<Arc<Level>>>) -> Self {
        Self { levels: levels.into_iter().flatten().collect() }
    }

    /// Changes the headers of a request, out of which the client's protected ones are deleted and into which Firegate's own
    /// are not yet set. What is removed or replaced is so under every name that the service may take for it.
    pub fn change_request(&self, headers: &mut HeaderMap, facts: &HeaderFacts<'_>) {
        self.levels.iter().for_each(|level| level.request.apply(headers, facts, remove_alike));
    }

    /// Changes the headers of an answer.
    pub fn change_response(&self, headers: &mut HeaderMap, facts: &HeaderFacts<'_>) {
        self.levels.iter().for_each(|level| level.response.apply(headers, facts, remove_exactly));
    }

    /// Whether a header of a request is one of those that are removed or added, under whatever name servers may take for its
    /// own.
    pub(crate) fn decide_about(&self, header: &HeaderName) -> bool {
        let is_it = |name: &HeaderName| header_names::are_alike(name.as_str(), header.as_str());
        let mut levels = self.levels.iter().map(|level| &level.request);
        levels.any(|changes| {
            changes.removed.iter().chain(changes.added.iter().map(|(name, ..)| name)).any(is_it)
        })
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::armor::Location;

    #[derive(Debug)]
    struct Everywhere;

    impl Geography for Everywhere {
        fn locate(&self, _: IpAddr) -> Location {
            Location { region: Some(*b"NZ"), asn: None }
        }
    }

    fn added(name: &str, value: &str, replace: bool) -> AddedHeader {
        let value = HeaderValueTemplate(vec![ValuePart::Text(value.to_owned())]);
        AddedHeader { name: name.to_owned(), value, replace }
    }

    fn changed(levels: &[HeaderAction], pairs: &[(&str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        let facts = HeaderFacts {
            client_address: [203, 0, 113, 9].into(),
            client_port: Some(4711),
            server: Some(([198, 51, 100, 7], 443).into()),
            tls_version: Some("TLSv1.3"),
            is_encrypted: true,
            protocol: "HTTP/2",
            geography: Some(&Everywhere),
        };
        HeaderActions::new(levels.iter().map(Level::of)).change_request(&mut headers, &facts);
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().expect("text"));
        headers.iter().map(line).collect()
    }

    #[test]
    fn levels_act_one_after_the_other_and_remove_before_they_add() {
        let service =
            HeaderAction { request_add: vec![added("x-a", "service", true)], ..HeaderAction::default() };
        let map = HeaderAction {
            request_remove: vec!["x-b".to_owned()],
            request_add: vec![added("x-a", "map", false), added("x-b", "new", true)],
            ..HeaderAction::default()
        };
        let lines = changed(&[service, map], &[("x-a", "client"), ("x-b", "client")]);
        assert_eq!(lines, ["x-a: service", "x-a: map", "x-b: new"]);
    }

    #[test]
    fn what_is_replaced_or_removed_is_so_in_every_spelling() {
        let map = HeaderAction {
            request_remove: vec!["x-gone".to_owned()],
            request_add: vec![added("x-a", "map", true), added("x-b", "map", false)],
            ..HeaderAction::default()
        };
        let client = [("x_a", "client"), ("X.A", "client"), ("x_gone", "client"), ("x-b", "client")];
        assert_eq!(changed(&[map], &client), ["x-b: client", "x-b: map", "x-a: map"]);
    }

    #[test]
    fn variables_stand_for_what_is_known() {
        let value = HeaderValueTemplate(vec![
            ValuePart::Text("ip=".to_owned()),
            ValuePart::Variable(HeaderVariable::ClientIpAddress),
            ValuePart::Text(";tls=".to_owned()),
            ValuePart::Variable(HeaderVariable::ClientEncrypted),
            ValuePart::Text(";r=".to_owned()),
            ValuePart::Variable(HeaderVariable::Unknown),
            ValuePart::Variable(HeaderVariable::ClientProtocol),
            ValuePart::Variable(HeaderVariable::ClientRegion),
            ValuePart::Variable(HeaderVariable::ClientPort),
            ValuePart::Text("@".to_owned()),
            ValuePart::Variable(HeaderVariable::ServerIpAddress),
            ValuePart::Variable(HeaderVariable::ServerPort),
            ValuePart::Variable(HeaderVariable::TlsVersion),
        ]);
        let header = AddedHeader { name: "x-client".to_owned(), value, replace: true };
        let action = HeaderAction { request_add: vec![header], ..HeaderAction::default() };
        assert_eq!(
            changed(&[action], &[]),
            ["x-client: ip=203.0.113.9;tls=true;r=HTTP/2NZ4711@198.51.100.7443TLSv1.3"]
        );
    }

    #[test]
    fn no_map_touches_what_speaks_of_identity_of_google_or_of_the_way() {
        for name in [
            "x-firegate-user-id",
            "X_Firegate.User-Id",
            "x-serverless-authorization",
            "x-goog-authenticated-user-email",
            "x-endpoint-api-userinfo",
            "x-forwarded-for",
            "forwarded",
            "authorization",
            "proxy-authorization",
            "host",
            "content-length",
            "transfer-encoding",
            "Transfer_Encoding",
            "connection",
            "upgrade",
            "x-firebase-appcheck",
        ] {
            let action = HeaderAction {
                request_add: vec![added(name, "eve", true)],
                request_remove: vec![name.to_owned()],
                ..HeaderAction::default()
            };
            let lines = changed(&[action], &[(name, "kept")]);
            assert_eq!(lines, [format!("{}: kept", name.to_ascii_lowercase())]);
        }
    }
}
