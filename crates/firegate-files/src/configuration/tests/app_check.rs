//! App Check: for which apps, and of which project.

use super::*;

#[test]
fn app_check() {
    const NUMBER: &str = "project_number: 12\n";
    let users = |word: &str| with(&format!("users: {{ app_check: {word} }}\n"));
    let own = |word: &str| backend(&format!("url: https://a.run.app\napp_check: {word}"));
    for (file, path) in [(&users as &dyn Fn(&str) -> String, "users"), (&own, "backends.api")] {
        let check = |word: &str, more: &str, expected: &[&str]| {
            let expected: Vec<String> = expected.iter().map(|found| found.replace("AT", path)).collect();
            assert_eq!(findings(&format!("{}{more}", file(word))), expected, "{path}: {word}");
        };
        check("off", "", &[]);
        check("required", NUMBER, &[]);
        check("{ apps: [\"1:12:ios:ab\"], consume: true }", NUMBER, &[]);
        check("{}", NUMBER, &[]);
        check("required", "", &["FG102 AT.app_check"]);
        check("{ consume: true }", "", &["FG102 AT.app_check"]);
        check("required", "project_number: my-project\n", &["FG102 project_number"]);
        check("{ apps: [] }", NUMBER, &["FG146 AT.app_check.apps"]);
        check("{ apps: [\"\"] }", NUMBER, &["FG146 AT.app_check.apps[0]"]);
        check("{ apps: [\"1:13:ios:ab\"] }", NUMBER, &["FG146 AT.app_check.apps[0]"]);
        check("requird", NUMBER, &["FG006 AT.app_check"]);
        check("{ app: [] }", NUMBER, &["FG004 AT.app_check.app"]);
    }
}

#[test]
fn a_backends_own_app_check_replaces_the_general_one() {
    let resolved = |general: &str, own: &str| {
        let own = if own.is_empty() { String::new() } else { format!("\napp_check: {own}") };
        let text = backend(&format!("url: https://a.run.app{own}"));
        let text = format!("{text}project_number: 12\nusers: {{ app_check: {general} }}\n");
        api(&accepted(&text)).app_check.clone()
    };
    let required = |apps: Option<&str>, consume: bool| AppCheck::Required {
        project_number: "12".parse().unwrap(),
        apps: apps.map(|app| vec![app.to_owned()]),
        consume,
    };
    assert_eq!(resolved("off", ""), AppCheck::Off);
    assert_eq!(resolved("required", ""), required(None, false));
    assert_eq!(resolved("required", "off"), AppCheck::Off);
    assert_eq!(resolved("off", "{ consume: true }"), required(None, true));
    // The whole setting is replaced: the apps of the general one are not kept.
    assert_eq!(resolved("{ apps: [\"1:12:web:a\"] }", "{ consume: true }"), required(None, true));
    assert_eq!(
        resolved("{ consume: true }", "{ apps: [\"1:12:web:a\"] }"),
        required(Some("1:12:web:a"), false)
    );
}

/// What a backend leaves out of the setting of `users` is easily taken for inherited.
#[test]
fn what_a_backends_own_app_check_loses_is_said() {
    const APPS: &str = "apps: [\"1:12:web:a\"]";
    let check = |general: &str, own: &str, expected: usize| {
        let text = backend(&format!("url: https://a.run.app\napp_check: {own}"));
        let text = format!("{text}project_number: 12\nusers: {{ app_check: {general} }}\n");
        assert_eq!(findings(&text), vec!["FG146 backends.api.app_check"; expected], "{general} {own}");
        accepted(&text);
    };
    let general = format!("{{ {APPS}, consume: true }}");
    check(&general, "{}", 2);
    check(&general, "{ consume: false }", 1);
    check(&general, &format!("{{ {APPS} }}"), 1);
    check(&general, &format!("{{ {APPS}, consume: false }}"), 0);
    // Each of these words is the whole of what it says.
    check(&general, "off", 0);
    check(&general, "required", 0);
    for nothing in ["off", "required", "{ consume: false }"] {
        check(nothing, "{}", 0);
    }
}

#[test]
fn app_check_without_the_project_number() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\napp_check: required")), @r#"
        error[FG102]: App Check needs the `project_number`
         --> firegate.yaml:6:16
          |
        6 |     app_check: required
          |                ^^^^^^^^
          |
          = hint: add `project_number: "123456789012"`; `gcloud projects describe PROJECT_ID --format='value(projectNumber)'` prints it
        "#);
}

#[test]
fn apps_that_are_none() {
    insta::assert_snapshot!(rendered(&with("project_number: 123456789012\nusers:\n  app_check: { apps: [\"1:999:web:abc\", \"\"] }\n")), @r#"
        warning[FG146]: `1:999:web:abc` is not the ID of an app of the project 123456789012
         --> firegate.yaml:7:23
          |
        7 |   app_check: { apps: ["1:999:web:abc", ""] }
          |                       ^^^^^^^^^^^^^^^
          |
          = hint: copy the App ID from the project settings in the Firebase console: `1:123456789012:web:…`

        error[FG146]: an app ID is a text without white space
         --> firegate.yaml:7:40
          |
        7 |   app_check: { apps: ["1:999:web:abc", ""] }
          |                                        ^^
          |
          = hint: write for example `1:123456789012:web:0123456789abcdef`
        "#);
}
