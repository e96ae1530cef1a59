use proptest::prelude::*;

use super::*;
use crate::limits::JSON_DEPTH_MAX;

fn check(text: &str, accepted: bool) {
    assert_eq!(parse_object(text.as_bytes()).is_ok(), accepted, "{text}");
}

#[test]
fn only_unambiguous_objects_are_accepted() {
    check(r#"{"a":1,"b":[true,null,"x",1.5,{"c":-2}]}"#, true);
    check(r#"{"a":1,"a":1}"#, false);
    check(r#"{"a":1,"\u0061":2}"#, false);
    check(r#"{"aud":1,"\u0061ud":2}"#, false);
    check(r#"{"a":{"b":1,"b":2}}"#, false);
    check(r#"{"a":1} "#, true);
    check(r#"{"a":1}x"#, false);
    check(r#"[]"#, false);
    check(r#"{"a":1e999}"#, false);
    check("", false);
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    check(&nested(JSON_DEPTH_MAX - 1), true);
    check(&nested(JSON_DEPTH_MAX), false);
    let wide = |count: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(count - 1));
    check(&wide(JSON_VALUES_MAX - 2), true);
    check(&wide(JSON_VALUES_MAX - 1), false);
}

#[test]
fn a_repeated_name_is_found_among_few_and_among_many() {
    let object = |names: &[String]| {
        let members = names.iter().map(|name| format!("{name:?}:[{{}}]")).collect::<Vec<_>>();
        format!("{{{}}}", members.join(","))
    };
    for count in [1, 2, 23, 24, 25, 26, 500] {
        let names = (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        let read = parse_object(object(&names).as_bytes()).expect("no name is repeated");
        assert!(read.keys().eq(&names), "{count} names in another order");
        for number in [0, count / 2, count - 1] {
            let repeated = [names.clone(), vec![number.to_string()]].concat();
            check(&object(&repeated), false);
        }
    }
}

#[test]
fn a_value_is_found_and_is_what_was_written() {
    let text = r#" { "a" : { "x" : [ 1 , { "b" : 2 } ] } , "b\n" : "\ud83d\ude00\"" , "" : -0 , "n" : 9223372036854775808,
        "i" : -9223372036854775808, "f" : 1.0, "t" : true, "\u0075" : null, "s" : "ü" } "#;
    let document = JsonDocument::read(text.into(), 100, 100).expect("an object");
    let object = document.object();
    assert_eq!(object.keys().collect::<Vec<_>>(), ["a", "b\n", "", "n", "i", "f", "t", "u", "s"]);
    assert!(object.get("x").is_none() && object.get("b").is_none() && object.contains_key("u"));
    assert_eq!((object.text("b\n"), object.text("s"), object.text("t")), (Some("😀\""), Some("ü"), None));
    let integers = ["", "n", "i", "f", "s"].map(|name| object.integer(name));
    assert_eq!(integers, [None, None, Some(i64::MIN), None, None]);
    assert_eq!(object.get("t").and_then(JsonValue::as_bool), Some(true));
    let inner = object.get("a").and_then(JsonValue::as_object).and_then(|inner| inner.get("x"));
    let Some(JsonValue::Array(elements)) = inner else { panic!("{inner:?}") };
    let elements = elements.iter().collect::<Vec<_>>();
    assert_eq!((elements.len(), elements[0].as_i64()), (2, Some(1)));
    assert_eq!(elements[1].as_object().and_then(|object| object.integer("b")), Some(2));
    compare(text);
}

/// Compares the strict reading with that of another reader, which takes the last of several members of a name.
fn compare(text: &str) {
    let strict = parse_object(text.as_bytes());
    let lenient = serde_json::from_str::<Map<String, Value>>(text).ok();
    let lenient = lenient.filter(|members| count(members) == colons_outside_strings(text));
    assert_eq!(strict.ok(), lenient, "{text}");
}

fn count(members: &Map<String, Value>) -> usize {
    fn within(value: &Value) -> usize {
        match value {
            Value::Object(members) => count(members),
            Value::Array(values) => values.iter().map(within).sum(),
            _ => 0,
        }
    }
    members.len() + members.values().map(within).sum::<usize>()
}

fn colons_outside_strings(text: &str) -> usize {
    let (mut count, mut is_inside, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_inside => is_escaped = true,
            b'"' => is_inside = !is_inside,
            b':' if !is_inside => count += 1,
            _ => {}
        }
    }
    count
}

/// What texts are made of that are nearly JSON.
const PIECES: [&str; 64] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "{\"a\":",
    "\"b\":",
    ",\"a\":",
    ",\"\\u0061\":",
    "\"",
    "\"\"",
    "\"abc\"",
    "\"a very long text, \"",
    "\"é😀\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\/\"",
    "\"\\b\\f\\n\\r\\t\"",
    "\"\\u0041\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ud83dx\"",
    "\"\\ud83d\\u0041\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u+123\"",
    "\"\\x\"",
    "\"\\",
    "\"\u{1}\"",
    "\"\u{1f}\"",
    "\"\u{7f}\"",
    "\u{feff}",
    "0",
    "-0",
    "-",
    "01",
    "1",
    "12",
    "-7",
    "1.5",
    "1.",
    ".5",
    "1e5",
    "1E+5",
    "1e-5",
    "1e",
    "1e999",
    "-1e999",
    "123456789012345678",
    "1234567890123456789",
    "18446744073709551616",
    "0.1e1",
    "true",
    "false",
    "null",
    "tru",
    " ",
    "\n",
    "\t\r",
    "\u{b}",
    "x",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_json_is_read_as_another_reader_reads_it(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12),
    ) {
        compare(&pieces.concat());
        compare(&format!("{{\"a\":{}}}", pieces.concat()));
        compare(&format!("{{\"a\":[{}]}}", pieces.join(",")));
    }

    #[test]
    fn a_string_is_what_another_reader_reads(
        text in "(\\PC|[\"\\\\/\u{0}-\u{1f}é😀]|\\\\(u[0-9a-fA-F]{4}|[\"\\\\/bfnrtx])){0,24}",
    ) {
        compare(&format!("{{\"a\":\"{text}\"}}"));
        compare(&format!("{{\"{text}\":1,\"\\u0061\":2}}"));
    }

    #[test]
    fn a_change_of_one_byte_is_read_as_another_reader_reads_it(at in 0..PAYLOAD.len(), byte in 0..0x80_u8) {
        let mut bytes = PAYLOAD.as_bytes().to_vec();
        bytes[at] = byte;
        compare(str::from_utf8(&bytes).expect("ASCII"));
        bytes.truncate(at);
        compare(str::from_utf8(&bytes).expect("ASCII"));
    }
}

const PAYLOAD: &str = r#"{"name":"Ada \u004c.","iss":"https://securetoken.google.com/demo-project","aud":"demo-project","auth_time":1799999940,
    "email_verified":true,"x":null,"y":[1.5e3,-2,{}],"firebase":{"identities":{"email":["ada@example.com"]},"sign_in_provider":"password"}}"#;
