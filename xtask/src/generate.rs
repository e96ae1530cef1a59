//! `cargo xtask generate`: the files that are made from the code. Each is made by a function of the crate that knows.

use anyhow::{Context as _, Result};

use crate::limits;
use crate::workspace::root;

/// Every generated file: its path from the top folder, and what it has to hold.
fn files() -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("docs/compat.md", firegate_files::compat::markdown()),
        ("docs/diagnostics.md", firegate_files::diagnostic::catalogue_markdown()),
        ("docs/firegate.schema.json", format!("{:#}\n", firegate_files::configuration::json_schema())),
        ("docs/limits.md", limits::markdown()?),
        ("docs/reasons.md", firegate_core::reason::catalogue_markdown()),
    ])
}

/// Writes the files, or with `check` compares them. True when all are as they should be.
pub(crate) fn run(check: bool) -> Result<bool> {
    let mut fresh = true;
    for (path, expected) in files()? {
        let place = root().join(path);
        if std::fs::read_to_string(&place).is_ok_and(|found| found == expected) {
            println!("{path} is up to date");
        } else if check {
            fresh = false;
            println!("{path} is out of date: run `cargo xtask generate`");
        } else {
            std::fs::write(&place, expected).with_context(|| format!("cannot write {}", place.display()))?;
            println!("{path} written");
        }
    }
    Ok(fresh)
}
