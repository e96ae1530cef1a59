//! What is done to headers. No map may touch what speaks of identity, of Google or of the way a request took.

use super::super::model::{AddedHeader, HeaderAction, HeaderValueTemplate, HeaderVariable, ValuePart};
use super::Checker;
use super::condition::is_header_name;
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::{Located, Part};
use crate::header_names;
use crate::suggestion::quoted;

/// The variables of Google's that Firegate has a value for.
const VARIABLES: [(&str, HeaderVariable); 8] = [
    ("client_ip_address", HeaderVariable::ClientIpAddress),
    ("client_encrypted", HeaderVariable::ClientEncrypted),
    ("client_protocol", HeaderVariable::ClientProtocol),
    ("client_region", HeaderVariable::ClientRegion),
    ("client_port", HeaderVariable::ClientPort),
    ("server_ip_address", HeaderVariable::ServerIpAddress),
    ("server_port", HeaderVariable::ServerPort),
    ("tls_version", HeaderVariable::TlsVersion),
];

impl Checker<'_> {
    pub(super) fn header_action(&mut self, action: Option<Located<'_>>) -> HeaderAction {
        let Some(action) = action else { return HeaderAction::default() };
        let mut removed = |name: &str| {
            action
                .list(name)
                .filter_map(|header| self.header_name(&header, header.text()?))
                .collect::<Vec<_>>()
        };
        let (request_remove, response_remove) =
            (removed("requestHeadersToRemove"), removed("responseHeadersToRemove"));
        let mut added =
            |name: &str| action.list(name).filter_map(|header| self.added(&header)).collect::<Vec<_>>();
        HeaderAction {
            request_add: added("requestHeadersToAdd"),
            response_add: added("responseHeadersToAdd"),
            request_remove,
            response_remove,
        }
    }

    fn added(&mut self, header: &Located<'_>) -> Option<AddedHeader> {
        let Some(name) = header.get("headerName") else {
            self.error_in(
                header,
                "headerName",
                code::URL_MAP_HEADER,
                "the header has no `headerName`",
                "add its name",
            );
            return None;
        };
        let name = self.header_name(&name, name.text()?)?;
        let value = header.get("headerValue");
        let text = value.as_ref().and_then(|value| value.text()).unwrap_or_default();
        if text.bytes().any(|byte| byte != b'\t' && !(b' '..0x7f).contains(&byte)) {
            self.error_in(
                header,
                "headerValue",
                code::URL_MAP_HEADER,
                "the value holds what no header carries",
                "write visible ASCII",
            );
            return None;
        }
        let value = self.value(value.as_ref().unwrap_or(header), text);
        let has_variable = value.0.iter().any(|part| matches!(part, ValuePart::Variable(_)));
        let replace = header.get("replace").and_then(|word| word.boolean()).unwrap_or(!has_variable);
        Some(AddedHeader { name, value, replace })
    }

    /// The name of a header that a map may change, in lower case.
    fn header_name(&mut self, located: &Located<'_>, text: &str) -> Option<String> {
        if !is_header_name(text) {
            self.error(
                located,
                code::URL_MAP_HEADER,
                format!("{} is not the name of a header", quoted(text)),
                "write for example `x-version`",
            );
            return None;
        }
        if header_names::is_reserved(text) {
            let message = format!("{} is not the map's to change", quoted(text));
            let hint = "headers that speak of identity, of Google, of the way a request took or of the connection are set by Firegate alone; remove it";
            self.error(located, code::URL_MAP_HEADER, message, hint);
            return None;
        }
        Some(text.to_ascii_lowercase())
    }

    fn value(&mut self, located: &Located<'_>, text: &str) -> HeaderValueTemplate {
        let (value, unknown) = header_value(text);
        for name in unknown {
            let message = format!("`{{{name}}}` is empty here: Firegate does not know it");
            located.report(self.diagnostics, Part::Value, Diagnostic::note(code::URL_MAP_HEADER, message));
        }
        value
    }
}

/// The parts of a value, in which `{name}` is a variable and anything else stands for itself; and the variables that are empty
/// here.
pub(crate) fn header_value(text: &str) -> (HeaderValueTemplate, Vec<&str>) {
    let (mut parts, mut unknown) = (Vec::new(), Vec::new());
    let mut rest = text;
    let push = |parts: &mut Vec<ValuePart>, text: &str| {
        if !text.is_empty() {
            parts.push(ValuePart::Text(text.to_owned()));
        }
    };
    while let Some((before, name, after)) = variable(rest) {
        push(&mut parts, before);
        let known = VARIABLES.iter().find(|(known, _)| *known == name);
        if known.is_none() {
            unknown.push(name);
        }
        parts.push(ValuePart::Variable(known.map_or(HeaderVariable::Unknown, |(_, variable)| *variable)));
        rest = after;
    }
    push(&mut parts, rest);
    (HeaderValueTemplate(parts), unknown)
}

/// The first variable in a text, with what stands before and behind it.
fn variable(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find('{')?;
        let inside = text.get(start + 1..)?;
        let end = inside.find('}')?;
        let name = inside.get(..end)?;
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if is_name {
            return Some((text.get(..start)?, name, inside.get(end + 1..)?));
        }
        from = start + 1;
    }
}
