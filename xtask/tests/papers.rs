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
