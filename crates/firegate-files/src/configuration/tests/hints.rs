//! What the hints say where something else is meant than stands there.

use super::*;

/// The messages of all findings and their hints, in the order of the file.
fn told(text: &str) -> Vec<String> {
    let diagnostics = read(text).map_or_else(|found| found, |configuration| configuration.warnings);
    let line =
        |found: &Diagnostic| format!("{}; {}", found.message, found.hint.as_deref().unwrap_or_default());
    diagnostics.iter().map(line).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(told(text), expected, "{text}");
}

/// A configuration whose `backends` are these lines.
fn backends(lines: &str) -> String {
    format!("project: my-project\nallow: [allAuthenticatedUsers]\nbackends:\n{lines}\n")
}

#[test]
fn a_backend_without_its_name_is_told_as_one() {
    let settings =
        "  url: https://api-abc123-uc.a.run.app\n  user_token: forward\n  timeouts: { connect: 5s }";
    check(
        &backends(settings),
        &[
            "the backend has no name: `url`, `user_token` and `timeouts` are settings of one; give it a name, and write its settings \
           below it: `backends: { api: { url: …, user_token: …, timeouts: … } }`",
        ],
    );
    // Backends may have the names of settings.
    accepted(&backends("  url: https://a.run.app"));
    let named =
        "  url: https://a.run.app\n  streams: https://b.run.app\n  limits: { url: https://c.run.app }";
    let routes =
        "routes: [{ path: /a, backend: url }, { path: /b, backend: streams }, { path: /c, backend: limits }]";
    accepted(&format!("{}{routes}", backends(named)));
}

#[test]
fn a_misplaced_key_is_told_of_the_mappings_that_one_may_have_meant() {
    check(
        &with("tls: { cert: cert.pem, key: key.pem }\n"),
        &[
            "TLS needs a certificate; add `certificates: [ { cert: cert.pem, key: key.pem } ]`",
            "unknown key `cert` in `tls`; it belongs to the elements of `tls.certificates`",
            "unknown key `key` in `tls`; it belongs to the elements of `tls.certificates`",
        ],
    );
    check(
        &with("url_map: { path: map.yaml }\n"),
        &[
            "`url_map.file` is not given; add the name of the file",
            "unknown key `path` in `url_map`; the keys are `file`, `dialect` and `assume`",
        ],
    );
    check(
        &with("health: { listen: 127.0.0.1:1, credentials: key.json }\n"),
        &["unknown key `credentials` in `health`; the only key is `listen`"],
    );
    let of_users = "clock_skew: 5s";
    check(
        &backend(&format!("url: https://a.run.app\n{of_users}")),
        &["unknown key `clock_skew` in `backends.api`; it belongs to `users`"],
    );
    check(
        &backend("url: https://a.run.app\nconnect: 5s"),
        &["unknown key `connect` in `backends.api`; it belongs to `backends.NAME.timeouts`"],
    );
    check(
        &with("users: { user_token: forward }\n"),
        &[
            "unknown key `user_token` in `users`; it belongs to a backend: `backends: { NAME: { user_token: … } }`",
        ],
    );
}

#[test]
fn a_number_in_the_place_of_the_project_is_no_id_in_quotes_either() {
    let hint = "`gcloud projects describe 123456789012 --format='value(projectId)'` prints it; the number goes to `project_number`";
    check(
        &MINIMAL.replace("my-project", "123456789012"),
        &[&format!("expected text, found the number `123456789012`; {hint}")],
    );
    let told = told(&MINIMAL.replace("my-project", "true"));
    assert!(told[0].ends_with("and begins with a letter, for example `my-project`"), "{told:?}");
}

#[test]
fn a_url_is_suggested_of_what_looks_like_a_host_alone() {
    let variable = "a configuration has no variables: write the value itself, or fill them in before, for example with `envsubst`";
    for text in [
        "$BACKEND_URL",
        "${BACKEND_URL}",
        "{{ backend_url }}",
        "https://$BACKEND_HOST",
        "https://${HOST}:443",
    ] {
        let quoted = text.replace(' ', "");
        check(
            &backends(&format!("  api: '{quoted}'")),
            &[&format!("`{quoted}` holds a variable; {variable}")],
        );
    }
    let example = "write the whole URL, for example `https://api-abc123-uc.a.run.app`; `gcloud run services describe SERVICE \
        --format='value(status.url)'` prints it";
    check(&backends("  api: forward"), &[&format!("`forward` has no scheme; {example}")]);
    check(&backends("  api: a.run.app"), &["`a.run.app` has no scheme; did you mean `https://a.run.app`?"]);
    check(&backends("  api: localhost"), &["`localhost` has no scheme; did you mean `http://localhost`?"]);
    check(&backends("  api: api:8080"), &["`api:8080` has no scheme; did you mean `https://api:8080`?"]);
}

#[test]
fn a_file_of_googles_is_told_as_one_and_where_a_configuration_names_it() {
    let message = |what: &str, key: &str| {
        format!(
            "this is a file of Google's and no configuration: {what}; name it in a configuration, as `{key}`"
        )
    };
    let check_file = |text: &str, what: &str, key: &str| {
        check(text, &[&message(what, key)]);
    };
    check_file(
        &format!("name: p\n{}", security_policy("action: allow, match: {expr: {expression: 'true'}}")),
        "Security policy",
        "backends.NAME.security_policy",
    );
    check_file("name: m\ndefaultService: web\nhostRules: []\n", "URL map", "url_map");
    check_file("kind: compute#urlMap\n", "URL map", "url_map");
    check_file("bindings: []\netag: abc\n", "IAM policy of a Cloud Run service", "backends.NAME.iam_policy");
    check_file(
        "[{kind: compute#backendService, name: b}]",
        "Backend service",
        "load_balancer.backend_services",
    );
    // A configuration is one, whatever stands in it beside.
    let found = told(&with("bindings: []\netag: abc\nversion: 1\nrules: []\n"));
    assert_eq!(found.len(), 4, "{found:?}");
}

/// Files that are there and cannot be read.
struct Unreadable(io::ErrorKind);

impl NamedFiles for Unreadable {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(self.0.into())
    }
}

#[test]
fn of_a_file_that_cannot_be_read_it_is_told_what_helps() {
    let check = |kind: io::ErrorKind, expected: Option<&str>| {
        let found =
            parse_with_files("firegate.yaml", &with("groups: g.yaml\n"), &Unreadable(kind)).unwrap_err();
        let hints: Vec<_> = found.iter().map(|found| found.hint.as_deref()).collect();
        assert_eq!(hints, [expected], "{kind:?}");
    };
    let relative = "a relative name counts from the directory that firegate is started in";
    check(io::ErrorKind::NotFound, Some(relative));
    check(io::ErrorKind::NotADirectory, Some(relative));
    check(
        io::ErrorKind::PermissionDenied,
        Some("let the user that firegate runs as read it, and enter its directories"),
    );
    check(io::ErrorKind::IsADirectory, Some("name a file in it"));
    check(io::ErrorKind::InvalidData, Some("save it as UTF-8"));
    check(io::ErrorKind::TimedOut, None);
}

#[test]
fn a_parameter_in_the_path_of_a_route_stands_for_itself() {
    let routes = |path: &str| with(&format!("routes:\n- {{ path: '{path}', backend: api }}\n"));
    check(
        &routes("/users/{id}/*"),
        &[
            "`{id}` in the path of a route stands for itself; routes have no parameters: write `/users/*`, or a URL map with path \
           templates",
        ],
    );
    check(
        &routes("/users/:id"),
        &[
            "`:id` in the path of a route stands for itself; routes have no parameters: write `/users/*`, or a URL map with path \
           templates",
        ],
    );
    for path in ["/users/*", "/users/1:2", "/users/::", "/users/a{id}", "/batches:cancel"] {
        accepted(&routes(path));
    }
}

#[test]
fn every_origin_is_judged_also_beside_a_star() {
    let cors =
        |more: &str| with(&format!("cors: {{ origins: ['localhost:8081', 'https://a/x', '*']{more} }}\n"));
    let codes_and_paths = ["FG150 cors.origins[0]", "FG150 cors.origins[1]", "FG150 cors.origins[2]"];
    super::check(&cors(""), &codes_and_paths);
    super::check(&cors(", credentials: true"), &codes_and_paths);
    super::check(&cors(", methods: [get]"), &[&codes_and_paths[..], &["FG150 cors.methods[0]"]].concat());
}

#[test]
fn what_stands_beside_an_iam_policy_is_judged_whether_or_not_the_policy_can_be_read() {
    let with_policy = |file: &str| {
        backend(&format!("url: https://a.run.app\niam_policy: {file}\nallow: [allAuthenticatedUsers]"))
    };
    super::check(
        &with_policy("missing.yaml"),
        &["FG113 backends.api.iam_policy", "FG012 backends.api.iam_policy"],
    );
}

#[test]
fn what_a_shell_or_a_template_was_to_fill_in_is_told_as_such() {
    let filled = "a configuration has no variables: write the value itself, or fill them in before, for example with `envsubst`";
    for project in ["${PROJECT}", "$PROJECT", "'{{project}}'"] {
        let text = MINIMAL.replace("my-project", project);
        check(&text, &[&format!("`{}` holds a variable; {filled}", project.trim_matches('\''))]);
    }
    let text = MINIMAL.replace("my-project", "{{ .Values.project }}");
    let template = "a key must be text; `{{ … }}` is a template's: make the file of it first, for example with `helm template`";
    assert!(told(&text).contains(&template.to_owned()), "{:?}", told(&text));
}

#[test]
fn a_regular_expression_is_no_path_of_a_route() {
    let of_path = ", or with `fullPathMatch` for a path that does end with `$`";
    for (path, more) in [("^/a", ""), ("/a.*", ""), ("^/a$", ""), ("/a$", of_path)] {
        let expected = format!(
            "`{path}` is not the path of a route: it is a regular expression; routes have no regular expressions: write \
             `/prefix/*`, or a URL map with `regexMatch`{more}"
        );
        check(&with(&format!("routes: [ {{ path: '{path}', backend: api }} ]\n")), &[&expected]);
    }
}

#[test]
fn another_file_is_told_as_what_it_is() {
    let check_file = |text: &str, expected: &str| {
        let told = told(text);
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
        assert!(!told[0].contains("SECRET"), "{told:?}");
    };
    let key = "{ type: service_account, project_id: my-project, private_key: SECRET, client_email: a@p.iam.gserviceaccount.com }";
    check_file(key, "this is a credential and no configuration; name it in the environment variable");
    check_file(
        "{ type: authorized_user, client_id: a, refresh_token: SECRET }",
        "this is a credential and no configuration; name it",
    );
    let record = "{ version: 4, terraform_version: 1.9.0, outputs: { password: SECRET }, resources: [] }";
    check_file(record, "this is Terraform's own record of");
    assert!(!rendered(record).contains("SECRET"), "{}", rendered(record));
    check_file(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: firegate }\ndata: { firegate.yaml: 'project: my-project' }",
        "this is a manifest of Kubernetes and no configuration; give the configuration in it a file of its own",
    );
}

#[test]
fn terraforms_language_is_told_as_it_whether_yaml_can_read_it_or_not() {
    for text in [
        "resource \"google_cloud_run_v2_service\" \"api\" {\n  name = \"api\"\n}\n",
        "# the service\n\nmodule \"api\" {\n  source: [\n}\n",
    ] {
        let told = told(text);
        assert!(told.len() == 1 && told[0].contains("this is Terraform's language"), "{told:?}");
    }
    for text in ["data : { api }\n", "data about the services\n", "module of ours\nnext: [\n"] {
        let found = told(text);
        assert!(!found[0].contains("Terraform"), "{found:?}");
    }
}

#[test]
fn what_is_written_in_the_place_of_a_url_is_told_with_where_the_url_is_found() {
    let console = "https://console.cloud.google.com/run/detail/us-central1/api/metrics?project=my-project";
    let found = told(&backends(&format!("  api: {console}")));
    let expected = "is a page about the service, and not the service; write the service's own URL; `gcloud run services describe";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    check(
        &backends("  api: https://api-abc123-uc.a.run.app:8080"),
        &[
            "Cloud Run does not answer at the port 8080 of `api-abc123-uc.a.run.app`; write `https://api-abc123-uc.a.run.app`: the port \
           that the container listens on is Cloud Run's own affair",
        ],
    );
    check(&backends("  api: https://api-abc123-uc.a.run.app:443"), &[]);
    check(
        &backend("url: https://api-abc123-uc.a.run.app\naudience: http://api-abc123-uc.a.run.app"),
        &[
            "the audience `http://api-abc123-uc.a.run.app` begins with `http`; Cloud Run compares exactly, and its URLs are https: \
           write `https://api-abc123-uc.a.run.app`",
        ],
    );
}

#[test]
fn a_hint_can_be_followed_to_the_letter() {
    let allow = |value: &str| MINIMAL.replace("[allAuthenticatedUsers]", value);
    check(
        &allow("'[allAuthenticatedUsers]'"),
        &[
            "expected a list, found the text `[allAuthenticatedUsers]`; write it without quotes: `[allAuthenticatedUsers]`",
        ],
    );
    check(
        &allow("[domain: example.com]"),
        &[
            "expected text, found a mapping; write it without the blank behind the colon: `\"domain:example.com\"`",
        ],
    );
    check(
        &with("cors: { origins: '*' }\n"),
        &["expected a list, found the text `*`; write a list: `[\"*\"]`"],
    );
    check(
        &with("routes:\n  /*: api\n"),
        &[
            "expected a list, found a mapping; write a list with an element for each route: `[ { path: /*, backend: api } ]`",
        ],
    );
    check(
        &with("users: { revocation: required }\n"),
        &["expected a mapping, found the text `required`; write `{ check: required }`"],
    );
    check(
        &backend("url: https://a.run.app\ncredential: key.json"),
        &["`key.json` cannot stand here; write `default`, and name the file in the environment variable \
           GOOGLE_APPLICATION_CREDENTIALS"],
    );
    check(
        &backend(
            "url: https://a.run.app\ncredential: impersonate\nservice_account: serviceAccount:a@p.iam.gserviceaccount.com",
        ),
        &[
            "`serviceAccount:a@p.iam.gserviceaccount.com` is not the e-mail address of a service account; write the address alone: \
           `a@p.iam.gserviceaccount.com`",
        ],
    );
    check(
        &allow("['user:a@p.iam.gserviceaccount.com']"),
        &[
            "this member matches nobody: the address is a service account's, and those do not sign in with Firebase; write \
           `serviceAccount:a@p.iam.gserviceaccount.com`, or remove the member",
        ],
    );
    let found = told("{\n  // the project\n  \"project\": \"my-project\"\n}\n");
    assert!(
        found.iter().any(|line| line.ends_with("a comment begins with `#`, in JSON that is read here too")),
        "{found:?}"
    );
    let found =
        told("project: my-project\nbackends:\n  api:\n    url: https://a.run.app\n   user_token: forward\n");
    assert!(found[0].ends_with("; begin all keys of one mapping in the same column"), "{found:?}");
}

#[test]
fn a_resources_name_in_the_place_of_a_files_is_told_with_how_to_export_it() {
    let policy = |file: &str| backend(&format!("url: https://a.run.app\nsecurity_policy: {file}"));
    let hint = |file: &str| {
        let found = parse_with_files("firegate.yaml", &policy(file), &Unreadable(io::ErrorKind::NotFound))
            .unwrap_err();
        found.iter().find_map(|found| found.hint.clone()).unwrap_or_default()
    };
    let export = "name a file, as `gcloud … export` writes it of what has this name";
    assert!(
        hint("edge").starts_with(export)
            && hint("https://www.googleapis.com/securityPolicies/edge.v1").starts_with(export)
    );
    assert!(hint("edge.yaml").starts_with("a relative name counts from"));
}
