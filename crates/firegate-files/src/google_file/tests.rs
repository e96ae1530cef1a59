use super::*;
use crate::diagnostic::{Diagnostic, Severity, code};
use std::time::Duration;

static ACTION: MessageType = MessageType {
    name: "Action",
    kind: None,
    fields: &[
        Field::evaluated("timeout", Shape::Duration),
        Field::evaluated("match", Shape::Message(&MATCH)),
        Field::evaluated("services", Shape::List(&Shape::Resource)),
        Field::output_only("selfLinkWithId", Shape::Text),
    ],
};

static MATCH: MessageType = MessageType {
    name: "Match",
    kind: None,
    fields: &[
        Field::evaluated("prefix", Shape::Text),
        Field::kept("title", Shape::Text),
        Field::others_refused("it may say what matches"),
    ],
};

static THING: MessageType = MessageType {
    name: "Thing",
    kind: Some("compute#thing"),
    fields: &[
        Field::output_only("kind", Shape::Text),
        Field::output_only("id", Shape::Integer),
        Field::kept("description", Shape::Text),
        Field::kept("labels", Shape::Map(&Shape::Text)),
        Field::kept("fingerprint", Shape::Text),
        Field::evaluated("state", Shape::Word(&["UP", "DOWN"])),
        Field::evaluated("size", Shape::WordInAnyCase(&["8KB", "16KB"])),
        Field::evaluated("count", Shape::Integer),
        Field::evaluated("share", Shape::Number),
        Field::evaluated("preview", Shape::Boolean),
        Field::evaluated("actions", Shape::List(&Shape::Message(&ACTION))),
        Field::without_effect("adaptive", Shape::Any, "Google alone sees enough traffic"),
        Field::refused("network", Shape::Any, "there are no packets here"),
    ],
};

fn read(text: &str) -> (Option<GoogleFile>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let file = GoogleFile::parse("thing.yaml", text, &THING, &mut diagnostics);
    (file, diagnostics)
}

/// `expected`: severity, code and path of each finding.
fn check(text: &str, expected: &[(Severity, &str, &str)]) {
    let (_, diagnostics) = read(text);
    let found: Vec<_> = diagnostics.iter().map(|d| (d.severity, d.code, d.path.as_str())).collect();
    assert_eq!(found, expected, "{text}\n{diagnostics}");
}

#[test]
fn what_conforms_has_no_findings() {
    check(
        "kind: compute#thing\nid: '1'\ndescription: ''\nlabels: {a: b}\nstate: UP\nsize: 8kb\ncount: 5\n",
        &[],
    );
    check("{\"count\": \"5\", \"share\": 0.5, \"preview\": true, \"state\": null}", &[]);
    check(
        "actions:\n- timeout: {seconds: '30', nanos: 500000000}\n  services: [a, global/backendServices/b]\n",
        &[],
    );
    check("---\n- state: UP\n", &[]);
    check("kind: {}\nid: [1]\n", &[]);
}

#[test]
fn everything_that_does_not_conform_is_found_in_its_place() {
    use Severity::{Error, Note, Warning};
    check("state: up\n", &[(Error, code::UNKNOWN_VALUE, "state")]);
    check("size: 9KB\n", &[(Error, code::UNKNOWN_VALUE, "size")]);
    check("count: many\n", &[(Error, code::WRONG_TYPE, "count")]);
    check("count: 99999999999999999999\n", &[(Error, code::WRONG_TYPE, "count")]);
    check("share: .inf\n", &[(Error, code::WRONG_TYPE, "share")]);
    check("preview: 'true'\n", &[(Error, code::WRONG_TYPE, "preview")]);
    check("description: 5\n", &[(Warning, code::WRONG_TYPE, "description")]);
    check("labels: {a: 1}\n", &[(Warning, code::WRONG_TYPE, "labels.a")]);
    check("sate: UP\n", &[(Error, code::UNKNOWN_FIELD, "sate")]);
    check("descripton: a\n", &[(Warning, code::UNKNOWN_FIELD, "descripton")]);
    check("netwrok: {}\n", &[(Error, code::UNKNOWN_FIELD, "netwrok")]);
    check("title: a\n", &[(Note, code::UNKNOWN_FIELD, "title")]);
    check("novelty: {state: 1}\n", &[(Note, code::UNKNOWN_FIELD, "novelty")]);
    check("adaptive: {enable: true}\n", &[(Note, code::FIELD_WITHOUT_EFFECT, "adaptive")]);
    check("network: {}\n", &[(Error, code::FIELD_REFUSED, "network")]);
    check("actions: {}\n", &[(Error, code::WRONG_TYPE, "actions")]);
    check("actions: [1]\n", &[(Error, code::WRONG_TYPE, "actions[0]")]);
    check(
        "actions:\n- timeout: 30s\n- timeout: {seconds: -1}\n- timeout: {second: 1}\n- services: [a, 1]\n",
        &[
            (Error, code::WRONG_TYPE, "actions[0].timeout"),
            (Error, code::QUANTITY, "actions[1].timeout"),
            (Error, code::UNKNOWN_FIELD, "actions[2].timeout.second"),
            (Error, code::WRONG_TYPE, "actions[3].services[1]"),
        ],
    );
    check("- sate: UP\n", &[(Error, code::UNKNOWN_FIELD, "[0].sate")]);
}

#[test]
fn a_field_of_another_level_is_told_where_it_belongs() {
    let check = |text: &str, path: &str, expected: &str| {
        let (_, diagnostics) = read(text);
        let found = diagnostics.iter().next().unwrap();
        assert_eq!((found.severity, found.path.as_str()), (Severity::Error, path), "{text}\n{diagnostics}");
        assert!(diagnostics.to_string().contains(expected), "{diagnostics}");
    };
    check("prefix: /a\n", "prefix", "it belongs to `actions[].match`");
    check("actions:\n- match:\n  prefix: /a\n", "actions[0].prefix", "it belongs to `actions[].match`");
    check("actions: [{match: {state: UP}}]\n", "actions[0].match.state", "it belongs to the top of the file");
}

#[test]
fn a_finding_names_its_file_and_the_element_that_it_is_about() {
    let check = |text: &str, line: usize, hint: &str| {
        let (_, diagnostics) = read(text);
        let found = diagnostics.iter().next().unwrap();
        assert_eq!(
            found.place.as_ref().map(|place| (&*place.file, place.line)),
            Some(("thing.yaml", line)),
            "{text}"
        );
        assert!(diagnostics.to_string().contains(hint), "{diagnostics}");
    };
    check("", 1, "expected a mapping, found nothing");
    check("# nothing yet\n", 2, "expected a mapping, found nothing");
    check("<!DOCTYPE html>\n", 1, "expected a mapping");
    check("state: UP\nactions:\n- timeout: {seconds: 1}\n- timeout:\n    seconds: -1\n", 5, "whole numbers");
    check("actions:\n  timeout: {seconds: 1}\n", 2, "begin each of its elements with `- `");
    check("labels:\n  a: b\n  c: { d: e }\n", 3, "write it without the blank behind the colon: `'d:e'`");
    check("preview: 'true'\n", 1, "write it without quotes: `true`");
}

#[test]
fn an_element_that_lacks_something_is_named_and_not_its_list() {
    let (file, mut diagnostics) = read("state: UP\nactions:\n- services: [a]\n- services:\n  - b\n");
    let file = file.unwrap();
    let second = file.root().list("actions").nth(1).unwrap();
    second.report_field("timeout", &mut diagnostics, Diagnostic::error(code::MISSING_KEY, "no timeout"));
    file.root().report_field("count", &mut diagnostics, Diagnostic::error(code::MISSING_KEY, "no count"));
    let lines = diagnostics.iter().map(|found| found.place.as_ref().map(|place| place.line));
    assert_eq!(lines.collect::<Vec<_>>(), [Some(4), Some(1)]);
}

#[test]
fn a_message_that_refuses_other_fields_says_why() {
    let text = "actions: [{match: {prefix: /a, novelty: 1}}]\n";
    check(text, &[(Severity::Error, code::UNKNOWN_FIELD, "actions[0].match.novelty")]);
    let (_, diagnostics) = read(text);
    let expected = "`Match` has no field `novelty`: it may say what matches";
    assert!(diagnostics.to_string().contains(expected), "{diagnostics}");
}

#[test]
fn what_holds_no_such_message_is_not_read() {
    for (text, code) in [
        ("", code::WRONG_TYPE),
        ("text", code::WRONG_TYPE),
        ("[]", code::WRONG_TYPE),
        ("- state: UP\n- state: DOWN\n", code::WRONG_TYPE),
        ("kind: compute#other\n", code::OTHER_KIND),
        ("a: [", code::YAML_SYNTAX),
    ] {
        let (file, diagnostics) = read(text);
        assert!(file.is_none() && diagnostics.has_errors(), "{text}");
        assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [code], "{text}");
    }
}

#[test]
fn values_are_read_with_their_places() {
    let (file, _) = read(
        "state: UP\nsize: 16kb\ncount: '7'\nshare: '0.5'\npreview: false\nactions:\n- services:\n  - https://www.googleapis.com/compute/v1/projects/p/global/backendServices/web\n  timeout: {seconds: 1, nanos: 5}\n",
    );
    let file = file.unwrap();
    let root = file.root();
    assert_eq!(root.get("state").unwrap().text(), Some("UP"));
    assert_eq!(root.get("size").unwrap().word(&["8KB", "16KB"]), Some("16KB"));
    assert_eq!(root.get("count").unwrap().integer(), Some(7));
    assert_eq!(root.get("share").unwrap().number(), Some(0.5));
    assert_eq!(root.get("preview").unwrap().boolean(), Some(false));
    assert_eq!(root.get("preview").unwrap().text(), None);
    assert!(root.get("labels").is_none());
    let action = root.list("actions").next().unwrap();
    let service = action.list("services").next().unwrap();
    assert_eq!(service.resource_name(), Some("web"));
    assert_eq!(service.path().to_string(), "actions[0].services[0]");
    assert_eq!(service.place().map(|place| (place.line, place.column)), Some((8, 5)));
    let place = service.place_within(0..5).unwrap();
    assert_eq!((place.line, place.column, place.span.len()), (8, 5, 5));
    assert_eq!(action.get("timeout").unwrap().duration(), Some(Duration::new(1, 5)));
}

#[test]
fn a_part_of_a_text_has_its_own_place_where_the_text_stands_as_it_is() {
    let check = |text: &str, span: std::ops::Range<usize>, expected: (usize, usize, usize)| {
        let (file, _) = read(text);
        let file = file.unwrap();
        let place = file.root().get("description").unwrap().place_within(span).unwrap();
        assert_eq!((place.line, place.column, place.span.len()), expected, "{text}");
    };
    check("description: a == b\n", 2..4, (1, 16, 2));
    check("description: \"a == b\"\n", 2..4, (1, 17, 2));
    check("description: 'it''s'\n", 2..4, (1, 14, 7));
    check("description: >-\n  a ==\n  b\n", 2..4, (1, 1, 11));
}

#[test]
fn what_is_exported_has_no_field_of_googles_and_all_others() {
    let text = "kind: compute#thing\nid: '1'\nfingerprint: dT_5QmeI6h8=\nnovelty:\n  kind: kept\n  list: [1, [2, 'x']]\ncount: '5'\nactions:\n- selfLinkWithId: x\n  services: [a]\n";
    let (file, _) = read(text);
    let file = file.unwrap();
    let expected = "fingerprint: dT_5QmeI6h8=\nnovelty:\n  kind: kept\n  list:\n  - 1\n  - [2, \"x\"]\ncount: '5'\nactions:\n- services:\n  - a\n";
    assert_eq!(file.export(Form::Yaml), expected);
    let json: serde_json::Value = serde_json::from_str(&file.export(Form::Json)).unwrap();
    let expected = serde_json::json!({
        "fingerprint": "dT_5QmeI6h8=", "novelty": {"kind": "kept", "list": [1, [2, "x"]]}, "count": "5",
        "actions": [{"services": ["a"]}],
    });
    assert_eq!(json, expected);
    let (again, _) = read(&file.export(Form::Yaml));
    assert_eq!(again.unwrap().export(Form::Json), file.export(Form::Json));
}

#[test]
fn the_fields_of_a_format_are_listed_with_their_paths() {
    let paths: Vec<String> = THING.all_fields().into_iter().map(|(path, _)| path).collect();
    assert!(
        paths.contains(&"actions[]".to_owned()) && paths.contains(&"actions[].services[]".to_owned()),
        "{paths:?}"
    );
    assert!(paths.contains(&"labels.*".to_owned()), "{paths:?}");
}

#[test]
fn what_terraform_writes_is_told_as_it() {
    let check = |text: &str, message: &str, hint: &str| {
        let mut diagnostics = Diagnostics::new();
        let read =
            GoogleFile::parse("armor.yaml", text, &crate::security_policy::SECURITY_POLICY, &mut diagnostics);
        let found: Vec<_> = diagnostics.iter().collect();
        assert!(read.is_none() && found.len() == 1, "{text}: {diagnostics}");
        assert!(!diagnostics.to_string().contains("SECRET"), "{diagnostics}");
        assert!(found[0].message.starts_with(message), "{diagnostics}");
        assert!(found[0].hint.as_ref().is_some_and(|told| told.starts_with(hint)), "{diagnostics}");
    };
    check(
        "resource \"google_compute_security_policy\" \"policy\" {\n  name = \"edge\"\n}\n",
        "this file is no `SecurityPolicy`: expected a mapping",
        "this is Terraform's language",
    );
    check(
        "{ version: 4, terraform_version: 1.9.0, outputs: { password: SECRET }, resources: [] }\n",
        "expected a `SecurityPolicy`, and this is Terraform's own record of what it made",
        "`gcloud compute security-policies export` writes such a file",
    );
}

/// As Terraform spells fields. Each is one finding, and what is in it is looked at too.
#[test]
fn a_field_by_a_slightly_other_name_is_read_as_what_was_meant() {
    use Severity::Error;

    let text = "action:\n- service: [a]\n  match: { prefix: x }\n- time_out: { seconds: x }\n";
    let expected = [
        (Error, code::UNKNOWN_FIELD, "action"),
        (Error, code::UNKNOWN_FIELD, "action[0].service"),
        (Error, code::UNKNOWN_FIELD, "action[1].time_out"),
        (Error, code::QUANTITY, "action[1].time_out"),
    ];
    check(text, &expected);
    let (file, _) = read(text);
    let actions = file.as_ref().expect("a file").root().list("actions").collect::<Vec<_>>();
    let service = actions[0].list("services").next().expect("a service");
    assert_eq!((service.resource_name(), service.place().map(|place| place.line)), (Some("a"), Some(2)));
    // Where both are, the right one counts; and what has another shape is something else.
    let (file, _) = read("actions: []\naction: [{}]\n");
    assert_eq!(file.expect("a file").root().list("actions").count(), 0);
    let (file, _) = read("action: 7\n");
    assert!(file.expect("a file").root().get("actions").is_none());
}
