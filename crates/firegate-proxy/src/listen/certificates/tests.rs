use std::path::Path;

use firegate_core::time::SystemClock;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::limits::{FILE_READ_TIMEOUT, WATCH_INTERVAL};

/// Writes a certificate for these names and its key as `NAME.pem` and `NAME-key.pem`.
fn write(folder: &Path, name: &str, hosts: &[&str]) -> Certificate {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(hosts).expect("names").self_signed(&key).expect("a certificate");
    let files = files(folder, name);
    std::fs::write(&files.cert, certificate.pem()).expect("a file");
    std::fs::write(&files.key, key.serialize_pem()).expect("a file");
    files
}

fn files(folder: &Path, name: &str) -> Certificate {
    Certificate { cert: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}-key.pem")) }
}

fn read(names: &[Certificate]) -> Result<Certificates, CertificateError> {
    Certificates::read(names, Arc::new(SystemClock))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn the_name_that_is_asked_for_chooses() {
    let folder = folder();
    let names = [
        write(folder.path(), "first", &["door.example"]),
        write(folder.path(), "wild", &["*.apps.example", "apps.example"]),
        write(folder.path(), "one", &["one.apps.example", "door.example"]),
    ];
    let certificates = read(&names).expect("they can be used");
    let choice = certificates.chosen.load();
    let check = |name: Option<&str>, expected: &[&str]| {
        let found = choice.of(name).map(|pair| pair.file.file_stem().expect("a name").to_str());
        let expected = expected.iter().map(|stem| Some(*stem)).collect::<Vec<_>>();
        assert_eq!(found.collect::<Vec<_>>(), expected, "{name:?}");
    };
    check(Some("door.example"), &["first", "one"]);
    check(Some("DOOR.example"), &["first", "one"]);
    check(Some("apps.example"), &["wild"]);
    check(Some("two.apps.example"), &["wild"]);
    check(Some("one.apps.example"), &["one"]);
    check(Some("a.two.apps.example"), &["first"]);
    check(Some("*.apps.example"), &["wild"]);
    check(Some("elsewhere.example"), &["first"]);
    check(None, &["first"]);
}

#[test]
fn what_cannot_be_used_is_said_with_the_name_of_its_file() {
    let folder = folder();
    let good = write(folder.path(), "good", &["door.example"]);
    let other = write(folder.path(), "other", &["other.example"]);
    let check = |name: Certificate, expected: &[&str]| {
        let said = read(&[name]).expect_err("it cannot be used").to_string();
        for part in expected {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    };
    check(files(folder.path(), "missing"), &["missing.pem", "cannot be read"]);
    check(Certificate { key: other.key, ..good.clone() }, &["other-key.pem", "good.pem", "is not the one"]);
    check(Certificate { key: good.cert.clone(), ..good.clone() }, &["good.pem", "no private key"]);
    check(
        Certificate { cert: good.key.clone(), ..good.clone() },
        &["good-key.pem", "no certificate", "there is none in it"],
    );
    std::fs::write(folder.path().join("cut.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n").expect("a file");
    check(
        Certificate { cert: folder.path().join("cut.pem"), ..good.clone() },
        &["cut.pem", "no certificate"],
    );
    let large = vec![b'\n'; crate::limits::CERTIFICATE_FILE_BYTES_MAX as usize + 1];
    std::fs::write(folder.path().join("large.pem"), large).expect("a file");
    check(Certificate { cert: folder.path().join("large.pem"), ..good.clone() }, &["large.pem", "too large"]);
    let nameless = write(folder.path(), "nameless", &["192.0.2.1"]);
    assert!(read(std::slice::from_ref(&nameless)).is_ok(), "the first one need not have a name");
    let said = read(&[good, nameless]).expect_err("nobody can ask for it").to_string();
    assert!(said.contains("nameless.pem") && said.contains("no host name"), "{said}");
}

#[tokio::test]
async fn changed_files_are_used_if_they_fit_together_and_else_the_former_ones_stay() {
    let folder = folder();
    let names = [write(folder.path(), "door", &["former.example"])];
    let certificates = read(&names).expect("they can be used");
    let used = || certificates.chosen.load().pairs[0].names.clone();
    let are_current = || certificates.figures().are_current;
    certificates.reload().await;
    assert_eq!((used(), are_current()), (vec!["former.example".to_owned()], true));

    let next = write(folder.path(), "next", &["next.example"]);
    std::fs::rename(&next.cert, &names[0].cert).expect("a file");
    certificates.reload().await;
    assert_eq!((used(), are_current()), (vec!["former.example".to_owned()], false), "the key is missing");
    certificates.reload().await;
    assert!(!are_current(), "nothing has changed");

    std::fs::rename(&next.key, &names[0].key).expect("a file");
    certificates.reload().await;
    assert_eq!((used(), are_current()), (vec!["next.example".to_owned()], true));

    std::fs::remove_file(&names[0].cert).expect("a file");
    certificates.reload().await;
    assert_eq!((used(), are_current()), (vec!["next.example".to_owned()], false));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_without_being_told_of() {
    let folder = folder();
    let names = [write(folder.path(), "door", &["former.example"])];
    let certificates = Arc::new(read(&names).expect("they can be used"));
    let stop = CancellationToken::new();
    let watch = tokio::spawn(Arc::clone(&certificates).watch(stop.clone()));
    write(folder.path(), "door", &["next.example"]);
    // The clock stands still but for those who wait for it.
    while certificates.chosen.load().pairs[0].names != ["next.example"] {
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
    stop.cancel();
    watch.await.expect("it ends");
}

/// Lets time pass, and threads that look at files do so meanwhile: the clock does not wait for them.
#[cfg(unix)]
async fn pass(time: std::time::Duration) {
    tokio::time::advance(time).await;
    tokio::task::spawn_blocking(|| {}).await.expect("it runs");
}

/// A pipe that nobody writes to stands for a disk that does not answer.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn files_that_hang_are_told_of_and_hold_nothing_once_they_are_others() {
    let folder = folder();
    let names = [write(folder.path(), "door", &["former.example"])];
    let certificates = Arc::new(read(&names).expect("they can be used"));
    let next = write(folder.path(), "next", &["next.example"]);
    let stop = CancellationToken::new();
    let watch = tokio::spawn(Arc::clone(&certificates).watch(stop.clone()));
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    // Whoever reads it waits until this is dropped.
    let silent = std::fs::File::options().read(true).write(true).open(&pipe).expect("a pipe");
    std::fs::rename(&pipe, &names[0].key).expect("a file");
    let asked = tokio::spawn({
        let certificates = Arc::clone(&certificates);
        async move { certificates.reload().await }
    });
    // The clock stands still while a thread reads.
    while certificates.figures().are_current {
        pass(FILE_READ_TIMEOUT).await;
    }
    // The watch may have begun another reading, and its thread may be on its way to the file.
    let hangs_at = || certificates.hanging().as_ref().map(ToString::to_string).unwrap_or_default();
    while !hangs_at().contains("door-key.pem does not answer") {
        pass(FILE_READ_TIMEOUT).await;
    }
    let begun = certificates.readings.load(Ordering::Relaxed);
    certificates.reload_on_request().await;
    assert_eq!(certificates.readings.load(Ordering::Relaxed), begun, "it is waited for once");
    std::fs::rename(&next.cert, &names[0].cert).expect("a file");
    std::fs::rename(&next.key, &names[0].key).expect("a file");
    while certificates.chosen.load().pairs[0].names != ["next.example"] {
        pass(WATCH_INTERVAL).await;
    }
    assert!(certificates.figures().are_current);
    tokio::time::advance(2 * FILE_READ_TIMEOUT).await;
    drop(silent);
    asked.await.expect("it ends");
    assert!(certificates.figures().are_current, "what was found late counts for nothing");
    stop.cancel();
    watch.await.expect("it ends");
}

#[test]
fn a_file_that_is_cut_off_is_told_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let check = |text: &str, expected: &str| {
        for file in [&cert, &key] {
            std::fs::write(file, text).expect("it is written");
        }
        let names = [Certificate { cert: cert.clone(), key: key.clone() }];
        let fault = Certificates::faults(&names).remove(0).1.to_string();
        assert!(fault.contains(expected), "{fault}");
    };
    check("-----BEGIN CERTIFICATE-----\nMIIB", "it ends before the line `-----END CERTIFICATE-----`");
    check("-----BEGIN CERTIFICATE\nMIIB", "does not end with `-----`");
    check("", "there is none in it");
}
