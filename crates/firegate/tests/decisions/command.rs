//! `firegate test`, as it is run.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const CONFIGURATION: &str = "\
project: demo-project
backends: { api: https://api-abc123-uc.a.run.app }
allow: [allAuthenticatedUsers]
";

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
    command.arg("test").args(arguments).current_dir(directory).env_clear();
    command.output().expect("firegate runs")
}

fn check(files: &[(&str, &str)], arguments: &[&str], code: i32, stdout: &str, stderr: &str) {
    let directory = TempDir::new().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let output = run(directory.path(), arguments);
    let found = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{found:?}");
    assert_eq!(found.0, stdout);
    assert!(found.1.contains(stderr), "{}", found.1);
}

#[test]
fn it_says_which_case_came_out_otherwise_and_how() {
    let cases = "\
configuration: firegate.yaml
cases:
- name: ada passes
  request: GET https://api.example.com/
  user: ada
  expect: { passes_to: api }
- name: eve does not
  source: https://example.com/page
  request: GET https://api.example.com/
  user: eve
  expect: { refused: NO_INVOKER_BINDING }
";
    check(
        &[("firegate.yaml", CONFIGURATION), ("cases.yaml", cases)],
        &["cases.yaml"],
        1,
        "failed: cases.yaml:7: eve does not\n  expected it to be refused as NO_INVOKER_BINDING, and it passes to api\n  \
         says https://example.com/page\n1 passed, 1 failed\n",
        "",
    );
}

#[test]
fn the_example_of_the_page_comes_out_as_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/testing.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut blocks = page.split("```yaml\n").skip(1).filter_map(|block| Some(block.split_once("```")?.0));
    let (Some(configuration), Some(cases)) = (blocks.next(), blocks.next()) else { panic!("two files") };
    let said = page.split("# ").find_map(|part| part.split_once(" failed\n").map(|(said, _)| said));
    let stdout = format!("{} failed\n", said.expect("the outcome"));
    check(&[("firegate.yaml", configuration), ("cases.yaml", cases)], &["cases.yaml"], 0, &stdout, "");
}

#[test]
fn a_file_without_a_configuration_is_decided_by_the_one_that_is_given() {
    let cases = "cases: [{ name: nobody, request: GET https://api.example.com/, expect: { refused: TOKEN_MISSING, status: 401 } }]";
    let files = [("firegate.yaml", CONFIGURATION), ("cases.yaml", cases)];
    check(&files, &["cases.yaml", "-c", "firegate.yaml"], 0, "1 passed, 0 failed\n", "");
    check(&files, &["cases.yaml"], 2, "", "hint: add `configuration: firegate.yaml` to it");
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_place() {
    let cases = "configuration: firegate.yaml\ncases: [{ name: a, request: GET https://a.b/, expect: { refused: TOKEN_MISING } }]";
    let files = [("firegate.yaml", CONFIGURATION), ("cases.yaml", cases)];
    check(&files, &["cases.yaml"], 2, "", "did you mean `TOKEN_MISSING`?");
    let files = [("firegate.yaml", "project: demo-project"), ("cases.yaml", cases)];
    check(&files, &["missing.yaml"], 2, "", "missing.yaml cannot be read");
    let cases = cases.replace("MISING", "MISSING");
    let files = [files[0], ("cases.yaml", cases.as_str())];
    check(&files, &["cases.yaml"], 2, "", "there is no backend to forward to");
}

#[test]
fn a_file_of_googles_is_written_as_its_import_takes_it() {
    let directory = TempDir::new().expect("a directory");
    let map = "kind: compute#urlMap\nid: '77'\nname: m\ndefaultService: web\nfuture: 1\n";
    std::fs::write(directory.path().join("map.yaml"), map).expect("a file");
    let export = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firegate"));
        command.args(["export", file]).current_dir(directory.path()).env_clear();
        command.output().expect("firegate runs")
    };
    let output = export("map.yaml");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "name: m\ndefaultService: web\nfuture: 1\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("map.yaml:5:1"), "the unknown field is told of");
    assert!(output.status.success());
    std::fs::write(directory.path().join("other.yaml"), "a: 1\n").expect("a file");
    let output = export("other.yaml");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
}
