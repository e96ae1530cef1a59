use super::*;

#[test]
fn nobody_allowed() {
    insta::assert_snapshot!(rendered("project: my-project\nbackends:\n  api: https://api-abc123-uc.a.run.app\n"), @r"
        error[FG110]: nobody may call any backend: there is no `allow`
        --> firegate.yaml
         = hint: add the line `allow: [allAuthenticatedUsers]` to let in the signed-in users of the Firebase project `my-project`; unlike in Google's IAM, the word does not mean everyone with a Google account
        ");
}

#[test]
fn misspelled_keys_and_words() {
    insta::assert_snapshot!(rendered("\
project: my-project
backend:
  api: https://api-abc123-uc.a.run.app
alow: [allAuthenticatedUsers]
users:
  annonymous: deny
"), @r"
        error[FG004]: unknown key `backend`
         --> firegate.yaml:2:1
          |
        2 | backend:
          | ^^^^^^^
          |
          = hint: did you mean `backends`?

        error[FG004]: unknown key `alow`
         --> firegate.yaml:4:1
          |
        4 | alow: [allAuthenticatedUsers]
          | ^^^^
          |
          = hint: did you mean `allow`?

        error[FG004]: unknown key `annonymous` in `users`
         --> firegate.yaml:6:3
          |
        6 |   annonymous: deny
          |   ^^^^^^^^^^
          |
          = hint: did you mean `anonymous`?
        ");
}

#[test]
fn project_number_instead_of_id() {
    insta::assert_snapshot!(rendered(&MINIMAL.replace("my-project", "\"123456789012\"")), @r#"
        error[FG101]: `123456789012` is a project number, and the project ID is needed
         --> firegate.yaml:1:10
          |
        1 | project: "123456789012"
          |          ^^^^^^^^^^^^^^
          |
          = hint: `gcloud projects describe 123456789012 --format='value(projectId)'` prints it; the number goes to `project_number`
        "#);
}

#[test]
fn url_without_scheme() {
    insta::assert_snapshot!(rendered(&MINIMAL.replace("https://", "")), @r"
        error[FG121]: `api-abc123-uc.a.run.app` has no scheme
         --> firegate.yaml:3:8
          |
        3 |   api: api-abc123-uc.a.run.app
          |        ^^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: did you mean `https://api-abc123-uc.a.run.app`?
        ");
}

#[test]
fn token_over_plain_http() {
    insta::assert_snapshot!(rendered(&backend("url: http://10.128.0.7:8080\ncredential: default")), @r"
        error[FG122]: a Google token and identity headers would go over plain http to another machine
         --> firegate.yaml:5:10
          |
        5 |     url: http://10.128.0.7:8080
          |          ^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: use https; or set `plaintext: allow` if you trust the network between, or `identity_headers: none` and `credential: none` if the service needs neither
        ");
}

#[test]
fn misspelled_member() {
    insta::assert_snapshot!(rendered(&MINIMAL.replace("allAuthenticatedUsers", "allAuthenticatedUser, \"user:eve\"")), @r#"
        error[FG111]: `allAuthenticatedUser` is not a member
         --> firegate.yaml:4:9
          |
        4 | allow: [allAuthenticatedUser, "user:eve"]
          |         ^^^^^^^^^^^^^^^^^^^^
          |
          = hint: did you mean `allAuthenticatedUsers`?

        error[FG111]: `user:eve` does not name an e-mail address
         --> firegate.yaml:4:31
          |
        4 | allow: [allAuthenticatedUser, "user:eve"]
          |                               ^^^^^^^^^^
          |
          = hint: write the whole address, for example `user:someone@example.com`
        "#);
}

#[test]
fn unknown_backend_in_a_route() {
    insta::assert_snapshot!(rendered(&with("routes:\n  - { path: /public*, backend: api }\n  - { path: /*, backend: apj }\n")), @r"
        error[FG130]: `/public*` is not the path of a route: `*` stands only at the end, after `/`
         --> firegate.yaml:6:13
          |
        6 |   - { path: /public*, backend: api }
          |             ^^^^^^^^
          |
          = hint: a prefix ends with `/*`: write `/public/*`

        error[FG131]: there is no backend `apj`
         --> firegate.yaml:7:26
          |
        7 |   - { path: /*, backend: apj }
          |                          ^^^
          |
          = hint: did you mean `api`?
        ");
}

#[test]
fn several_backends_without_routes() {
    insta::assert_snapshot!(rendered("\
project: my-project
allow: [allAuthenticatedUsers]
backends:
  api: https://api-abc123-uc.a.run.app
  web: https://web-abc123-uc.a.run.app
"), @r"
        error[FG132]: there are 2 backends and no `routes`
         --> firegate.yaml:3:1
          |
        3 | backends:
          | ^^^^^^^^
          |
          = hint: say which path goes where: `routes: [ { path: /*, backend: api } ]`
        ");
}

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(rendered(&with("allow: [allUsers]\n")), @r"
        error[FG003]: the key `allow` stands here twice
         --> firegate.yaml:5:1
          |
        5 | allow: [allUsers]
          | ^^^^^
          |
          = hint: the first one is in line 4; remove one of them
        ");
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(rendered("\
project: my-project
allow: allAuthenticatedUsers
backends:
  api:
    url: https://api-abc123-uc.a.run.app
    timeouts: { connect: 5 }
    enforce: true
"), @r"
        error[FG005]: expected a list, found the text `allAuthenticatedUsers`
         --> firegate.yaml:2:8
          |
        2 | allow: allAuthenticatedUsers
          |        ^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: write a list: `[allAuthenticatedUsers]`

        error[FG005]: expected a duration such as `5s`, `300ms` or `1m`, found the number `5`
         --> firegate.yaml:6:26
          |
        6 |     timeouts: { connect: 5 }
          |                          ^
          |
          = hint: write it with its unit: `5s`

        error[FG006]: `true` cannot stand here
         --> firegate.yaml:7:14
          |
        7 |     enforce: true
          |              ^^^^
          |
          = hint: did you mean `on`?
        ");
}

#[test]
fn not_yaml() {
    insta::assert_snapshot!(rendered("project: my-project\nallow: [allAuthenticatedUsers\nbackends:\n  api: x\n"), @r"
        error[FG001]: this is not YAML: illegal placement of ':' indicator
         --> firegate.yaml:3:9
          |
        3 | backends:
          |         ^
        ");
}

#[test]
fn emulator_trust_in_a_file() {
    insta::assert_snapshot!(rendered(&with("trust: emulator\n")), @r"
        error[FG105]: a file cannot make Firegate trust an emulator
         --> firegate.yaml:5:8
          |
        5 | trust: emulator
          |        ^^^^^^^^
          |
          = hint: emulators sign nothing, so anyone could sign in: only `firegate dev` trusts one; remove the line
        ");
}

#[test]
fn federation_without_its_parts() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\ncredential: federate_user")), @r"
        error[FG124]: `credential: federate_user` needs a `service_account`
         --> firegate.yaml:6:17
          |
        6 |     credential: federate_user
          |                 ^^^^^^^^^^^^^
          |
          = hint: add for example `service_account: caller@my-project.iam.gserviceaccount.com`

        error[FG124]: `credential: federate_user` needs a `workload_identity_provider`
         --> firegate.yaml:6:17
          |
        6 |     credential: federate_user
          |                 ^^^^^^^^^^^^^
          |
          = hint: add for example `workload_identity_provider: //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`
        ");
}

#[test]
fn federation_and_what_it_opens() {
    let api = backend(
        "url: https://api-abc123-uc.a.run.app\ncredential: federate_user\n\
         service_account: caller@my-project.iam.gserviceaccount.com\n\
         workload_identity_provider: //iam.googleapis.com/projects/1/locations/global/\
         workloadIdentityPools/pool/providers/prov",
    );
    insta::assert_snapshot!(rendered(&format!("{api}users: {{ accept: [id_token, session_cookie] }}\n")), @r"
        warning[FG124]: session cookies are refused here: they cannot be federated
         --> firegate.yaml:6:17
          |
        6 |     credential: federate_user
          |                 ^^^^^^^^^^^^^
          |
          = hint: let the app send `getIdToken()` to this backend, or use another credential here; other backends take them

        warning[FG128]: every user whom the provider admits can act as `caller@my-project.iam.gserviceaccount.com` without Firegate too, whatever `allow` and `users` say
         --> firegate.yaml:6:17
          |
        6 |     credential: federate_user
          |                 ^^^^^^^^^^^^^
          |
          = hint: give the provider an attribute condition that admits the intended users alone, and the service account no other use than calling this service; docs/credentials.md has the lines
        ");
}

#[test]
fn warnings_of_what_probably_was_not_meant() {
    insta::assert_snapshot!(rendered(&backend("url: https://api-abc123-uc.a.run.app\naudience: https://api-abc123-uc.a.run.app/")), @r"
        warning[FG123]: the audience `https://api-abc123-uc.a.run.app/` ends with a slash
         --> firegate.yaml:6:15
          |
        6 |     audience: https://api-abc123-uc.a.run.app/
          |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = hint: Cloud Run compares exactly, and its URLs have none: write `https://api-abc123-uc.a.run.app`
        ");
}

#[test]
fn wildcard_origin_with_credentials() {
    insta::assert_snapshot!(rendered(&with("cors:\n  origins: [\"*\"]\n  credentials: true\n")), @r#"
        error[FG150]: `*` with `credentials` would let every site act as the user
         --> firegate.yaml:6:13
          |
        6 |   origins: ["*"]
          |             ^^^
          |
          = hint: list the origins of your pages
        "#);
}

#[test]
fn flags() {
    let found = Configuration::minimal("123456789012", "api.example.com", &[]).unwrap_err();
    insta::assert_snapshot!(found.to_string(), @r"
        error[FG101]: --project: `123456789012` is a project number, and the project ID is needed
         |
         = hint: `gcloud projects describe 123456789012 --format='value(projectId)'` prints it; the number goes to `project_number`

        error[FG110]: --allow: nobody may call any backend: there is no `allow`
         |
         = hint: add `--allow allAuthenticatedUsers` to let in the signed-in users of the Firebase project; unlike in Google's IAM, the word does not mean everyone with a Google account

        error[FG121]: --backend: `api.example.com` has no scheme
         |
         = hint: did you mean `https://api.example.com`?
        ");
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(rendered(""), @r"
        error[FG008]: the `project` whose users are let in is not given
        --> firegate.yaml
         = hint: add the ID of your Firebase project: `project: my-project`

        error[FG008]: there is no backend to forward to
        --> firegate.yaml
         = hint: add the URL of your service: `backends: { api: https://api-abc123-uc.a.run.app }`

        error[FG110]: nobody may call any backend: there is no `allow`
        --> firegate.yaml
         = hint: add the line `allow: [allAuthenticatedUsers]` to let in the signed-in users of the Firebase project; unlike in Google's IAM, the word does not mean everyone with a Google account
        ");
}

#[test]
fn findings_about_members_routes_and_audiences_say_what_to_do_next() {
    let check = |text: &str, hint: &str| {
        let rendered = rendered(text);
        assert!(rendered.contains(&format!("= hint: {hint}")), "{rendered}");
    };
    let allowing = |member: &str| MINIMAL.replace("allAuthenticatedUsers", &format!("\"{member}\""));
    let pool = |name: &str| {
        format!("principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/{name}")
    };
    check(&MINIMAL.replace("[allAuthenticatedUsers]", "[]"), "add who may call, for example");
    check(&allowing(&format!("{}/*", pool("others"))), "name the same pool in both");
    let numbered = format!("{}project_number: \"2\"\n", allowing(&format!("{}/*", pool("firebase"))));
    check(&numbered, "write `projects/2` in the member");
    let blue = allowing(&format!("{}/attribute.tenant/blue", pool("firebase")));
    check(&blue, "write `tenants: [blue]` in `users`, or remove the member");
    let listed = format!("{blue}users: {{ tenants: [red] }}\n");
    check(&listed, "add `blue` to `users.tenants`, or remove the member");
    let audience = |text: &str| backend(&format!("url: https://a.run.app\naudience: \"{text}\""));
    check(&audience("https://a.run.app "), "write `https://a.run.app`");
    check(&audience(&"a".repeat(2049)), "write one of 2048 bytes at most");
    check(&backend("endpoints: [{ audience: a }]"), "add the origin of the service: `url: ");
    let two = "backends: { api: https://a.run.app, web: https://b.run.app }\nroutes: [{ path: /*, backend: api }]\n";
    let unrouted = format!("project: my-project\nallow: [allUsers]\n{two}");
    check(&unrouted, "add `{ path: /web/*, backend: web }` to `routes`, or remove the backend");
}

#[test]
fn what_a_hint_says_to_write_passes_or_is_a_whole_setting() {
    let check = |text: &str, hint: &str| {
        let rendered = rendered(text);
        assert!(rendered.contains(&format!("= hint: {hint}\n")), "{rendered}");
    };
    check(&with("access_log: { sample: 10 }\n"), "write it with its unit: `10%`");
    accepted(&with("access_log: { sample: 10% }\n"));
    check(&with("access_log: { sample: 0.1 }\n"), "write it in percent: `10%` is one in ten");
    check(&with("access_log: { sample: 200 }\n"), "write it in percent: `10%` is one in ten");
    check(&with("listen: 8080\n"), "write the address too: `0.0.0.0:8080`");
    accepted(&with("listen: 0.0.0.0:8080\n"));
    check(&with("admin: { listen: 9902 }\n"), "write the address too: `127.0.0.1:9902`");
    accepted(&with("admin: { listen: 127.0.0.1:9902 }\n"));
    let allow = "name who may call: `[allAuthenticatedUsers]` are the signed-in users of the Firebase project, `[allUsers]` \
                 is everyone";
    check(&MINIMAL.replace("[allAuthenticatedUsers]", "true"), allow);
    check(&with("users: { clock_skew: 10m }\n"), "from 0s to 5m");
    check(
        &with("users: { clock_skew: 1.5 }\n"),
        "write a whole number and its unit: `1500ms` is one second and a half",
    );
    check(&with("exchange: { enabled: yes }\n"), "write `true`, without quotes");
    check(&with("exchange: { enabled: \"false\" }\n"), "write `false`, without quotes");
    check(&with("user_token: forward\n"), "it belongs to a backend: `backends: { NAME: { user_token: … } }`");
    check(&with("clock_skew: 5s\n"), "it belongs to `users`");
    check(&with("app_check: required\n"), "it belongs to a backend, to `users` or to `google`");
    check(&with("users: { listen: x }\n"), "it belongs to the top level");
    let url = "https://a.run.app";
    let named = "give the backend a name: `backends: { api: https://a.run.app }`";
    check(&format!("project: my-project\nallow: [allUsers]\nbackends: {url}\n"), named);
    check(
        &format!("project: my-project\nallow: [allUsers]\nbackends: [{url}]\n"),
        &named.replace(url, "https://api-abc123-uc.a.run.app"),
    );
    check(
        "project: my-project\nallow: [allUsers]\nbackends:\n  api:https://a.run.app\n",
        &format!("a blank is missing behind the colon: `api: {url}`"),
    );
}

#[test]
fn a_file_that_holds_no_settings_is_told_with_its_line() {
    insta::assert_snapshot!(rendered("# mine\n\n- project: my-project\n- allow\n"), @r"
    error[FG005]: expected a mapping, found a list
     --> firegate.yaml:3:1
      |
    3 | - project: my-project
      | ^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: every setting is a key with its value, for example `project: my-project`
    ");
    insta::assert_snapshot!(rendered("project:my-project\n"), @r"
    error[FG005]: expected a mapping, found the text `project:my-project`
     --> firegate.yaml:1:1
      |
    1 | project:my-project
      | ^^^^^^^^^^^^^^^^^^
      |
      = hint: a blank is missing behind the colon: `project: my-project`
    ");
    insta::assert_snapshot!(rendered("project:my-project\nallow: [allAuthenticatedUsers]\n"), @r"
    error[FG001]: this is not YAML: mapping values are not allowed in this context
     --> firegate.yaml:1:1
      |
    1 | project:my-project
      | ^^^^^^^^^^^^^^^^^^
      |
      = hint: a blank is missing behind the colon: `project: my-project`
    ");
    // What ends a line is no key without its blank where the line is an element of a list.
    let unended = rendered("project: my-project\nallow: [\n  user:ada@example.com\nbackends:\n  api: x\n");
    assert!(unended.contains("firegate.yaml:4:9") && !unended.contains("blank"), "{unended}");
    insta::assert_snapshot!(rendered("backends:\n  api:https://a.run.app\n\nallow: [allUsers]\nlimits:\n  a:b\n  c: d\n"), @r"
    error[FG001]: this is not YAML: mapping values are not allowed in this context
     --> firegate.yaml:6:3
      |
    6 |   a:b
      |   ^^^
      |
      = hint: a blank is missing behind the colon: `a: b`
    ");
}
