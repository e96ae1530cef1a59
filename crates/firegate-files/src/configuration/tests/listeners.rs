//! The listeners that are not for the public.

use super::*;

#[test]
fn the_listener_for_operators() {
    check(&with("admin: { listen: 127.0.0.1:9901 }\n"), &[]);
    check(&with("admin: { listen: \"[::1]:9901\" }\n"), &[]);
    check(&with("admin: { listen: 10.0.0.1:9901 }\n"), &["FG109 admin.listen"]);
    check(&with("admin: { listen: \"[::]:9901\" }\n"), &["FG109 admin.listen"]);
    assert!(parse("firegate.yaml", &with("admin: { listen: 0.0.0.0:9901 }\n")).is_ok(), "it is a warning");
    check(&with("admin: {}\n"), &["FG008 admin.listen"]);
    check(&with("listen: 0.0.0.0:8080\nadmin: { listen: 127.0.0.1:8080 }\n"), &["FG103 admin.listen"]);
    check(
        &with("health: { listen: 127.0.0.1:9902 }\nadmin: { listen: 127.0.0.1:9902 }\n"),
        &["FG103 admin.listen"],
    );
}

#[test]
fn metrics_for_other_machines() {
    insta::assert_snapshot!(rendered(&with("admin: { listen: 0.0.0.0:9901 }\n")), @r"
        warning[FG109]: whoever reaches `0.0.0.0:9901` reads the metrics
         --> firegate.yaml:5:18
          |
        5 | admin: { listen: 0.0.0.0:9901 }
          |                  ^^^^^^^^^^^^
          |
          = hint: listen on `127.0.0.1:9901` if they are collected on this machine; else let the network keep strangers away
        ");
}

#[test]
fn metrics_on_the_public_address() {
    insta::assert_snapshot!(rendered(&with("listen: 0.0.0.0:8080\nadmin: { listen: 127.0.0.1:8080 }\n")), @r"
        error[FG103]: `admin` listens on the same address as `listen`
         --> firegate.yaml:6:18
          |
        6 | admin: { listen: 127.0.0.1:8080 }
          |                  ^^^^^^^^^^^^^^
          |
          = hint: give it another port
        ");
}
