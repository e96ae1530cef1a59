//! JSON that two parsers read differently, and JSON that costs its reader more than its sender.

use super::case::{Corpus, Draft, NOW, Offered};

const MALFORMED: &str = "TOKEN_MALFORMED";

pub(crate) fn add(corpus: &mut Corpus) {
    repeated_members(corpus);
    syntax(corpus);
    extents(corpus);
}

fn repeated_members(corpus: &mut Corpus) {
    let corpus = corpus.class("json-repeated", Offered::IdToken);
    let payload = |from: &str, to: &str| Draft::id_token().payload_replaced(from, to).sign();
    for (name, from, to) in [
        ("aud_same", r#""aud":"#, r#""aud":"demo-project","aud":"#),
        ("aud_other_first", r#""aud":"#, r#""aud":"other-project","aud":"#),
        ("aud_other_last", r#""sub":"#, r#""aud":"other-project","sub":"#),
        ("sub_first", r#""sub":"#, r#""sub":"eve","sub":"#),
        ("sub_last", r#""exp":"#, r#""sub":"eve","exp":"#),
        ("sub_null", r#""exp":"#, r#""sub":null,"exp":"#),
        ("iss", r#""iss":"#, r#""iss":"https://evil.example","iss":"#),
        ("exp", r#""exp":"#, r#""exp":1,"exp":"#),
        ("iat", r#""iat":"#, r#""iat":1,"iat":"#),
        ("auth_time", r#""auth_time":"#, r#""auth_time":1,"auth_time":"#),
        ("email", r#""email":"#, r#""email":"eve@example.com","email":"#),
        ("email_verified", r#""email_verified":"#, r#""email_verified":false,"email_verified":"#),
        ("firebase", r#""firebase":"#, r#""firebase":{},"firebase":"#),
        ("custom_claim", r#""role":"#, r#""role":"admin","role":"#),
        ("escaped_aud", r#""aud":"#, r#""\u0061ud":"other-project","aud":"#),
        ("escaped_aud_last", r#""sub":"#, r#""a\u0075d":"other-project","sub":"#),
        ("escaped_capital_hex", r#""iss":"#, r#""\u006Aunk":1,"junk":2,"iss":"#),
        ("escaped_both", r#""iss":"#, r#""\u0061":1,"\u0061":2,"iss":"#),
        ("escaped_slash", r#""iss":"#, r#""a\/b":1,"a/b":2,"iss":"#),
        ("escaped_surrogates", r#""iss":"#, r#""\ud83d\ude00":1,"😀":2,"iss":"#),
        ("empty_names", r#""iss":"#, r#""":1,"":2,"iss":"#),
        ("prototype", r#""iss":"#, r#""__proto__":{},"__proto__":{},"iss":"#),
        (
            "nested_provider",
            r#""sign_in_provider":"#,
            r#""sign_in_provider":"anonymous","sign_in_provider":"#,
        ),
        ("nested_tenant", r#""sign_in_provider":"#, r#""tenant":"a","tenant":"b","sign_in_provider":"#),
        ("nested_twice", r#""identities":{"#, r#""identities":{"email":[],"#),
        ("in_an_array", r#""iss":"#, r#""x":[{"a":1,"a":1}],"iss":"#),
    ] {
        corpus.refuse(name, &format!("{to} in the payload"), payload(from, to), MALFORMED);
    }
    for (name, from, to) in [
        ("header_alg_none_first", r#""alg":"#, r#""alg":"none","alg":"#),
        ("header_alg_none_last", r#""kid":"#, r#""alg":"none","kid":"#),
        ("header_alg_same", r#""alg":"#, r#""alg":"RS256","alg":"#),
        ("header_alg_escaped", r#""alg":"#, r#""\u0061lg":"HS256","alg":"#),
        ("header_kid", r#""kid":"#, r#""kid":"x","kid":"#),
        ("header_typ", r#""typ":"#, r#""typ":"x","typ":"#),
        ("header_unknown", r#""typ":"#, r#""x":1,"x":1,"typ":"#),
    ] {
        let token = Draft::id_token().header_replaced(from, to).sign();
        corpus.refuse(name, &format!("{to} in the header"), token, MALFORMED);
    }
}

fn syntax(corpus: &mut Corpus) {
    let corpus = corpus.class("json-syntax", Offered::IdToken);
    let text = Draft::id_token().payload.to_string();
    let header = Draft::id_token().header.to_string();
    let inner = &text[1..text.len() - 1];
    for (name, how, payload) in [
        ("trailing_letter", "a letter after the object", format!("{text}x")),
        ("trailing_object", "a second object", format!("{text}{{}}")),
        ("trailing_nul", "a NUL after the object", format!("{text}\u{0}")),
        ("trailing_comma", "a comma before the last bracket", format!("{{{inner},}}")),
        ("leading_comma", "a comma after the first bracket", format!("{{,{inner}}}")),
        ("double_comma", "two commas", text.replacen(',', ",,", 1)),
        ("block_comment", "a comment", format!("{{/* x */{inner}}}")),
        ("line_comment", "a comment to the line's end", format!("{{// x\n{inner}}}")),
        ("hash_comment", "a comment with #", format!("{{# x\n{inner}}}")),
        ("hash_prefix", "the prefix against inclusion as a script", format!(")]}}'\n{text}")),
        ("single_quotes", "single quotes", text.replace('"', "'")),
        ("bare_names", "names without quotes", text.replacen(r#""aud""#, "aud", 1)),
        ("cut", "without the last bracket", text[..text.len() - 1].to_owned()),
        ("array", "an array around the claims", format!("[{text}]")),
        ("empty_array", "an empty array", "[]".to_owned()),
        ("string", "a string that holds the claims", serde_json::Value::String(text.clone()).to_string()),
        ("number", "a number", "1".to_owned()),
        ("true", "true", "true".to_owned()),
        ("null", "null", "null".to_owned()),
        ("empty", "white space alone", " ".to_owned()),
        ("form", "a form", "iss=x&aud=demo-project".to_owned()),
        ("yaml", "YAML", "iss: x\naud: demo-project\n".to_owned()),
        ("vertical_tab", "white space that JSON has not", format!("\u{b}{text}")),
        ("no_break_space", "a no-break space before the object", format!("\u{a0}{text}")),
        ("nan", "a claim NaN", format!("{{\"x\":NaN,{inner}}}")),
        ("infinity", "a claim Infinity", format!("{{\"x\":Infinity,{inner}}}")),
        ("negative_infinity", "a claim -Infinity", format!("{{\"x\":-Infinity,{inner}}}")),
        ("undefined", "a claim undefined", format!("{{\"x\":undefined,{inner}}}")),
        ("python_true", "a claim True", format!("{{\"x\":True,{inner}}}")),
        ("too_large_number", "a claim of 1e999", format!("{{\"x\":1e999,{inner}}}")),
        ("leading_plus", "a claim +1", format!("{{\"x\":+1,{inner}}}")),
        ("leading_zero", "a claim 01", format!("{{\"x\":01,{inner}}}")),
        ("leading_dot", "a claim .5", format!("{{\"x\":.5,{inner}}}")),
        ("trailing_dot", "a claim 5.", format!("{{\"x\":5.,{inner}}}")),
        ("hexadecimal", "a claim 0x10", format!("{{\"x\":0x10,{inner}}}")),
        ("underscores", "a claim 1_000", format!("{{\"x\":1_000,{inner}}}")),
        ("lone_minus", "a claim -", format!("{{\"x\":-,{inner}}}")),
        ("number_as_name", "a number as a name", format!("{{1:2,{inner}}}")),
    ] {
        corpus.refuse(name, how, Draft::id_token().payload_bytes(payload).sign(), MALFORMED);
    }
    for (name, how, header) in [
        ("header_array", "an array around the header", format!("[{header}]")),
        ("header_string", "a string as header", "\"RS256\"".to_owned()),
        ("header_null", "null as header", "null".to_owned()),
        ("header_trailing", "a letter after the header's object", format!("{header}x")),
        ("header_comment", "a comment in the header", header.replacen('{', "{/**/", 1)),
        ("header_trailing_comma", "a comma before the header's last bracket", header.replace('}', ",}")),
        ("header_cut", "without the header's last bracket", header.replace('}', "")),
        ("header_nan", "NaN in the header", header.replacen('{', "{\"x\":NaN,", 1)),
    ] {
        corpus.refuse(name, how, Draft::id_token().header_bytes(header).sign(), MALFORMED);
    }
}

/// Depth, number of members and number of values; 32, 512 and 2048 are allowed.
fn extents(corpus: &mut Corpus) {
    let corpus = corpus.class("json-extent", Offered::IdToken);
    let with = |value: String| Draft::id_token().payload_replaced("{", &format!("{{\"x\":{value},")).sign();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let nested_objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let wide = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    corpus.accept("nested_31", "31 arrays in one another below the payload", with(nested(31)));
    corpus.refuse("nested_32", "one more", with(nested(32)), MALFORMED);
    corpus.refuse("nested_127", "127 of them: as deep as many parsers go", with(nested(127)), MALFORMED);
    corpus.refuse("nested_3000", "3000 of them", with(nested(3000)), MALFORMED);
    corpus.refuse("nested_objects_32", "32 objects in one another", with(nested_objects(32)), MALFORMED);
    corpus.refuse("nested_objects_1000", "1000 of them", with(nested_objects(1000)), MALFORMED);
    corpus.refuse(
        "nested_unclosed",
        "3000 brackets that are never closed",
        with("[".repeat(3000)),
        MALFORMED,
    );
    corpus.accept("values_2000", "an array of 2000 numbers", with(wide(2000)));
    corpus.refuse("values_2048", "an array of 2048 numbers", with(wide(2048)), MALFORMED);
    corpus.refuse("values_4096", "an array of 4096 numbers", with(wide(4096)), MALFORMED);
    let members = |count: usize| {
        let members = (0..count).map(|at| format!("\"{at:x}\":0")).collect::<Vec<_>>().join(",");
        with(format!("{{{members}}}"))
    };
    // The token has 15 members of its own, and the object that holds these is another.
    corpus.accept("members_496", "as many members as are allowed, in one object", members(512 - 16));
    corpus.refuse("members_497", "one more", members(512 - 15), MALFORMED);
    corpus.refuse("members_100000", "an object of 100,000 members", members(100_000), MALFORMED);
    let claims = |count: usize| {
        let claims = (0..count).map(|at| format!("\"c{at:x}\":0,")).collect::<String>();
        Draft::id_token().payload_replaced("{", &format!("{{{claims}")).sign()
    };
    corpus.accept("claims_497", "as many claims as are allowed", claims(512 - 15));
    corpus.refuse("claims_498", "one more", claims(512 - 14), MALFORMED);
    corpus.refuse("claims_100000", "100,000 claims", claims(100_000), MALFORMED);
    corpus.refuse(
        "header_nested_32",
        "a header that is 32 arrays deep",
        Draft::id_token().header_replaced("{", &format!("{{\"x\":{},", nested(32))).sign(),
        MALFORMED,
    );
    corpus.accept(
        "many_digits",
        "a claim of 3000 digits after the point",
        with(format!("0.{}", "1".repeat(3000))),
    );
    corpus.accept(
        "big_integer_claim",
        "a custom claim beyond 64 bits",
        with("123456789012345678901234567890".to_owned()),
    );
    corpus.accept("repeated_in_siblings", "one name in two objects", {
        with(format!("[{{\"a\":{NOW}}},{{\"a\":{NOW}}}]"))
    });
}
