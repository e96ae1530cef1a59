//! The way of a request through the stages, and which line of which file decided.

use super::*;

#[test]
fn a_request_that_passes() {
    let explained =
        explained(0, Some(json!({})), &["--url", "https://api.example.com/orders/7", "--method", "POST"]);
    insta::assert_snapshot!(explained, @r#"
    POST https://api.example.com/orders/7
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading, and the path is "/orders/7"
      passed        route     to "orders": the host is "api.example.com", and the path is like /orders/*
                              (pathMatchers[0].pathRules[0]) (map.yaml:12)
      passed        armor     rule 1000 of policy "edge" lets it pass (edge.yaml:13)
                    does not  rule 900, "the back office is for the office" (edge.yaml:3): its
                              expression is false
                              - request.path.startsWith('/orders/admin') is false, where request.path is
                                '/orders/7'
                    preview   rule 950 (edge.yaml:8): its expression is no verdict: error (no such key);
                              it refuses with 404, but is only tried out (preview)
                              - request.headers['user-agent'] is error (no such key)
                    matches   rule 1000 (edge.yaml:13): its expression is true; it lets 100 requests in
                              60 s pass for each AUTH_UID and answers the others with 429; nothing is
                              counted here, and this one is taken to be within the limit
                              - request.method == 'POST' is true, where request.method is 'POST'
                              - auth.uid != 'root' is true, where auth.uid is 'ada'
      passed        identity  user "ada", "ada@example.com" (verified), by the token in Authorization
      passed        iam       user:ada@example.com may call "orders" (iam.yaml:3)
                    matches   user:ada@example.com (iam.yaml:3): the user's verified address is
                              "ada@example.com"; the condition "not on the archive",
                              `!request.path.startsWith('/orders/archive')`, is true
                              - request.path.startsWith('/orders/archive') is false, where request.path
                                is '/orders/7'
                    does not  user:grace@example.com (iam.yaml:8): the user's verified address is
                              "ada@example.com"
      passed        upstream  goes on to https://orders-abc123-uc.a.run.app as user "ada", with
                              Firegate's own Google ID token for https://orders-abc123-uc.a.run.app in
                              X-Serverless-Authorization (firegate.yaml:3)

    Answer
      passes      goes on to https://orders-abc123-uc.a.run.app as user "ada", with Firegate's own
                  Google ID token for https://orders-abc123-uc.a.run.app in X-Serverless-Authorization
      decided at  iam.yaml:3
    "#);
}

#[test]
fn a_member_that_is_another_and_one_whose_condition_is_false() {
    let explained = explained(1, Some(json!({})), &["--url", "https://api.example.com/orders/archive/7"]);
    insta::assert_snapshot!(explained, @r#"
    GET https://api.example.com/orders/archive/7
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading, and the path is "/orders/archive/7"
      passed        route     to "orders": the host is "api.example.com", and the path is like /orders/*
                              (pathMatchers[0].pathRules[0]) (map.yaml:12)
      passed        armor     rule 2147483647 of policy "edge" lets it pass (edge.yaml:22)
                    does not  rule 900, "the back office is for the office" (edge.yaml:3): its
                              expression is false
                              - request.path.startsWith('/orders/admin') is false, where request.path is
                                '/orders/archive/7'
                    preview   rule 950 (edge.yaml:8): its expression is no verdict: error (no such key);
                              it refuses with 404, but is only tried out (preview)
                              - request.headers['user-agent'] is error (no such key)
                    does not  rule 1000 (edge.yaml:13): its expression is false
                              - request.method == 'POST' is false, where request.method is 'GET'
                    matches   rule 2147483647 (edge.yaml:22): it is for every request; it ends the
                              policy and grants nothing
      passed        identity  user "ada", "ada@example.com" (verified), by the token in Authorization
      REFUSED       iam       no member of "orders" lets
                              principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/wo
                              rkloadIdentityPools/firebase/subject/ada in (firegate.yaml:6)
                    near      user:ada@example.com (iam.yaml:3): the user's verified address is
                              "ada@example.com"; the condition "not on the archive",
                              `!request.path.startsWith('/orders/archive')`, is false
                              - request.path.startsWith('/orders/archive') is true, where request.path
                                is '/orders/archive/7'
                    does not  user:grace@example.com (iam.yaml:8): the user's verified address is
                              "ada@example.com"
      not reached   upstream  the request does not come so far

    Answer
      403         NO_INVOKER_BINDING: the user is not allowed to call this service
      because     none of the members names the user, who is
                  principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdenti
                  tyPools/firebase/subject/ada
      decided at  firegate.yaml:6
      to change   user:ada@example.com (iam.yaml:3) would match, but the condition "not on the archive"
                  is false; or add a member where firegate.yaml:6 says who may call: for example
                  `allAuthenticatedUsers` for every signed-in user
    "#);
}

#[test]
fn an_address_that_is_not_verified() {
    let claims = json!({"email_verified": false});
    let explained = explained(1, Some(claims), &["--url", "https://api.example.com/videos"]);
    insta::assert_snapshot!(explained, @r#"
    GET https://api.example.com/videos
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading, and the path is "/videos"
      passed        route     to "videos": the host is "api.example.com", and no rule names the path
                              "/videos": the default holds (pathMatchers[0].defaultService)
                              (map.yaml:10)
      passed        armor     the backend has no security policy
      passed        identity  user "ada", "ada@example.com" (not verified), by the token in
                              Authorization
      REFUSED       iam       no member of "videos" lets
                              principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/wo
                              rkloadIdentityPools/firebase/subject/ada in (firegate.yaml:9)
                    near      user:ada@example.com (firegate.yaml:11): the user's address
                              "ada@example.com" is not verified, and only verified ones count
                    does not  user:grace@example.com (firegate.yaml:10): the user's address
                              "ada@example.com" is not verified, and only verified ones count
      not reached   upstream  the request does not come so far

    Answer
      403         NO_INVOKER_BINDING: the user is not allowed to call this service
      because     none of the members names the user, who is
                  principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdenti
                  tyPools/firebase/subject/ada
      decided at  firegate.yaml:9
      to change   user:ada@example.com would match, but the user's address "ada@example.com" is not
                  verified; or add a member where firegate.yaml:9 says who may call: for example
                  `allAuthenticatedUsers` for every signed-in user
    "#);
}

#[test]
fn a_rule_that_refuses_and_a_path_that_is_brought_into_its_normal_form() {
    let url = "https://api.example.com/orders/x/..//admin/%7Eada?page=2";
    insta::assert_snapshot!(explained(1, None, &["--url", url]), @r#"
    GET https://api.example.com/orders/admin/~ada
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading; the path "/orders/x/..//admin/%7Eada" is in
                              normal form "/orders/admin/~ada"
      passed        route     to "orders": the host is "api.example.com", and the path is like /orders/*
                              (pathMatchers[0].pathRules[0]) (map.yaml:12)
      REFUSED       armor     rule 900 of policy "edge" refuses it (edge.yaml:3)
                    matches   rule 900, "the back office is for the office" (edge.yaml:3): its
                              expression is true; it refuses with 403
                              - request.path.startsWith('/orders/admin') is true, where request.path is
                                '/orders/admin/~ada'
                              - inIpRange(origin.ip, '198.51.100.0/24') is false, where origin.ip is
                                '203.0.113.9'
      not reached   identity  the request does not come so far
      not reached   iam       the request does not come so far
      not reached   upstream  the request does not come so far

    Answer
      403         ARMOR_DENIED: the request is not allowed
      because     rule 900 of policy "edge" (edge.yaml:3) refuses the request
      decided at  edge.yaml:3
      to change   change rule 900 at edge.yaml:3 so that `request.path.startsWith('/orders/admin')` or
                  `inIpRange(origin.ip, '198.51.100.0/24')` comes out otherwise, or let a rule before it
                  end the policy: `action: allow` with a priority below 900 for the requests that are
                  meant
    "#);
}

#[test]
fn an_unknown_host_and_a_rule_that_is_near() {
    let explained = explained(1, None, &["--url", "https://api.exampel.com/orders"]);
    insta::assert_snapshot!(explained, @r#"
    GET https://api.exampel.com/orders
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading, and the path is "/orders"
      passed        route     to "videos": no rule names the host "api.exampel.com", and no rule names
                              the path "/orders": the default holds (defaultService) (map.yaml:2)
                    near      api.example.com: the request is for the host "api.exampel.com"
      passed        armor     the backend has no security policy
      REFUSED       identity  nobody: there is no token in Authorization
      not reached   iam       the request does not come so far
      not reached   upstream  the request does not come so far

    Answer
      401         TOKEN_MISSING: the request carries no ID token
      decided at  firegate.yaml:9
      to change   send `Authorization: Bearer <ID token>`, the token being the result of the Firebase
                  SDK's `getIdToken()`
    "#);
}

#[test]
fn a_rule_that_is_only_tried_out_and_an_expired_token() {
    let claims = json!({"iat": crate::NOW - 7200, "auth_time": crate::NOW - 7200, "exp": crate::NOW - 3600});
    let arguments = ["--url", "https://api.example.com/orders", "--header", "User-Agent: curl/8.14.1"];
    insta::assert_snapshot!(explained(1, Some(claims), &arguments), @r#"
    GET https://api.example.com/orders
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading, and the path is "/orders"
      passed        route     to "orders": the host is "api.example.com", and the path is like /orders
                              (pathMatchers[0].pathRules[0]) (map.yaml:12)
      passed        armor     rule 2147483647 of policy "edge" lets it pass (edge.yaml:22)
                    does not  rule 900, "the back office is for the office" (edge.yaml:3): its
                              expression is false
                              - request.path.startsWith('/orders/admin') is false, where request.path is
                                '/orders'
                    preview   rule 950 (edge.yaml:8): its expression is true; it refuses with 404, but
                              is only tried out (preview)
                              - request.headers['user-agent'].contains('curl') is true, where
                                request.headers['user-agent'] is 'curl/8.14.1'
                    does not  rule 1000 (edge.yaml:13): its expression is false
                              - request.method == 'POST' is false, where request.method is 'GET'
                    matches   rule 2147483647 (edge.yaml:22): it is for every request; it ends the
                              policy and grants nothing
      REFUSED       identity  expired at 2027-01-15T07:00:00Z, 1 h before 2027-01-15T08:00:00Z
                    does not  times: expected auth_time ≤ iat < exp, exp after 2027-01-15T08:00:00Z,
                              none more than 10 s in the future, found auth_time 2027-01-15T06:00:00Z,
                              iat 2027-01-15T06:00:00Z, exp 2027-01-15T07:00:00Z
      not reached   iam       the request does not come so far
      not reached   upstream  the request does not come so far

    Answer
      401         TOKEN_EXPIRED: the token has expired
      because     expired at 2027-01-15T07:00:00Z, 1 h before 2027-01-15T08:00:00Z
      to change   call `getIdToken()` for every request instead of keeping the token: the SDK renews it
                  when needed; if fresh tokens are refused too, the clock of the machine that runs
                  Firegate is fast
    "#);
}

#[test]
fn a_backend_that_is_only_observed() {
    let explained = explained(0, Some(json!({})), &["--url", "https://old.example.com/"]);
    insta::assert_snapshot!(explained, @r#"
    GET https://old.example.com/
      from        203.0.113.9: the peer itself; by `behind: direct` it may not speak for others

    The way of the request
      passed        facts     the head has one reading, and the path is "/"
      passed        route     to "legacy": the host is "old.example.com", and no rule names the path
                              "/": the default holds (pathMatchers[1].defaultService) (map.yaml:15)
      passed        armor     the backend has no security policy
      passed        identity  user "ada", "ada@example.com" (verified), by the token in Authorization
      would refuse  iam       no member of "legacy" lets
                              principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/wo
                              rkloadIdentityPools/firebase/subject/ada in (firegate.yaml:16)
                    does not  user:grace@example.com (firegate.yaml:16): the user's verified address is
                              "ada@example.com"
      passed        upstream  goes on to https://legacy.example.com as it would without Firegate,
                              without a credential (firegate.yaml:12)

    Answer
      passes      goes on to https://legacy.example.com without a user, because `enforce` is `observe`;
                  enforced it would be refused with 403 NO_INVOKER_BINDING: the user is not allowed to
                  call this service
      because     none of the members names the user, who is
                  principal://iam.googleapis.com/projects/PROJECT_NUMBER/locations/global/workloadIdenti
                  tyPools/firebase/subject/ada
      decided at  firegate.yaml:16
      to change   add a member where firegate.yaml:16 says who may call: for example
                  `allAuthenticatedUsers` for every signed-in user
    "#);
}
