//! What people paste when they are asked for a token, and the token in it.

use serde_json::Value;

use super::limits::WRAPPINGS_MAX;

/// A token, freed of what was pasted along with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pasted {
    /// What remains.
    pub(super) token: String,
    /// What was taken off, each in a sentence that quotes nothing of the token.
    pub(super) notes: Vec<String>,
}

/// The names under which Identity Platform's own answers hold a token.
const ANSWER_MEMBERS: [&str; 3] = ["idToken", "id_token", "sessionCookie"];

/// Takes off quotes, the header around the token, line breaks, and the JSON of a sign-in answer.
pub(super) fn unwrap(text: &str) -> Pasted {
    let mut token = text.trim().to_owned();
    let mut notes: Vec<String> = Vec::new();
    for _ in 0..WRAPPINGS_MAX {
        let Some((inner, note)) = unwrap_once(&token) else { break };
        token = inner;
        if !notes.iter().any(|known| known == note) {
            notes.push(note.to_owned());
        }
    }
    if !token.chars().all(|character| is_of_a_token(character) || character.is_whitespace())
        && let Some(inner) = within(&token)
    {
        notes.push(
            "the token was taken out of the text around it; an app that sends that too is refused with TOKEN_MALFORMED".to_owned(),
        );
        token = inner;
    }
    // What JavaScript makes of an object is told as such, and only with its blank.
    if token.contains(char::is_whitespace) && !token.starts_with("[object ") {
        token.retain(|character| !character.is_whitespace());
        notes.push(
            "spaces or line breaks inside the token were left out; an app must send it in one piece"
                .to_owned(),
        );
    }
    Pasted { token, notes }
}

fn unwrap_once(text: &str) -> Option<(String, &'static str)> {
    if let Some(token) = from_answer(text) {
        return Some((token, "the token was taken out of the JSON of a sign-in answer"));
    }
    for (prefix, note) in [
        ("authorization:", "`Authorization:` before the token was left out"),
        ("x-firegate-assertion:", "`X-Firegate-Assertion:` before the token was left out"),
        (
            "bearer ",
            "`Bearer` before the token was left out; in the header it stands once, before the result of getIdToken()",
        ),
    ] {
        if text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
            return Some((text.get(prefix.len()..)?.trim().to_owned(), note));
        }
    }
    let bare = text.trim_matches(['"', '\'', '`', ',', ';', '“', '”', '‘', '’']);
    (bare.len() < text.len()).then(|| {
        let note =
            "quotes around the token were left out; an app that sends them is refused with TOKEN_MALFORMED";
        (bare.trim().to_owned(), note)
    })
}

/// The token in a text that holds more: a command line, a cookie, a URL, JSON. Of several it is the one behind `Bearer`.
fn within(text: &str) -> Option<String> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find(TOKEN_START) {
        let (before, from) = rest.split_at(start);
        let (token, after) =
            from.split_at(from.find(|character| !is_of_a_token(character)).unwrap_or(from.len()));
        let is_whole = token.split('.').count() == 3 && token.split('.').all(|part| !part.is_empty());
        if is_whole && !before.ends_with(is_of_a_token) {
            let is_bearer = before.trim_end().to_ascii_lowercase().ends_with("bearer");
            tokens.push((token, is_bearer));
        }
        rest = after;
    }
    if tokens.len() > 1 {
        tokens.retain(|(_, is_bearer)| *is_bearer);
    }
    match tokens.as_slice() {
        [(token, _)] => Some((*token).to_owned()),
        _ => None,
    }
}

/// How the header of a token begins: `{"` in base64url.
const TOKEN_START: &str = "eyJ";

fn is_of_a_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

fn from_answer(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let answer = serde_json::from_str::<Value>(text).ok()?;
    ANSWER_MEMBERS.iter().find_map(|member| answer.get(member)?.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str, notes: usize) {
        let pasted = unwrap(text);
        assert_eq!(
            (pasted.token.as_str(), pasted.notes.len()),
            (expected, notes),
            "{text:?}: {:?}",
            pasted.notes
        );
    }

    #[test]
    fn what_comes_along_with_a_token_is_taken_off() {
        check("a.b.c", "a.b.c", 0);
        check("  a.b.c\n", "a.b.c", 0);
        check("Bearer a.b.c", "a.b.c", 1);
        check("Authorization: bearer a.b.c", "a.b.c", 2);
        check("x-firegate-assertion: a.b.c", "a.b.c", 1);
        check("'Authorization: Bearer a.b.c'", "a.b.c", 3);
        check("\"a.b.c\",", "a.b.c", 1);
        check("“a.b.c”", "a.b.c", 1);
        check("a.b\n  .c", "a.b.c", 1);
        check("Bearer [object Promise]", "[object Promise]", 1);
        check(r#"{"kind": "x", "idToken": "a.b.c", "refreshToken": "r"}"#, "a.b.c", 1);
        check(r#"{"refreshToken": "r"}"#, r#"{"refreshToken":"r"}"#, 1);
        check("Bearer", "Bearer", 0);
        check("", "", 0);
        check("é", "é", 0);
        check("bearer é", "é", 1);
    }

    #[test]
    fn a_token_is_found_in_whatever_was_pasted_with_it() {
        let check_found = |text: &str| {
            let pasted = unwrap(text);
            assert_eq!(pasted.token, "eyJ0.eyJ1.c2ln", "{text}");
            assert!(pasted.notes.iter().any(|note| note.contains("out of the text around it")), "{text}");
        };
        check_found(r#"{"access_token": "eyJ0.eyJ1.c2ln"}"#);
        check_found(r#""{\"token\":\"eyJ0.eyJ1.c2ln\"}""#);
        check_found("'Authorization': `Bearer eyJ0.eyJ1.c2ln`,");
        check_found("curl -H 'Authorization: Bearer eyJ0.eyJ1.c2ln' https://api.example.com/a.b.c");
        check_found(
            "curl -H 'X-Firebase-AppCheck: eyJ0.eyJ2.c2ln' -H 'authorization: bearer eyJ0.eyJ1.c2ln'",
        );
        check_found("Cookie: a=b; __session=eyJ0.eyJ1.c2ln; c=d");
        check_found("https://api.example.com/x?access_token=eyJ0.eyJ1.c2ln&b=1");
        check_found("GET / HTTP/1.1\nHost: a\nAuthorization: Bearer eyJ0.eyJ1.c2ln\n");
        check_found("eyJ0.eyJ1.c2ln%0A");
        // Which of two it is nobody can say, and what is broken in itself is not mended.
        check("a=eyJ0.eyJ1.c2ln&b=eyJ0.eyJ2.c2ln", "a=eyJ0.eyJ1.c2ln&b=eyJ0.eyJ2.c2ln", 0);
        check("eyJ0.eyJ1.c2ln.", "eyJ0.eyJ1.c2ln.", 0);
        check("a=eyJ0.eyJ1", "a=eyJ0.eyJ1", 0);
    }

    #[test]
    fn unwrapping_ends() {
        let nested = format!("{}a.b.c", "Bearer ".repeat(WRAPPINGS_MAX + 2));
        assert!(unwrap(&nested).token.ends_with("a.b.c"));
    }
}
