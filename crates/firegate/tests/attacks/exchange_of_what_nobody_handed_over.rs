//! A browser adds cookies by itself, and middle boxes add headers. A token is exchanged for one that stands in the form
//! alone, once, by a POST of the one content type (RFC 6749, section 3.2; RFC 8693, section 2.1).

use firegate_core::exchange::{JWT_TOKEN_TYPE, TOKEN_EXCHANGE_GRANT};
use http::Method;

use crate::project::{EXCHANGE, Project, TOKEN_ENDPOINT, exchange_of, expect_no_token, form};
use crate::stack::Call;

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_token_counts_in_the_form_alone() {
    let project = Project::open().await;
    let gate = project
        .gate(&EXCHANGE.replace("audience: api", "audience: api, token_sources: [authorization, cookie]"))
        .await;
    let (token, cookie) = (project.id_token(), format!("__session={}", project.session_cookie()));
    drop(gate.exchanged(&token, "api").await);
    drop(gate.exchanged(&project.session_cookie(), "api").await);
    let rest =
        [("grant_type", TOKEN_EXCHANGE_GRANT), ("subject_token_type", JWT_TOKEN_TYPE), ("audience", "api")];
    let own = gate.url("/").origin().ascii_serialization();
    let post = |path: &str| Call::new(Method::POST, &gate.url(path)).header("content-type", FORM);
    let query = form(&exchange_of(&token, "api"));
    for (call, why) in [
        (post(TOKEN_ENDPOINT).bearer(&token).body(form(&rest)), "in Authorization"),
        (
            post(TOKEN_ENDPOINT).header("cookie", &cookie).header("origin", &own).body(form(&rest)),
            "in the cookie",
        ),
        (post(&format!("{TOKEN_ENDPOINT}?{query}")), "in the query"),
        (post(&format!("{TOKEN_ENDPOINT}?{query}")).body(form(&rest)), "half in the query"),
    ] {
        expect_no_token(&call.send().await, Some("invalid_request"), why);
    }
    // The form decides, whoever else the request speaks of.
    let call = post(TOKEN_ENDPOINT).bearer("a.b.c").header("cookie", "__session=x");
    call.body(form(&exchange_of(&token, "api"))).send().await.ok();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_no_form_or_an_ambiguous_one_gets_nothing() {
    let project = Project::open().await;
    let gate = project.gate(EXCHANGE).await;
    let token = project.id_token();
    let good = form(&exchange_of(&token, "api"));
    let post = |fields: &[&str], body: &str| {
        let mut call = Call::new(Method::POST, &gate.url(TOKEN_ENDPOINT));
        for field in fields {
            call = call.header("content-type", field);
        }
        call.body(body.to_owned())
    };
    post(&[FORM], &good).send().await.ok();
    post(&["Application/X-WWW-Form-URLEncoded; charset=utf-8"], &good).send().await.ok();
    let json = format!("{{\"grant_type\":\"{TOKEN_EXCHANGE_GRANT}\",\"subject_token\":\"{token}\"}}");
    for (fields, body) in [
        (&["application/json"][..], json.as_str()),
        (&["application/json"], &good),
        (&["text/plain"], &good),
        (&["multipart/form-data; boundary=x"], &good),
        (&[], &good),
        (&[FORM, "text/plain"], &good),
        (&["text/plain; application/x-www-form-urlencoded"], &good),
    ] {
        expect_no_token(&post(fields, body).send().await, Some("invalid_request"), &format!("{fields:?}"));
    }
    for (name, error) in [
        ("grant_type", "invalid_request"),
        ("subject_token", "invalid_request"),
        ("subject_token_type", "invalid_request"),
        ("audience", "invalid_target"),
        ("%61udience", "invalid_target"),
    ] {
        for more in [format!("{good}&{name}=x"), format!("{name}=x&{good}"), format!("{good}&{name}=")] {
            expect_no_token(&post(&[FORM], &more).send().await, Some(error), &more[..40]);
        }
    }
    for (more, error) in [
        ("&resource=files", "invalid_target"),
        ("&scope=all", "invalid_scope"),
        ("&requested_token_type=urn:ietf:params:oauth:token-type:access_token", "invalid_request"),
        ("&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
    ] {
        expect_no_token(&post(&[FORM], &format!("{good}{more}")).send().await, Some(error), more);
    }
    let long = format!("{good}&x={}", "x".repeat(33 * 1024));
    expect_no_token(&post(&[FORM], &long).send().await, Some("invalid_request"), "too long");
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
        let path = format!("{TOKEN_ENDPOINT}?{good}");
        let answer = Call::new(method.clone(), &gate.url(&path))
            .header("content-type", FORM)
            .body(good.clone())
            .send()
            .await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")), "{method}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("ey"), "{method}: {:?}", answer.body);
    }
    gate.close().await;
}
