//! HTTP/2 clients that ask for nothing and answer every ping: each would keep a place among the connections for as long as it
//! likes, and costs its owner next to nothing.

use std::time::Duration;

use crate::frames::{
    ACKNOWLEDGEMENT, Connection, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, frame, others_are_served,
    request,
};
use crate::stack::door_closing_after;
use crate::wire::{PATIENCE, Wire};

/// How long nobody may use a connection.
const IDLE: Duration = Duration::from_secs(1);

/// How often the client pings: more often than it is looked at who does something.
const PING_INTERVAL: Duration = Duration::from_millis(100);

/// Pings and answers pings, but for those that `answers` leaves out, until the door closes. The error codes of its goodbyes.
async fn ping(connection: &mut Connection, answers: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut goodbyes = Vec::new();
    loop {
        connection.write(&frame(PING, 0, 0, b"attacker")).await;
        loop {
            match connection.read().await {
                None => return goodbyes,
                Some(read) if read.kind == GOAWAY => goodbyes.push(read.payload[7]),
                Some(read) if read.kind == PING && read.is_acknowledgement => break,
                Some(read) if read.kind == PING && answers(&read.payload) => {
                    connection.write(&frame(PING, ACKNOWLEDGEMENT, 0, &read.payload)).await;
                }
                Some(_) => {}
            }
        }
        tokio::time::sleep(PING_INTERVAL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_nothing_is_told_goodbye_and_closed() {
    let wire = Wire::open_by(|text, clock| door_closing_after(IDLE, text, clock)).await;
    let mut connection = Connection::open(&wire).await;
    let block = request("GET", "/innocent", &[]);
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
    assert_eq!(connection.status(1).await, Some(200));
    let ended = tokio::time::timeout(PATIENCE, ping(&mut connection, |_| true)).await;
    assert_eq!(ended.expect("the connection ends"), [0, 0], "one ahead and one for good, of no error");
    others_are_served(&wire).await;
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_let_it_end_is_cut_off() {
    /// By this h2 learns that a client has heard the first goodbye, before it says the second.
    const OF_THE_GOODBYE: [u8; 8] = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];
    let wire = Wire::open_by(|text, clock| door_closing_after(IDLE, text, clock)).await;
    let mut connection = Connection::open(&wire).await;
    let ended = tokio::time::timeout(PATIENCE, ping(&mut connection, |ping| ping != OF_THE_GOODBYE)).await;
    assert_eq!(ended.expect("the connection is cut"), [0]);
    wire.close().await;
}
