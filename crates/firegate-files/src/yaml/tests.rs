use super::*;
use crate::diagnostic::code;
use crate::limits::{FILE_BYTES_MAX, YAML_DEPTH_MAX, YAML_NODES_MAX};

fn document(text: &str) -> Document {
    let mut diagnostics = Diagnostics::new();
    let document = parse("test.yaml", text, &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics}");
    document.unwrap()
}

/// A code, and the line and column it is about.
type Found = (&'static str, Option<(usize, usize)>);

/// Whether a tree was built, and what was found.
fn refused(text: &str) -> (bool, Vec<Found>) {
    let mut diagnostics = Diagnostics::new();
    let parsed = parse("test.yaml", text, &mut diagnostics);
    // Whatever was found can be printed.
    assert!(!diagnostics.to_string().is_empty());
    let found = diagnostics.iter().map(|d| (d.code, d.place.as_ref().map(|p| (p.line, p.column)))).collect();
    (parsed.is_some(), found)
}

fn shown(document: &Document, path: &YamlPath, part: Part) -> String {
    let place = document.place(path, part).unwrap();
    format!("{}:{} {}", place.line, place.column, &document.text[place.span])
}

#[test]
fn every_value_has_its_place() {
    let document = document(
        "project: my-project\nbackends:\n  api:\n    url: \"http://x\"\n    allow: [a, b]\n  ö: { url: c }\nroutes:\n  - path: /*\n",
    );
    let root = YamlPath::root();
    let check = |path: YamlPath, part: Part, expected: &str| {
        assert_eq!(shown(&document, &path, part), expected, "{path}");
    };
    check(root.key("project"), Part::Value, "1:10 my-project");
    check(root.key("project"), Part::Key, "1:1 project");
    check(root.key("backends").key("api").key("url"), Part::Value, "4:10 \"http://x\"");
    check(root.key("backends").key("api").key("allow"), Part::Value, "5:12 [a, b]");
    check(root.key("backends").key("api").key("allow").index(1), Part::Value, "5:16 b");
    check(root.key("backends").key("ö"), Part::Value, "6:6 { url: c }");
    check(root.key("backends").key("ö").key("url"), Part::Value, "6:13 c");
    check(root.key("backends"), Part::Value, "2:1 backends");
    check(root.key("routes").index(0).key("path"), Part::Value, "8:11 /*");
    assert_eq!(document.place(&root.key("absent"), Part::Key), None);
    assert_eq!(document.place(&root, Part::Value), None);
}

#[test]
fn an_empty_file_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "~\n"] {
        assert!(document(text).root.is_null(), "{text:?}");
    }
}

#[test]
fn aliases_are_followed() {
    let document = document("a: &list [x, y]\nb: *list\n");
    assert_eq!(document.root.get("b").unwrap().value, document.root.get("a").unwrap().value);
}

#[test]
fn json_is_yaml_too() {
    let document = document(r#"{"project": "my-project", "users": {"accept": ["id_token"]}}"#);
    assert!(document.get(&YamlPath::root().key("users").key("accept").index(0)).is_some());
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let check = |text: &str, built: bool, expected: &[Found]| {
        assert_eq!(refused(text), (built, expected.to_vec()), "{text:?}");
    };
    check("a: [1, 2", false, &[(code::YAML_SYNTAX, Some((1, 4)))]);
    check("a: 1\na: 2\n", true, &[(code::DUPLICATE_KEY, Some((2, 1)))]);
    check("a: 1\n? [x]\n: 2\n", true, &[(code::YAML_FEATURE, Some((2, 3)))]);
    check("a: !env HOME\n", true, &[(code::YAML_FEATURE, Some((1, 9)))]);
    check("a: 1\n---\nb: 2\n", false, &[(code::YAML_FEATURE, Some((2, 1)))]);
    check("a: *nowhere\n", false, &[(code::YAML_SYNTAX, Some((1, 4)))]);
    check("a: &x [*x]\n", false, &[(code::YAML_FEATURE, Some((1, 8)))]);
}

#[test]
fn a_tab_is_named() {
    let mut diagnostics = Diagnostics::new();
    assert!(parse("test.yaml", "a:\n\tb: 1\n", &mut diagnostics).is_none());
    assert!(diagnostics.to_string().contains("YAML does not take tabs"), "{diagnostics}");
}

#[test]
fn amplification_is_bounded() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let alias = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    let deep = "[".repeat(YAML_DEPTH_MAX + 1) + &"]".repeat(YAML_DEPTH_MAX + 1);
    let wide = format!("[{}]", "1,".repeat(YAML_NODES_MAX));
    let long = format!("a: {}", "x".repeat(FILE_BYTES_MAX));
    for text in [laughs, deep, wide, long] {
        let (built, found) = refused(&text);
        assert!(!built);
        assert!(matches!(found[..], [(code::TOO_LARGE, _)]), "{found:?}");
    }
}

#[test]
fn the_deepest_allowed_file_is_parsed() {
    document(&("[".repeat(YAML_DEPTH_MAX) + &"]".repeat(YAML_DEPTH_MAX)));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}:,&*!?\"'|>#\\-a \n\tä]{0,60}") {
        let mut diagnostics = Diagnostics::new();
        let parsed = parse("test.yaml", &text, &mut diagnostics);
        proptest::prop_assert!(parsed.is_some() || diagnostics.has_errors());
        let _ = diagnostics.to_string();
    }
}
