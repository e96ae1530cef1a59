//! What flows through the door after the heads, over real sockets: streams of every protocol, who ends them and how, and
//! clients that read or send slowly.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../stack/mod.rs"]
mod stack;

mod broken_off;
mod event_stream;
mod grpc;
mod grpc_web;
mod head;
mod late_answer;
mod protocol;
mod send_buffer;
mod site;
mod slow_reader;
mod slow_sender;
mod web_socket;
mod web_socket_over_http2;
