//! Methods are told apart by case (RFC 9110, section 9.1), and some services do not: ASP.NET Core, for one, takes `post` for
//! `POST`. A policy that refuses the one would let the other through.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::project::{Project, expect};
use crate::stack::Call;
use crate::wire::Wire;

const RULES: &str =
    "- { priority: 1, action: deny(403), match: { expr: { expression: \"request.method == 'DELETE'\" } } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_method_is_written_otherwise_past_a_policy() {
    let project = Project::open().await;
    let gate = project.guarded_gate(RULES, "").await;
    let send = async |method: &str| {
        let method = http::Method::from_bytes(method.as_bytes()).expect("a method");
        Call::new(method, &gate.url("/a")).send().await
    };
    expect(&send("DELETE").await, 403, "ARMOR_DENIED", "as it is");
    for method in ["delete", "Delete", "dELETE", "get", "patch", "x"] {
        expect(&send(method).await, 400, "REQUEST_MALFORMED", method);
    }
    send("PROPFIND").await.ok();
    send("M-SEARCH").await.ok();
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http2_neither() {
    let wire = Wire::open().await;
    let mut connection = Connection::open(&wire).await;
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("get", "/", &[]))).await;
    assert_eq!(connection.status(1).await, Some(400));
    assert_eq!(wire.origin.received(), "");
    drop(connection);
    wire.close().await;
}
