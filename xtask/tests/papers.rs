//! What holds for the papers: their links lead somewhere, and their tables are whole. Whether their commands exist is asked in
//! `tidy.rs`.
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Every paper by its path from the root.
fn papers() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"])
        .current_dir(root)
        .output();
    let listed = String::from_utf8(listed.expect("git runs").stdout).expect("UTF-8");
    let paths = listed.lines().map(PathBuf::from).filter(|path| root.join(path).exists());
    paths.map(|path| (path.clone(), std::fs::read_to_string(root.join(path)).expect("text"))).collect()
}

/// The lines that are prose, with their numbers: what is fenced is code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Where the links of a line lead.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

/// What a heading is called in a link, as GitHub does it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            other => path.push(other),
        }
        path
    })
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let papers = papers();
    let mut seen = 0;
    let mut lost = Vec::new();
    for (path, text) in &papers {
        let targets = prose(text).flat_map(|(number, line)| links(line).map(move |link| (number, link)));
        for (number, link) in targets.filter(|(_, link)| !link.contains(':')) {
            seen += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                plain(&path.parent().unwrap_or(Path::new("")).join(file))
            };
            let headings =
                papers.get(&target).map(|text| prose(text).filter(|(_, line)| line.starts_with('#')));
            let is_there = match headings {
                _ if fragment.is_empty() => root.join(&target).exists(),
                Some(mut headings) => headings.any(|(_, heading)| anchor(heading) == fragment),
                None => false,
            };
            if !is_there {
                lost.push(format!("{}:{number}: {link}", path.display()));
            }
        }
    }
    assert!(seen > 100, "the papers have links: {seen}");
    assert!(lost.is_empty(), "links that lead nowhere:\n{}", lost.join("\n"));
}

/// A table begins with the names of its columns and a line of dashes. Without them its rows are shown as text, which is what an
/// empty line in its midst does.
#[test]
fn tables_are_whole() {
    let mut broken = Vec::new();
    for (path, text) in papers() {
        let lines = prose(&text).collect::<Vec<_>>();
        let is_row = |at: usize| lines.get(at).is_some_and(|(_, line)| line.starts_with('|'));
        let is_rule = |at: usize| {
            is_row(at)
                && lines.get(at).is_some_and(|(_, line)| line.chars().all(|letter| "|-: ".contains(letter)))
        };
        for (at, (number, line)) in lines.iter().enumerate() {
            let begins = is_row(at) && (at == 0 || !is_row(at - 1));
            if begins && !is_rule(at + 1) {
                broken.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "rows that belong to no table:\n{}", broken.join("\n"));
}

/// The places that docs/life-of-a-request.md abbreviates, as its first lines say.
const ABBREVIATED: [(&str, &str); 3] = [
    ("core/", "crates/firegate-core/src"),
    ("proxy/", "crates/firegate-proxy/src"),
    ("google/", "crates/firegate-google/src"),
];

#[test]
fn the_files_on_a_requests_way_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let papers = papers();
    let page = papers.get(Path::new("docs/life-of-a-request.md")).expect("the page");
    let is_of_path = |letter: char| letter.is_ascii_alphanumeric() || "_./-".contains(letter);
    let words = page.split(|letter| !is_of_path(letter)).map(|word| word.trim_end_matches('.'));
    let (mut seen, mut lost) = (0, Vec::new());
    for word in words {
        for (short, place) in ABBREVIATED {
            if let Some(file) = word.strip_prefix(short).filter(|file| !file.is_empty()) {
                seen += 1;
                lost.extend((!root.join(place).join(file).exists()).then_some(word));
            }
        }
    }
    assert!(seen > 30, "the page names the files of the steps: {seen}");
    assert!(lost.is_empty(), "docs/life-of-a-request.md names files that do not exist: {lost:?}");
}

/// The modules that a row of ARCHITECTURE.md's tables is about: those of its first column.
fn modules_of_rows(text: &str) -> impl Iterator<Item = &str> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

#[test]
fn the_code_map_has_every_module_of_the_front_door_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let papers = papers();
    let page = papers.get(Path::new("ARCHITECTURE.md")).expect("the page");
    for name in ["firegate-core", "firegate-proxy"] {
        let heading = format!("\n### `crates/{name}`\n");
        let section = page.split_once(&heading).expect("a section").1;
        let section = section.split("\n### ").next().expect("a section");
        let library = root.join("crates").join(name).join("src/lib.rs");
        let library = std::fs::read_to_string(library).expect("the library");
        let modules = library
            .lines()
            .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
        let mut modules = modules.collect::<Vec<_>>();
        let mut told = modules_of_rows(section).collect::<Vec<_>>();
        modules.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, modules, "ARCHITECTURE.md has one row for each module of {name}");
    }
}
