//! The password, or the key, stands where the name of its file belongs, and the log of CI is everybody's.

use super::{SOUND, firegate};

/// What a command prints, on stdout and on stderr, of a configuration that it refuses.
fn told(setting: &str, arguments: &[&str], code: i32) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("firegate.yaml"), format!("{SOUND}{setting}\n")).expect("a file");
    let (ended, stdout, stderr) = firegate(folder.path(), arguments);
    let told = format!("{stdout}{stderr}");
    assert_eq!(ended, Some(code), "{told}");
    told
}

const SERVE: [&str; 5] = ["serve", "-c", "firegate.yaml", "--listen", "127.0.0.1:0"];

#[test]
fn a_password_is_told_by_nobody() {
    let url = "url: 'redis://127.0.0.1:1'";
    for setting in [
        format!("limits_store: {{ {url}, password_file: hunter2 }}"),
        format!("limits_store: {{ {url}, password_file: 'S3cret/with+base64==' }}"),
        format!("limits_store: {{ {url}, password_file: \"hunter2\", database: 1 }}"),
        format!("limits_store:\n  {url}\n  password_file:\n    hunter2"),
        format!("limits_store: {{ {url}, password: hunter2 }}"),
    ] {
        for (arguments, code) in [(&["check"][..], 1), (&["check", "--on-cloud-run"], 1), (&SERVE, 2)] {
            let told = told(&setting, arguments, code);
            assert!(told.contains("firegate.yaml") || told.contains("password_file"), "{told}");
            assert!(!told.contains("hunter2") && !told.contains("S3cret"), "{told}");
        }
    }
}

#[test]
fn a_key_without_the_lines_around_it_is_told_by_nobody() {
    let key = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQR";
    for (arguments, code) in [(&["check"][..], 1), (&SERVE, 2)] {
        let told = told(&format!("assertion: {{ key: {key} }}"), arguments, code);
        assert!(told.contains("this is what a file holds") && !told.contains("MIGH"), "{told}");
    }
}
