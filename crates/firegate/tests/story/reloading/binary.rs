//! The binary, with its configuration in a file.

use std::path::Path;

use super::*;
use crate::stack::authority::Authority;
use crate::stack::binary::Served;
use crate::stopping::{AT_ONCE, put_pipe_at, read_by_somebody};

fn configuration(service: &str) -> String {
    format!(
        "project: demo-project\nbackends: {{ api: {{ url: '{service}', credential: none }} }}\nallow: [allUsers]\n"
    )
}

/// Which of the services answers.
async fn host(process: &Served) -> String {
    let url = format!("http://{}/", process.address).parse().expect("a URL");
    text(&Call::get(&url).send().await.ok()["headers"]["host"])
}

fn write(file: &Path, text: &str) {
    // As editors do, and as nobody reads half of it.
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).expect("it is written");
    std::fs::rename(&beside, file).expect("it takes its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_and_a_hangup_are_reasons_to_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let services = [mirror().await, mirror().await];
    write(&file, &configuration(&services[0]));
    let arguments = ["-c", file.to_str().expect("text"), "--listen", "127.0.0.1:0"];
    let mut process = Served::start_in(folder.path(), &arguments);
    assert!(services[0].ends_with(&host(&process).await));

    write(&file, &configuration(&services[1]));
    process.next_line("another configuration is in force").await;
    assert!(services[1].ends_with(&host(&process).await));

    write(&file, &configuration(&services[0]).replace("allow:", "alow:"));
    let line = process.next_line("the configuration is not reloaded").await;
    assert!(line.contains("alow"), "{line}");
    assert!(services[1].ends_with(&host(&process).await));

    // It may be in force by the file's change or by the signal, whichever comes first; and then it is in force.
    write(&file, &configuration(&services[0]));
    process.signal("HUP");
    process.next_line("another configuration is in force").await;
    assert!(services[0].ends_with(&host(&process).await));
    process.signal("HUP");
    process.next_line("another configuration is in force").await;
    process.signal("TERM");
    assert!(process.end().success());
}

/// `systemctl reload` behind `systemctl start` does not know how far the start is.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_while_it_starts_ends_nothing_and_is_a_reason_to_reload_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    std::fs::write(&file, "").expect("it is written");
    put_pipe_at(file.to_str().expect("text"));
    std::fs::write(folder.path().join("mended"), configuration("http://127.0.0.1:9")).expect("it is written");
    // Whoever opens a pipe to write waits for somebody who reads: then it is at its configuration. What it reads again is
    // a file.
    let script =
        "(exec 9>firegate.yaml; mv mended firegate.yaml; kill -HUP $$; cat firegate.yaml >&9) & exec \"$@\"";
    let arguments = ["-c", "firegate.yaml", "--listen", "127.0.0.1:0"];
    let mut process = Served::start_by_shell(script, folder.path(), &arguments);
    process.next_line("another configuration is in force").await;
    process.signal("TERM");
    assert!(process.end().success());
}

/// A pipe that nobody writes to stands for a disk that does not answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_certificates_that_hangs_holds_no_reload() {
    let authority = Authority::new();
    authority.issue("one", &["one.example"]);
    let file = authority.file("firegate.yaml");
    let text = format!("{}{}", configuration("http://127.0.0.1:9"), authority.setting(&["one"]));
    std::fs::write(&file, &text).expect("it is written");
    let folder = Path::new(&file).parent().expect("a folder");
    let mut process = Served::start_in(folder, &["-c", &file, "--listen", "127.0.0.1:0"]);
    put_pipe_at(&authority.file("one.pem"));
    process.signal("HUP");
    let _never_written = read_by_somebody(authority.file("one.pem")).await;
    process.next_line("another configuration is in force").await;
    process.signal("HUP");
    process.next_line("another configuration is in force").await;
    write(Path::new(&file), &format!("{text}access_log: refused\n"));
    process.next_line("another configuration is in force").await;
    process.signal("TERM");
    assert!(process.end().success());
}

/// The thread that waits for it cannot be ended; whoever puts a file in its place is not kept waiting by it, nor is a stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_hangs_is_told_and_the_file_that_takes_its_place_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("firegate.yaml");
    let pipe = file.to_str().expect("text").to_owned();
    let services = [mirror().await, mirror().await];
    write(&file, &configuration(&services[0]));
    let mut process = Served::start_in(folder.path(), &["-c", &pipe, "--listen", "127.0.0.1:0"]);
    put_pipe_at(&pipe);
    let _never_written = read_by_somebody(pipe.clone()).await;
    let line = process.next_line("the configuration is not reloaded yet; the one in force stays").await;
    assert!(line.contains(&format!("the file {pipe} does not answer")), "{line}");
    assert!(services[0].ends_with(&host(&process).await));
    write(&file, &configuration(&services[1]));
    process.next_line("another configuration is in force").await;
    assert!(services[1].ends_with(&host(&process).await));
    put_pipe_at(&pipe);
    let _never_written_either = read_by_somebody(pipe).await;
    process.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || process.end());
    let ended = tokio::time::timeout(AT_ONCE, ended).await.expect("it stops");
    assert!(ended.expect("it ends").success());
}

/// It may have been read by somebody who had it written for once.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_in_a_pipe_is_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("firegate.yaml");
    std::fs::write(&pipe, "").expect("it is written");
    put_pipe_at(pipe.to_str().expect("text"));
    let (writer, text) = (pipe.clone(), configuration("http://127.0.0.1:9"));
    let written = std::thread::spawn(move || std::fs::write(writer, text));
    let arguments = ["-c", pipe.to_str().expect("text"), "--listen", "127.0.0.1:0"];
    let process = Served::start_in(folder.path(), &arguments);
    written.join().expect("no panic").expect("it is written");
    process.signal("TERM");
    assert!(process.end().success());
}

/// What `gcloud auth application-default login` writes is an identity like one that the environment names.
#[tokio::test(flavor = "multi_thread")]
async fn the_credential_file_at_home_is_watched_before_it_is_there() {
    let home = tempfile::tempdir().expect("a folder");
    let text =
        "project: demo-project\nbackends: { api: 'https://api-abc123-uc.a.run.app' }\nallow: [allUsers]\n";
    write(&home.path().join("firegate.yaml"), text);
    let arguments = ["-c", "firegate.yaml", "--listen", "127.0.0.1:0"];
    let mut process = Served::start_at_home(home.path(), &arguments);
    let folder = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&folder).expect("a folder");
    write(&folder.join("application_default_credentials.json"), "no credentials");
    let line = process.next_line("the configuration is not reloaded").await;
    assert!(line.contains("application_default_credentials.json"), "{line}");
    std::fs::remove_file(folder.join("application_default_credentials.json")).expect("it is removed");
    process.next_line("another configuration is in force").await;
    process.signal("TERM");
    assert!(process.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_a_hangup_says_that_there_is_nothing_to_reload() {
    let service = mirror().await;
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = [
        "--project",
        "demo-project",
        "--backend",
        &service,
        "--allow",
        "allUsers",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut process = Served::start_in(folder.path(), &arguments);
    process.signal("HUP");
    process.next_line("there is nothing to reload").await;
    let url = format!("http://{}/", process.address).parse().expect("a URL");
    assert_ne!(Call::get(&url).send().await.status.as_u16(), 0, "it still answers");
    process.signal("TERM");
    assert!(process.end().success());
}

/// The keys that sign, and those that are only published, lie in files of their own.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_key_that_is_written_over_is_a_reason_to_reload_and_so_is_a_former_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "{}assertion: {{ key: new/assertion.pem, previous_keys: [old/assertion.pem] }}\n",
        configuration("http://127.0.0.1:9")
    );
    write(&folder.path().join("firegate.yaml"), &text);
    let places = ["new", "old"].map(|name| folder.path().join(name));
    for place in &places {
        std::fs::create_dir(place).expect("a folder");
        key_file(place);
    }
    let arguments = ["-c", "firegate.yaml", "--listen", "127.0.0.1:0"];
    let mut process = Served::start_in(folder.path(), &arguments);
    let url = process.url.join(".well-known/firegate/jwks.json").expect("a path");
    let published = async || {
        let keys = Call::get(&url).send().await.ok();
        let key_ids = keys["keys"].as_array().expect("keys").iter().map(|key| super::text(&key["kid"]));
        <[String; 2]>::try_from(key_ids.collect::<Vec<_>>()).expect("two keys")
    };
    let first = published().await;
    key_file(&places[0]);
    process.next_line("another configuration is in force").await;
    let second = published().await;
    assert!(second[0] != first[0] && second[1] == first[1], "{first:?} {second:?}");
    key_file(&places[1]);
    process.next_line("another configuration is in force").await;
    let third = published().await;
    assert!(third[0] == second[0] && third[1] != second[1], "{second:?} {third:?}");
    process.signal("TERM");
    assert!(process.end().success());
}
