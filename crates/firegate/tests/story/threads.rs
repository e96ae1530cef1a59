//! A system that gives no more threads, as a container with a small `pids.max`: the front door says so, or it serves. What it
//! may not do is to end, or go on, with a panic that tells nobody what to change.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user whom nobody is on any machine, who is given a bound of threads: whom root is, none is given.
const USER: &str = "61734";

/// With so many threads it listens, however many cores there are.
const THREADS_MAX: usize = 1024;

/// What it writes until it listens or ends, and its exit code if it does.
fn started_with(threads: usize, folder: &Path) -> (String, Option<i32>) {
    let bound = format!("--nproc={threads}");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "prlimit", &bound]);
    command.arg(folder.join("firegate")).args(["serve", "-c", "firegate.yaml", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder).env_remove("FIREGATE_LOG").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("setpriv, of util-linux, is on every Debian");
    let mut lines = BufReader::new(process.stderr.take().expect("its log"));
    let mut log = String::new();
    while lines.read_line(&mut log).expect("a line") != 0 {
        if log.contains("the front door listens") {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
            return (log, None);
        }
    }
    (log, process.wait().expect("it ends").code())
}

#[test]
fn with_each_number_of_threads_it_says_that_there_are_too_few_or_listens() {
    let id = Command::new("id").arg("-u").output().expect("id runs").stdout;
    if id != b"0\n" {
        eprintln!(
            "not run: a bound of threads is for all processes of a user, and only root can be another one"
        );
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let open_to_all = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("it is the test's own");
    };
    open_to_all(folder.path());
    let binary = folder.path().join("firegate");
    // By another process: what a test starts meanwhile would hold this one's open for writing, and then nobody can run it.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_firegate")).arg(&binary).status();
    assert!(copied.expect("cp runs").success());
    open_to_all(&binary);
    // A name is looked up by a thread for blocking work.
    let text = "project: demo-project\nbackends: { api: { url: 'http://localhost:9', credential: none } }\n\
                allow: [allAuthenticatedUsers]\ngoogle: { id_token_keys: 'http://localhost:9/keys' }\ndata_dir: data\n";
    std::fs::write(folder.path().join("firegate.yaml"), text).expect("a file");

    let mut refusals = 0;
    for threads in 1..THREADS_MAX {
        let (log, code) = started_with(threads, folder.path());
        assert!(!log.contains("a mistake in this program"), "with {threads}:\n{log}");
        if code.is_none() {
            break;
        }
        refusals += 1;
        assert_eq!(code, Some(2), "with {threads}:\n{log}");
        assert!(log.contains("error: a thread could not be started: "), "with {threads}:\n{log}");
        let hint = "hint: raise the bound of threads: `pids.max` of the container, `ulimit -u` of the user";
        assert!(log.trim_end().ends_with(hint), "with {threads}:\n{log}");
    }
    // The log, the control runtime, the acceptor, a worker, and those for blocking work have one each.
    assert!(refusals >= 5, "it listened with {refusals} threads");
}
