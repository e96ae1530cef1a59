//! The files that are made from the code: each by a function of the crate that knows. `cargo xtask generate` writes them.
#![cfg(test)]

mod limits;

use std::path::Path;

/// Every generated file: its path from the top folder, and what it has to hold.
fn files() -> [(&'static str, String); 5] {
    [
        ("docs/compat.md", firegate_files::compat::markdown()),
        ("docs/diagnostics.md", firegate_files::diagnostic::catalogue_markdown()),
        ("docs/firegate.schema.json", format!("{:#}\n", firegate_files::configuration::json_schema())),
        ("docs/limits.md", limits::markdown().expect("limits of the shape that is read")),
        ("docs/reasons.md", firegate_core::reason::catalogue_markdown()),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// With `FIREGATE_GENERATE` in the environment it makes them fresh.
#[test]
fn generated_files_are_fresh() {
    let writes = std::env::var_os("FIREGATE_GENERATE").is_some();
    let mut stale = Vec::new();
    for (path, expected) in files() {
        let place = root().join(path);
        if std::fs::read_to_string(&place).is_ok_and(|found| found == expected) {
            println!("{path} is up to date");
        } else if writes {
            std::fs::write(&place, expected).expect("the folder is there");
            println!("{path} written");
        } else {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "out of date, run `cargo xtask generate`: {}", stale.join(", "));
}
