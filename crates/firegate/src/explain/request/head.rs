//! The request that is asked about, read as the door reads it: every byte through the scanner of the framing, then the one
//! strict reading of a head.

use firegate_core::facts::RequestFacts;
use firegate_core::forwarded::Client;
use firegate_core::reason::Reason;
use firegate_proxy::framing::{Scanner, Then};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Version};

const HEAD_END: &[u8] = b"\r\n\r\n";

/// The host of a request for a path alone.
const HOST_ASSUMED: &str = "localhost";

/// A request as it was given.
#[derive(Debug)]
pub struct GivenRequest {
    /// Its head, or why the door refuses it before anything is matched.
    pub(super) parts: Result<Parts, Reason>,
    /// Its first line, as it was given.
    pub(super) first_line: String,
    /// `http` or `https`, as the peer spoke to the door; none if nobody said.
    pub(super) scheme: Option<&'static str>,
    /// What was changed in what was given, each in a sentence.
    pub(super) notes: Vec<String>,
}

/// The request of flags.
#[derive(Clone, Copy, Debug)]
pub struct RequestFlags<'a> {
    /// The method.
    pub method: &'a str,
    /// The whole URL, or a path.
    pub url: &'a str,
    /// Header fields as `Name: value`.
    pub headers: &'a [String],
}

impl GivenRequest {
    /// The request whose head is in a file: as it travels, or with the line ends of a text; `curl -v` shows it behind `>`.
    pub fn from_text(text: &[u8]) -> Self {
        let mut notes = Vec::new();
        let mut head = of_curl(text).inspect(|_| {
            notes.push("the lines that `curl -v` shows behind `>` were taken for the request".to_owned());
        });
        let given = head.as_deref().unwrap_or(text);
        if !given.contains(&b'\r') && given.contains(&b'\n') {
            notes.push(
                "its lines end with LF, as in a text; they are explained as though they ended with CRLF"
                    .to_owned(),
            );
            head = Some(with_crlf(given));
        }
        let head = head.unwrap_or_else(|| text.to_vec());
        let mut head = up_to_the_end(head);
        if let Some(other) = other_version(&head) {
            notes.push(format!(
                "it is of {other} and explained as though it were of HTTP/1.1, with the same fields"
            ));
            head = replace_version(&head, &other);
        }
        Self::read(&head, None, notes)
    }

    /// The request that flags describe.
    ///
    /// # Errors
    /// If they describe none, in a sentence.
    pub fn from_flags(flags: &RequestFlags<'_>) -> Result<Self, String> {
        let RequestFlags { method, url, headers } = *flags;
        let mut notes = Vec::new();
        let (url, fragment) = url.split_once('#').map_or((url, None), |(url, rest)| (url, Some(rest)));
        if fragment.is_some() {
            notes.push("what stands behind # in a URL is never sent, and was left out".to_owned());
        }
        let (scheme, rest) = match url.split_once("://") {
            Some(("https", rest)) => (Some("https"), rest),
            Some(("http", rest)) => (Some("http"), rest),
            Some(_) => return Err(format!("{url:?} is no URL of http or https")),
            None if url.starts_with('/') => (None, url),
            None => return Err(format!("{url:?} is neither a URL nor a path")),
        };
        // Not taken apart by a URL parser, which would mend what the door refuses.
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let slash = if target.starts_with('/') { "" } else { "/" };
        let mut head = format!("{method} {slash}{target} HTTP/1.1\r\n");
        let names_host =
            |field: &String| field.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case("host"));
        match authority {
            "" if url.starts_with('/') && !headers.iter().any(names_host) => {
                notes.push(format!(
                    "no host was named: explained as though it were {HOST_ASSUMED:?}; give the whole URL for another one"
                ));
                head.push_str(&format!("Host: {HOST_ASSUMED}\r\n"));
            }
            "" => {}
            authority => head.push_str(&format!("Host: {authority}\r\n")),
        }
        for field in headers {
            let Some((name, value)) = field.split_once(':') else {
                return Err(format!("the header {field:?} has no colon: write for example 'X-Ticket: 7'"));
            };
            head.push_str(&format!("{name}: {}\r\n", value.trim()));
        }
        head.push_str("\r\n");
        Ok(Self::read(head.as_bytes(), scheme, notes))
    }

    /// Sends a user's token along, as an app does.
    ///
    /// # Errors
    /// If there is one already, in a sentence.
    pub fn with_token(mut self, token: &str) -> Result<Self, String> {
        let Ok(parts) = &mut self.parts else { return Ok(self) };
        if parts.headers.contains_key(http::header::AUTHORIZATION) {
            return Err("the request has an Authorization header already, beside --token".to_owned());
        }
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let value = value.map_err(|_| "the token holds characters that no header can carry".to_owned())?;
        parts.headers.insert(http::header::AUTHORIZATION, value);
        Ok(self)
    }

    /// Its header fields; none if its head cannot be read.
    pub(super) fn headers(&self) -> Option<&http::HeaderMap> {
        self.parts.as_ref().ok().map(|parts| &parts.headers)
    }

    /// The facts of the request, which came from this client.
    pub(in crate::explain) fn facts(&self, client: Client) -> Result<RequestFacts<'_>, Reason> {
        let parts = self.parts.as_ref().map_err(Clone::clone)?;
        let mut facts = firegate_proxy::read_head(parts, client.scheme)?;
        (facts.client, facts.is_vouched_for) = (client.address, client.is_vouched_for);
        Ok(facts)
    }

    fn read(head: &[u8], scheme: Option<&'static str>, notes: Vec<String>) -> Self {
        let first_line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let first_line = String::from_utf8_lossy(first_line).into_owned();
        let parts = match Scanner::default().scan(head).then {
            Then::Refuse(violation) | Then::Break(violation) => Err(violation.reason()),
            // The head is whole; a body is not asked about.
            Then::More | Then::AwaitSwitch => {
                parts(head).ok_or(Reason::RequestMalformed { why: "the head cannot be read" })
            }
        };
        Self { parts, first_line, scheme, notes }
    }
}

/// A head that the scanner has passed, as the door's types have it.
fn parts(head: &[u8]) -> Option<Parts> {
    let text = head.strip_suffix(HEAD_END)?;
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut first = lines.next()?.split(|byte| *byte == b' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    let version = if version == b"HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut request = Request::builder().method(method).uri(target).version(version);
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        let value = value.strip_prefix(b":")?.trim_ascii();
        request = request.header(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// What `curl -v` shows of a request.
fn of_curl(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut sent = lines.skip_while(|line| !line.starts_with(b"> ")).peekable();
    sent.peek()?;
    let sent = sent.map_while(|line| line.strip_prefix(b"> ").or_else(|| line.strip_prefix(b">")));
    Some(sent.flat_map(|line| [line, b"\r\n"]).flatten().copied().collect())
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
    lines.flat_map(|line| [line, b"\r\n"]).flatten().copied().collect()
}

/// The head alone; an empty line ends one that has none.
fn up_to_the_end(mut head: Vec<u8>) -> Vec<u8> {
    if let Some(end) = head.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
        head.truncate(end + HEAD_END.len());
        return head;
    }
    while head.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        head.pop();
    }
    head.extend_from_slice(HEAD_END);
    head
}

/// The version of the first line, if it is a later one, which has no such head on the wire.
fn other_version(head: &[u8]) -> Option<String> {
    let first = head.split(|byte| *byte == b'\r').next()?;
    let version = first.rsplit(|byte| *byte == b' ').next()?;
    [&b"HTTP/2"[..], b"HTTP/2.0", b"HTTP/3"]
        .contains(&version)
        .then(|| String::from_utf8_lossy(version).into_owned())
}

fn replace_version(head: &[u8], version: &str) -> Vec<u8> {
    let end = head.iter().position(|byte| *byte == b'\r').unwrap_or(head.len());
    let (first, rest) = head.split_at(end);
    let first = first.strip_suffix(version.as_bytes()).unwrap_or(first);
    [first, b"HTTP/1.1", rest].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "(> )?(GET|X) /[a?#\u{e9}]{0,3} HTTP/[12](\\.1)?[\r\n]{0,3}[Ho: \r\n\t>]{0,30}") {
            let given = GivenRequest::from_text(text.as_bytes());
            // A head that the scanner passes can be read by the door's types, or is refused with a reason.
            let client = Client { address: [203, 0, 113, 1].into(), scheme: "https", is_vouched_for: false };
            let _ = given.facts(client).map(|facts| facts.path);
        }
    }

    fn check(text: &str, expected: Result<(&str, &str, usize), &str>) {
        let given = GivenRequest::from_text(text.as_bytes());
        let found = given.parts.as_ref().map(|parts| {
            (
                parts.method.as_str(),
                parts.uri.path_and_query().map_or("", |path| path.as_str()),
                parts.headers.len(),
            )
        });
        assert_eq!(found.map_err(ToString::to_string), expected.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn a_head_is_read_in_the_forms_in_which_people_have_it() {
        check("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", Ok(("GET", "/a?b", 1)));
        check("GET /a HTTP/1.1\nHost: x\nA: b\n", Ok(("GET", "/a", 2)));
        check("GET /a HTTP/1.1\nHost: x", Ok(("GET", "/a", 1)));
        check("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", Ok(("POST", "/a", 2)));
        check("GET /a HTTP/2\r\nHost: x\r\n", Ok(("GET", "/a", 1)));
        check("* Connected\n> GET /a HTTP/1.1\n> Host: x\n> \n< HTTP/1.1 200 OK\n", Ok(("GET", "/a", 1)));
        check("GET /a HTTP/1.1\r\nHost: x\r\n", Ok(("GET", "/a", 1)));
        check("GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", Err("a line ends with LF alone"));
        check("GET /a HTTP/1.1\r\nHost : x\r\n\r\n", Err("a space stands in or behind a header's name"));
        check("nonsense", Err("the request line is not `METHOD TARGET HTTP/1.1`"));
        check("", Err("a line's end stands before the request"));
    }
}
