//! What holds for the tree as a whole, whoever changes it.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may use of the others: arrows only point down. Tests may use more.
const ARROWS: &[(&str, &[&str])] = &[
    ("firegate-expr", &[]),
    ("firegate-files", &["firegate-expr"]),
    ("firegate-core", &["firegate-expr", "firegate-files"]),
    ("firegate-google", &["firegate-core"]),
    ("firegate-identity", &["firegate-core"]),
    ("firegate-emulator", &["firegate-core"]),
    ("firegate-proxy", &["firegate-core", "firegate-files", "firegate-google"]),
    (
        "firegate",
        &[
            "firegate-core",
            "firegate-emulator",
            "firegate-files",
            "firegate-google",
            "firegate-identity",
            "firegate-proxy",
        ],
    ),
    ("xtask", &[]),
];

/// Longer files have more than one subject.
const FILE_LINES_MAX: usize = 500;

/// How wide a line of a comment may be. Code is narrower, which rustfmt sees to; it leaves comments alone.
const COMMENT_WIDTH_MAX: usize = 128;

/// Names that say nothing about what is inside.
const FORBIDDEN_MODULES: [&str; 7] =
    ["common", "handler", "handlers", "helper", "helpers", "manager", "utils"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

fn stdout_of(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Every tracked or new file that git does not ignore, with its text. Binary files and deleted ones are left out.
fn files() -> Vec<(String, String)> {
    stdout_of(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))
        .lines()
        .filter_map(|path| Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn crates_depend_downwards_alone() {
    let metadata = stdout_of(Command::new("cargo").args(["metadata", "--format-version=1", "--no-deps"]));
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let allowed = arrows.get(name).unwrap_or_else(|| panic!("{name} is new: give it a place in ARROWS"));
        let used = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|used| names.contains(used));
        for used in used {
            assert!(allowed.contains(&used), "{name} may not depend on {used}");
        }
    }
}

#[test]
fn files_are_short_enough_to_read() {
    let long: Vec<String> = files()
        .into_iter()
        .filter(|(path, _)| [".rs", ".mjs"].iter().any(|ending| path.ends_with(ending)))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert_none(&format!("longer than {FILE_LINES_MAX} lines"), &long);
}

#[test]
fn comments_are_narrow_enough_to_read() {
    let is_wide =
        |line: &str| line.trim_start().starts_with("//") && line.chars().count() > COMMENT_WIDTH_MAX;
    let wide: Vec<String> = files()
        .iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(number, line)| (path, number + 1, line)))
        .filter(|(_, _, line)| is_wide(line))
        .map(|(path, number, _)| format!("{path}:{number}"))
        .collect();
    assert_none(&format!("comments wider than {COMMENT_WIDTH_MAX} characters"), &wide);
}

#[test]
fn modules_are_named_after_their_noun() {
    let forbidden: Vec<String> = files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| {
            let stem = path.trim_end_matches(".rs").trim_end_matches(".mjs");
            stem.split('/').any(|part| FORBIDDEN_MODULES.contains(&part))
        })
        .collect();
    assert_none("names that say nothing", &forbidden);
}

#[test]
fn nothing_depends_on_one_machine() {
    // Put together here, so that this file does not contain what it looks for.
    let places =
        [["..", "shared"].join("/"), ["", "work", "main"].join("/"), ["", "tmp", "target-"].join("/")];
    let found: Vec<String> = files()
        .iter()
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(number, line)| (path, number + 1, line)))
        .filter(|(_, _, line)| places.iter().any(|place| line.contains(place.as_str())))
        .map(|(path, number, line)| format!("{path}:{number}: {line}"))
        .collect();
    assert_none("paths of one machine", &found);
}

#[test]
fn the_package_locks_name_no_registry() {
    for folder in ["tests/clients", "tests/oracles"] {
        let lock =
            std::fs::read_to_string(root().join(folder).join("package-lock.json")).expect("the lock file");
        let hosts: Vec<String> = lock
            .lines()
            .filter(|line| line.contains("\"resolved\"") || line.contains("registry."))
            .map(str::to_owned)
            .collect();
        assert_none("install with `npm install --omit-lockfile-registry-resolved`", &hosts);
    }
}

#[test]
fn the_readme_prints_fetch_with_user_as_the_client_tests_run_it() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let tested = std::fs::read_to_string(root().join("tests/clients/fetch-with-user.mjs"))
        .expect("fetch-with-user.mjs");
    assert!(
        readme.contains(tested.trim()),
        "README.md does not quote tests/clients/fetch-with-user.mjs word for word"
    );
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let files = files();
    let page = files.iter().find(|(path, _)| path == "docs/security.md").expect("the page").1.clone();
    let tests: String =
        files.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(_, text)| text.as_str()).collect();
    // A test's name is a sentence: three underscores at least, and no dot as in a file's name.
    let is_test = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let cells = page
        .lines()
        .filter_map(|line| line.trim_end_matches([' ', '|']).rsplit_once('|'))
        .map(|(_, cell)| cell);
    let named: Vec<&str> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(is_test).collect();
    assert!(named.len() > 20, "the page names its tests: {named:?}");
    let missing: Vec<String> = named
        .iter()
        .filter(|name| !tests.contains(&format!("fn {name}(")))
        .map(|name| (*name).to_owned())
        .collect();
    assert_none("docs/security.md names tests that do not exist", &missing);
}

#[test]
fn commands_of_the_papers_exist() {
    let firegate = firegate_binary();
    let mut seen = 0;
    for (paper, text) in files().iter().filter(|(path, _)| path.ends_with(".md")) {
        for command in shell_commands(text) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let (program, arguments) = match words.as_slice() {
                ["cargo", "xtask", arguments @ ..] => (Path::new(env!("CARGO_BIN_EXE_xtask")), arguments),
                ["cargo", "run", arguments @ ..] => {
                    let Some(at) = arguments.iter().position(|word| *word == "--") else { continue };
                    (firegate.as_path(), &arguments[at + 1..])
                }
                [
                    "firegate" | "./firegate" | "target/release/firegate" | "./target/release/firegate",
                    arguments @ ..,
                ] => (firegate.as_path(), arguments),
                _ => continue,
            };
            assert_command_exists(paper, &command, program, arguments);
            seen += 1;
        }
    }
    assert!(seen > 0, "no paper shows a command");
}

/// The subcommand answers to `--help`, and its help names every flag of the line.
fn assert_command_exists(paper: &str, command: &str, program: &Path, arguments: &[&str]) {
    let subcommand = arguments.first().filter(|word| !word.starts_with('-'));
    let help = stdout_of(Command::new(program).args(subcommand).arg("--help"));
    for flag in arguments.iter().filter(|word| word.starts_with('-')) {
        let flag = flag.split('=').next().unwrap_or(flag);
        let named = help
            .split(|letter: char| letter.is_whitespace() || ",=[]".contains(letter))
            .any(|word| word == flag);
        assert!(named, "{paper}: `{command}` has a flag that does not exist: {flag}");
    }
}

/// The lines of a paper's `sh` blocks: continued lines joined, comments and what follows a pipe left out.
fn shell_commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while lines.by_ref().any(|line| matches!(line, "```sh" | "```bash" | "```console")) {
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        for line in block.join("\n").replace("\\\n", " ").lines() {
            let line = line.trim_start_matches("$ ");
            let line = line.split(" #").next().unwrap_or(line);
            commands.extend(
                line.split(['|', ';', '>'])
                    .flat_map(|part| part.split("&&"))
                    .map(|part| part.trim().to_owned()),
            );
        }
    }
    commands
}

#[test]
fn shell_commands_are_read_as_a_shell_reads_them() {
    let text = "```sh\ncargo xtask test   # all of them\n$ firegate dev \\\n    --port 1\n# nothing\n```\nfiregate none\n\
        ```yaml\nfiregate: no\n```\n```sh\na | b && c\n```";
    let commands: Vec<String> = shell_commands(text)
        .into_iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(commands, ["cargo xtask test", "firegate dev --port 1", "# nothing", "a", "b", "c"]);
}

/// The binary, built if it is not there yet: as the workspace's tests build it, so that nothing is compiled anew after them.
fn firegate_binary() -> PathBuf {
    let words = ["test", "--workspace", "--test", "decisions", "--no-run", "--message-format=json"];
    let messages = stdout_of(Command::new("cargo").args(words));
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| {
            let ours = message["target"]["name"] == "firegate";
            message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
        })
        .expect("cargo names the binary")
}
