//! The methods that a service may take a request for, beside its own. Frameworks let clients that can send no other than GET
//! and POST write the one that is meant into a header or a parameter; a rule of the request's method sees none of it, and
//! nobody knows what this service does.

use firegate_files::header_names::are_alike;
use http::{HeaderMap, HeaderName, Method};
use percent_encoding::percent_decode_str;

use crate::limits::OTHER_METHODS_MAX;
use crate::parameter::may_be_read_as;

/// The headers that Express, Rails, Laravel, Symfony, Spring, ASP.NET Core, gRPC's and Google's gateways look at.
const HEADERS: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// The parameter that they look at. In a form's body it is not looked for here: bodies are not read.
const PARAMETER: &str = "_method";

/// The methods beside `own` that headers and query name, each once. `None` if there are more than can be looked at.
pub(crate) fn other_methods(own: &Method, headers: &HeaderMap, query: Option<&str>) -> Option<Vec<Method>> {
    let mut found = Vec::new();
    for (name, value) in headers {
        if is_method_override(name) {
            value.as_bytes().split(|byte| *byte == b',').try_for_each(|name| note(&mut found, own, name))?;
        }
    }
    for parameter in query.unwrap_or_default().split(['&', ';']) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if may_be_read_as(name, PARAMETER) {
            let value = value.replace('+', " ");
            note(&mut found, own, &percent_decode_str(&value).collect::<Vec<_>>())?;
        }
    }
    Some(found)
}

/// Whether this is one of the headers, under whatever name servers may take for it.
pub(crate) fn is_method_override(name: &HeaderName) -> bool {
    HEADERS.iter().any(|known| are_alike(name.as_str(), known))
}

/// Takes note of a method. Services take `delete` for `DELETE`, and what is no method for none.
fn note(found: &mut Vec<Method>, own: &Method, name: &[u8]) -> Option<()> {
    let Ok(method) = Method::from_bytes(&name.trim_ascii().to_ascii_uppercase()) else { return Some(()) };
    if method != *own && !found.contains(&method) {
        found.push(method);
    }
    (found.len() <= OTHER_METHODS_MAX).then_some(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(pairs: &[(&str, &str)], query: Option<&str>, expected: Option<&[&str]>) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let found = other_methods(&Method::POST, &headers, query);
        let found = found.as_ref().map(|found| found.iter().map(Method::as_str).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected, "{pairs:?} {query:?}");
    }

    #[test]
    fn what_a_client_writes_beside_its_method_is_found() {
        check(&[], None, Some(&[]));
        check(&[("X-HTTP-Method-Override", "DELETE")], None, Some(&["DELETE"]));
        check(&[("x_http_method", "delete")], None, Some(&["DELETE"]));
        check(&[("X-Method-Override", " put , DELETE,put")], None, Some(&["PUT", "DELETE"]));
        check(
            &[("X-HTTP-Method", "GET"), ("X-HTTP-Method", "PUT"), ("X-Method-Override", "PATCH")],
            None,
            Some(&["GET", "PUT", "PATCH"]),
        );
        check(&[("X-HTTP-Method-Override", "post")], Some("_method=POST"), Some(&[]));
        check(&[("X-HTTP-Method-Override", "")], Some("_method=&_method"), Some(&[]));
        check(&[("X-HTTP-Method-Override", "not a method")], None, Some(&[]));
        check(
            &[("X-Method", "DELETE"), ("_method", "DELETE")],
            Some("method=DELETE&x_method=DELETE"),
            Some(&[]),
        );
        check(&[], Some("a=1&_method=delete"), Some(&["DELETE"]));
        check(&[], Some("a=1;_METHOD=put"), Some(&["PUT"]));
        check(&[], Some("%5f%6Dethod=%64elete+"), Some(&["DELETE"]));
        // PHP.
        check(&[], Some(".method=put&[method=delete"), Some(&["PUT", "DELETE"]));
    }

    #[test]
    fn no_more_are_looked_at_than_a_service_could_choose_from() {
        let names =
            |count: usize| (0..count).map(|number| format!("M{number}")).collect::<Vec<_>>().join(",");
        let most = names(OTHER_METHODS_MAX);
        check(&[("x-http-method", &most)], None, Some(&most.split(',').collect::<Vec<_>>()));
        check(
            &[("x-http-method", &format!("{most},POST,M0"))],
            None,
            Some(&most.split(',').collect::<Vec<_>>()),
        );
        check(&[("x-http-method", &names(OTHER_METHODS_MAX + 1))], None, None);
        check(&[("x-http-method", &most)], Some("_method=put"), None);
    }
}
