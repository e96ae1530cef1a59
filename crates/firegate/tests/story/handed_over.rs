//! What the environment says of sockets and ports that are not there: told, and never passed over in silence.

use std::process::Command;

use crate::stack::binary::Served;

const OPEN: &str = "project: demo-project\nallow: [allUsers]\nbackends: { api: 'http://127.0.0.1:9' }\ngoogle: { id_token_keys: \
                    'http://127.0.0.1:9/keys' }\n";

/// What a process that a shell starts by `script` says when it does not start.
#[track_caller]
fn check(script: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), OPEN).expect("a file");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{script} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_firegate")]);
    command.args(["serve", "--listen", "127.0.0.1:0", "-c", "firegate.yaml"]);
    let output = command.env_clear().current_dir(folder.path()).output().expect("it runs");
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in expected {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    assert!(told.contains("\nhint: "), "{told}");
}

#[test]
fn a_port_that_is_none_is_told_with_what_to_do() {
    check("PORT=abc", &["PORT is no port: \"abc\"", "PORT=8080"]);
    check("PORT=65536", &["PORT is no port: \"65536\"", "PORT=8080"]);
}

#[test]
fn sockets_that_are_none_are_told_and_not_passed_over() {
    check("LISTEN_PID=$$ LISTEN_FDS=abc", &["LISTEN_FDS is no number of sockets: \"abc\""]);
    check("LISTEN_PID=$$ LISTEN_FDS=-1", &["LISTEN_FDS is no number of sockets: \"-1\""]);
    check("LISTEN_PID=$$ LISTEN_FDS=99999999999", &["LISTEN_FDS is no number of sockets"]);
    check("LISTEN_PID=me LISTEN_FDS=1", &["LISTEN_PID is no process's number: \"me\""]);
    let names = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=public:health";
    check(names, &["LISTEN_FDNAMES names 2 socket(s), and LISTEN_FDS says 1"]);
    check("exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1", &["socket 1 of the 1", "fd 3 is not a socket"]);
    let named = "exec 3>&-; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:health";
    check(named, &["socket 1 of the 2", "\"web\"", "fd 3 is not a socket"]);
}

/// Variables that a process inherited from its parent are for that one (sd_listen_fds(3)): it listens by itself, and says why.
#[tokio::test]
async fn sockets_for_another_process_are_left_alone_and_that_is_told() {
    for (variables, expected) in [
        ("LISTEN_FDS=1", "LISTEN_PID does not say for which process"),
        ("LISTEN_FDS=1 LISTEN_PID=1", "they are for process 1, and this is"),
        ("LISTEN_FDS=abc LISTEN_PID=1", "they are for process 1, and this is"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("firegate.yaml"), OPEN).expect("a file");
        let arguments = ["--listen", "127.0.0.1:0", "-c", "firegate.yaml"];
        let served = Served::start_by_shell(&format!("{variables} exec \"$@\""), folder.path(), &arguments);
        let line = served.line(|line| line.contains("LISTEN_FDS")).await;
        assert!(line.contains(" WARN ") && line.contains(expected) && line.contains("hint: "), "{line}");
    }
}
