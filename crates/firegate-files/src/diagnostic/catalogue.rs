//! docs/diagnostics.md: what each code means, made of the lists of codes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::code;

/// What the codes of a hundred are about, by their first digit.
const FAMILIES: [(&str, &str); 7] = [
    ("FG0", "The form of a file"),
    ("FG1", "The configuration"),
    ("FG2", "Security policies"),
    ("FG3", "URL maps"),
    ("FG4", "IAM's files"),
    ("FG5", "Expressions"),
    ("FG6", "What stands behind a URL map"),
];

const INTRODUCTION: &str = "\
# What a check finds

<!-- Made from the code by `cargo xtask generate`. -->

`firegate check`, and every command that reads a configuration, tells what it finds with a code, its place and mostly a hint:

```text
error[FG004]: unknown key `alow`
 --> firegate.yaml:4:1
  |
4 | alow: [allAuthenticatedUsers]
  | ^^^^
  |
  = hint: did you mean `allow`?
```

An *error* refuses the file. A *warning* takes it, and it probably does not do what was meant; with `--strict` it counts as an
error. A *note* is worth knowing. A code never gets a second meaning, so a search for it finds this page.
";

/// The page.
pub fn markdown() -> String {
    let meanings =
        code::MEANINGS.iter().chain(firegate_expr::code::MEANINGS).copied().collect::<BTreeMap<_, _>>();
    let mut page = INTRODUCTION.to_owned();
    for (family, title) in FAMILIES {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n| code | what it says |\n|---|---|\n");
        for (code, meaning) in meanings.iter().filter(|(code, _)| code.starts_with(family)) {
            let meaning = meaning.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            // A link of the code's own documentation leads nowhere here.
            let meaning = meaning.replace("[`crate::limits`]", "[limits.md](limits.md)");
            let _ = writeln!(page, "| `{code}` | {meaning} |");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_on_the_page_with_a_meaning() {
        let page = markdown();
        for (code, meaning) in code::MEANINGS.iter().chain(firegate_expr::code::MEANINGS) {
            assert!(page.contains(&format!("\n| `{code}` | ")), "{code} belongs to no family");
            assert!(!meaning.is_empty(), "{code} has no meaning");
        }
    }
}
