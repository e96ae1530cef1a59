//! Paths in capital letters. Express, Koa's router, Caddy and ASP.NET take `/ADMIN/users` for `/admin/users`; who compares
//! paths letter by letter lets it past every rule about `/admin`.

use crate::project::{Project, expect};
use crate::stack::{Call, at, clock, close, door};

#[tokio::test(flavor = "multi_thread")]
async fn capital_letters_lead_past_no_route() {
    let clock = clock();
    let service = crate::site::echo(&clock).await;
    let door = door(
        &format!(
            "project: demo-project\nallow: [allUsers]\nbackends:\n  api: '{service}'\n  \
             admin: {{ url: '{service}', allow: ['user:root@example.com'] }}\n\
             routes:\n  - {{ path: /*, backend: api }}\n  - {{ path: /admin, backend: admin }}\n  \
             - {{ path: /admin/*, backend: admin }}\n  - {{ path: /Reports/*, backend: admin }}\n  - {{ path: /u/*, backend: api }}\n"
        ),
        &clock,
    );
    let get = async |path: &str| Call::get(&at(&door, path)).send().await;
    for path in [
        "/ADMIN",
        "/Admin/users",
        "/aDMIN/users",
        "/x/../ADMIN/users",
        "/%41dmin/users",
        "/;x/ADMIN/users",
        "/ADMIN;x/users",
        "/reports/1",
        "/REPORTS/1",
        "/reports;x/1",
    ] {
        get(path).await.expect_refusal(400, "REQUEST_MALFORMED", "NONE");
    }
    for path in ["/admin", "/admin/users", "/admin/USERS", "/Reports/1"] {
        get(path).await.expect_refusal(401, "TOKEN_MISSING", "SIGN_IN");
    }
    for path in ["/u/VQhSP0wk16P2", "/U/1", "/Administrators", "/%C3%89t%C3%A9", "/x/ADMIN"] {
        assert_eq!(get(path).await.ok()["path"], path, "no other backend has it");
    }
    close(door).await;
}

/// One service behind two backends, of which the strict one has what templates and regular expressions name.
#[tokio::test(flavor = "multi_thread")]
async fn capital_letters_lead_past_no_template_and_no_regular_expression() {
    const RULES: &str = "\
- { priority: 1, service: strict, matchRules: [ { pathTemplateMatch: '/users/{id}' } ] }
- { priority: 2, service: strict, matchRules: [ { pathTemplateMatch: '/Old/{rest=**}' } ] }
- { priority: 3, service: strict, matchRules: [ { regexMatch: '/teams/[a-z]+/keys' } ] }
- { priority: 4, service: strict, matchRules: [ { regexMatch: '/(reports|Bills)/[0-9]+(\\.pdf)?' } ] }
- { priority: 5, service: open, matchRules: [ { regexMatch: '/USERS/[0-9]+' } ] }
";
    let project = Project::open().await;
    let gate = project.forked_gate("firegate", RULES).await;
    for path in [
        "/Users/5",
        "/USERS/VQhSP",
        "/;x/Users/5",
        "/Users;x/5",
        "/old/",
        "/OLD/a/b",
        "/teams/abc/KEYS",
        "/Teams/abc/keys",
        "/REPORTS/1",
        "/bills/1",
        "/reports/1.PDF",
    ] {
        expect(&gate.call(path).send().await, 400, "REQUEST_MALFORMED", path);
    }
    for path in ["/users/VQhSP", "/Old/A", "/teams/abc/keys", "/reports/1", "/Bills/1.pdf"] {
        expect(&gate.call(path).send().await, 401, "TOKEN_MISSING", path);
    }
    // What a class names it means, and what says as much in these very letters was meant.
    for path in ["/teams/ABC/keys", "/USERS/5", "/users/5/POSTS", "/Reports", "/x/OLD/", "/a/VQhSP0wk16P2"] {
        gate.call(path).send().await.ok();
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capital_letters_lead_past_no_rule_of_a_security_policy() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/admin')\" } } }\n\
        - { priority: 2, action: deny(403), match: { expr: { expression: \"request.path.matches('^/intern(al)?/')\" } } }\n\
        - { priority: 3, action: deny(403), match: { expr: { expression: \"request.path.endsWith('.php') && request.method == 'GET'\" } } }\n\
        - { priority: 4, action: deny(403), match: { expr: { expression: \"!request.path.startsWith('/Shop/') && request.path.startsWith('/Sh')\" } } }\n\
        - { priority: 5, action: deny(403), match: { expr: { expression: \"request.path.matches('^/slugs/[a-z]+$')\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for path in ["/ADMIN/users", "/Admin", "/;/ADMIN", "/INTERNAL/x", "/Intern/x", "/a.PHP"] {
        expect(&gate.call(path).send().await, 400, "REQUEST_MALFORMED", path);
    }
    for path in ["/admin/USERS", "/a.php", "/Shx", "/slugs/abc"] {
        expect(&gate.call(path).send().await, 403, "ARMOR_DENIED", path);
    }
    // What a rule says in capital letters, or of classes of letters, it means.
    for path in ["/Shop/1", "/slugs/VQhSP", "/users/VQhSP0wk16P2"] {
        gate.call(path).send().await.ok();
    }
    gate.close().await;
}

/// ASP.NET answers `/admin` as `/Admin`, which its authors write.
#[tokio::test(flavor = "multi_thread")]
async fn small_letters_lead_past_no_rule_that_is_written_in_capital_ones() {
    const RULES: &str = "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/Admin/') || request.path == '/WEB-INF'\" } } }\n\
        - { priority: 2, action: deny(403), match: { expr: { expression: \"request.path.matches('^/[a-z]+/export$')\" } } }\n\
        - { priority: 3, action: deny(403), match: { expr: { expression: \"request.path.matches('^/[R]eports/')\" } } }\n\
        - { priority: 4, action: deny(403), match: { expr: { expression: \"request.path in ['/Keys', '/x'] && request.path.urlDecode().endsWith('Keys')\" } } }\n\
        - { priority: 5, action: deny(403), match: { expr: { expression: \"request.path.startsWith('/Docs/') && !request.path.startsWith('/docs/open/')\" } } }\n";
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    for path in [
        "/admin/users",
        "/ADMIN/users",
        "/;x/admin/",
        "/web-inf",
        "/shop/EXPORT",
        "/keys",
        "/KEYS",
        "/docs/closed",
        "/Docs/open/",
        "/REPORTS/1",
    ] {
        expect(&gate.call(path).send().await, 400, "REQUEST_MALFORMED", path);
    }
    for path in ["/Admin/users", "/WEB-INF", "/shop/export", "/Reports/1", "/Keys", "/Docs/closed"] {
        expect(&gate.call(path).send().await, 403, "ARMOR_DENIED", path);
    }
    // What a class names it means.
    for path in ["/SHOP/export", "/reports/1", "/docs/open/", "/X", "/adm", "/VQhSP0wk16P2"] {
        gate.call(path).send().await.ok();
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capital_letters_count_in_no_window_of_their_own() {
    let project = Project::open().await;
    let gate = project.counting_gate().await;
    gate.call("/login").send().await.ok();
    gate.call("/LOGIN").send().await.ok();
    for path in ["/Login", "/login", "/lOGIN;x"] {
        expect(&gate.call(path).send().await, 429, "RATE_LIMITED", path);
    }
    gate.call("/other").send().await.ok();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capital_letters_fulfil_no_condition() {
    const POLICY: &str = "bindings:\n- role: roles/run.invoker\n  members: [allAuthenticatedUsers]\n  \
        condition: { title: not there, expression: \"!request.path.startsWith('/admin/') && !request.path.matches('^/Keys/[a-z]')\" }\nversion: 3\n";
    let project = Project::open().await;
    let text = "backends: { api: { url: 'SERVICE', iam_policy: { file: iam.yaml, dialect: firegate } } }";
    let gate = project.gate_with_files(text, &[("iam.yaml", POLICY)]).await;
    let token = project.id_token();
    gate.call("/users/VQhSP").bearer(&token).send().await.ok();
    for path in ["/ADMIN/users", "/Admin/", "/;/ADMIN/users", "/keys/a", "/KEYS/a"] {
        expect(&gate.call(path).bearer(&token).send().await, 403, "NO_INVOKER_BINDING", path);
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capital_letters_evade_no_denial() {
    let project = Project::open().await;
    let gate = project.denying_gate().await;
    gate.call("/users/VQhSP").send().await.ok();
    for path in ["/ADMIN/users", "/Admin/", "/admin/X"] {
        expect(&gate.call(path).bearer(&project.id_token()).send().await, 403, "DENIED_BY_IAM_POLICY", path);
    }
    gate.close().await;
}
