//! Each connection is a descriptor, of which a process has no end: what becomes of those that there is none for.

use std::path::Path;

use firegate_proxy::limits::{CONNECTIONS_FEW, DESCRIPTORS_RESERVED};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gate::PATIENCE;
use crate::listening::{answered, hello, keep_open, open_to_all};
use crate::stack::binary::Served;

const ARGUMENTS: [&str; 4] = ["-c", "firegate.yaml", "--listen", "127.0.0.1:0"];

async fn folder(more: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), open_to_all(&hello().await, more)).expect("a file");
    folder
}

/// There is a descriptor for every connection that is let in, and for as many to services: nobody is let in to be told that
/// something is missing.
#[tokio::test(flavor = "multi_thread")]
async fn descriptors_bound_the_connections_that_are_let_in() {
    const DESCRIPTORS: usize = 400;

    let folder = folder("").await;
    let serve = Served::start_with_descriptors(DESCRIPTORS, folder.path(), &ARGUMENTS);
    let address = serve.address;
    let mut clients = Vec::new();
    while let Some(client) = keep_open(address).await {
        clients.push(client);
        assert!(clients.len() < DESCRIPTORS, "there cannot be so many");
    }
    let expected = (DESCRIPTORS - DESCRIPTORS_RESERVED) / 2;
    assert_eq!(clients.len(), expected);
    for client in &mut clients {
        assert!(answered(client).await);
    }
    clients.clear();
    let again = async { while keep_open(address).await.is_none() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("there are places again");
}

/// Where there are so few that clients will notice, the process says so, whether or not the operator wrote a number.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_descriptors_are_told_at_the_start() {
    const TOLD: &str = "too few descriptors";

    let told = async |count: usize, more: &str| {
        let folder = folder(more).await;
        Served::start_with_descriptors(count, folder.path(), &ARGUMENTS).stop()
    };
    for (count, more) in
        [(64, ""), (64, "limits: { connections_max: 100 }"), (400, "limits: { connections_max: 300 }")]
    {
        let log = told(count, more).await;
        let line =
            log.lines().find(|line| line.contains(TOLD)).unwrap_or_else(|| panic!("{count} {more}:\n{log}"));
        assert!(
            line.contains(" WARN ") && line.contains("hint: ") && line.contains("LimitNOFILE="),
            "{line}"
        );
    }
    let enough = DESCRIPTORS_RESERVED + 2 * CONNECTIONS_FEW;
    for (count, more) in [(enough, ""), (400, "limits: { connections_max: 200 }")] {
        let log = told(count, more).await;
        assert!(!log.contains(TOLD), "{count} {more}:\n{log}");
    }
}

/// Sets how many descriptors the process may have from now on.
fn set_descriptors(served: &Served, count: usize) {
    let arguments = [format!("--pid={}", served.id()), format!("--nofile={count}:")];
    let set = std::process::Command::new("prlimit").args(arguments).status();
    assert!(set.expect("prlimit runs").success());
}

/// What can be neither accepted nor refused waits, and the log says why without a line for each attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_there_is_no_descriptor_for_waits_until_there_is_one() {
    let folder = folder("").await;
    let served = Served::start_in(folder.path(), &ARGUMENTS);
    let first = keep_open(served.address).await.expect("it is let in");
    let (few, many) = (descriptors_of(&served), 4096);
    set_descriptors(&served, few);
    let mut waiting = Vec::new();
    let out_of_descriptors = async {
        // Some that are free lie below those that are used.
        while !served.so_far().contains("connections cannot be accepted") {
            let mut stream = TcpStream::connect(served.address).await.expect("it is queued");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n").await.expect("it is queued");
            waiting.push(stream);
        }
    };
    tokio::time::timeout(PATIENCE, out_of_descriptors).await.expect("there are none left");
    set_descriptors(&served, many);
    for stream in &mut waiting {
        let mut answer = Vec::new();
        // The door's own words end with a line, for there may be no descriptor for the service either.
        while !answer.ends_with(b"}\n") && !answer.ends_with(b"hello") {
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await;
            assert_ne!(read.expect("it is answered").expect("it is open"), 0, "{answer:?}");
        }
    }
    let mut first = first;
    assert!(answered(&mut first).await);
    let log = served.stop();
    let lines =
        log.lines().filter(|line| line.contains("connections cannot be accepted")).collect::<Vec<_>>();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("hint: ") && lines[0].contains("Too many open files"), "{log}");
}

/// One more than the highest that it has.
fn descriptors_of(served: &Served) -> usize {
    let folder = Path::new("/proc").join(served.id().to_string()).join("fd");
    let entries = std::fs::read_dir(folder).expect("its descriptors");
    let number = |name: &str| name.parse::<usize>().ok();
    let highest = entries.filter_map(|entry| number(entry.ok()?.file_name().to_str()?)).max();
    highest.expect("there are some") + 1
}
