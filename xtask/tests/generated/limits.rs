//! The page docs/limits.md: every constant of the crates' `limits.rs` and of the files that it is divided into, with its value
//! and what its comment says. The files have one shape, so they are read as lines and not as Rust.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use crate::root;

/// The crates, in the order of the page, with what their limits are about.
const CRATES: [(&str, &str); 6] = [
    ("firegate-proxy", "The front door"),
    ("firegate-core", "The decision"),
    ("firegate-google", "The clients of Google"),
    ("firegate-files", "The configuration file"),
    ("firegate-identity", "The local identity server"),
    ("firegate-emulator", "The other local parts"),
];

const INTRODUCTION: &str = "# Limits

Every bound that is built in, by the part that it is for. What a configuration can change is in
[configuration.md](configuration.md); where such a value may lie is here. This page is generated from the `limits.rs` of
each crate by `cargo xtask generate`.
";

/// A constant as it stands in its file.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    name: String,
    expression: String,
    comment: String,
}

/// What a file has, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Heading(String),
    Limit(Limit),
}

/// The value of a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    /// From the one to the other, both included.
    Numbers(u64, u64),
    Milliseconds(u64),
}

/// The whole page.
///
/// # Errors
/// If a file cannot be read, or has another shape.
pub(crate) fn markdown() -> Result<String> {
    let mut files = Vec::new();
    for (name, title) in CRATES {
        let items = items_of(&format!("crates/{name}/src/limits"))?;
        files.push((name, title, items));
    }
    let known: BTreeMap<String, &str> = files
        .iter()
        .flat_map(|(name, _, items)| items.iter().map(move |item| (name, item)))
        .filter_map(|(name, item)| match item {
            Item::Limit(limit) => Some((key(name, &limit.name), limit.expression.as_str())),
            Item::Heading(_) => None,
        })
        .collect();
    let mut page = INTRODUCTION.to_owned();
    for (name, title, items) in &files {
        write!(page, "\n## {title}\n\n`crates/{name}/src/limits.rs`\n")?;
        let mut is_in_table = false;
        for item in items {
            match item {
                Item::Heading(heading) => {
                    write!(page, "\n### {heading}\n")?;
                    is_in_table = false;
                }
                Item::Limit(limit) => {
                    if !is_in_table {
                        page.push_str("\n| limit | value | what it bounds |\n|---|---|---|\n");
                    }
                    is_in_table = true;
                    let value = evaluate(&limit.expression, name, &known)
                        .with_context(|| format!("{name}: {} = {}", limit.name, limit.expression))?;
                    let Limit { name, comment, .. } = limit;
                    writeln!(page, "| `{name}` | {} | {comment} |", value.shown(name))?;
                }
            }
        }
    }
    Ok(page)
}

fn key(crate_name: &str, name: &str) -> String {
    format!("{}::{name}", crate_name.replace('-', "_"))
}

/// What a crate's limits are, and where they are divided into files what those have, before the others.
fn items_of(path: &str) -> Result<Vec<Item>> {
    let file = format!("{path}.rs");
    let text = std::fs::read_to_string(root().join(&file)).with_context(|| format!("cannot read {file}"))?;
    let mut all = Vec::new();
    for part in text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')) {
        all.extend(items_of(&format!("{path}/{part}"))?);
    }
    all.extend(items(&text).with_context(|| format!("{file} has another shape"))?);
    Ok(all)
}

/// Reads a file: comments of three slashes belong to the constant after them, one of two slashes with an empty line after
/// it is a heading, and what is private is an assertion.
fn items(text: &str) -> Result<Vec<Item>> {
    let (mut items, mut comment, mut remark) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("/// ") {
            comment.push(rest.trim());
        } else if let Some(rest) = line.strip_prefix("// ") {
            remark.push(rest.trim());
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let mut statement = rest.to_owned();
            while !statement.ends_with(';') {
                statement.push(' ');
                statement.push_str(lines.next().context("a constant has no end")?.trim());
            }
            let (name, rest) = statement.split_once(": ").with_context(|| statement.clone())?;
            let (_, expression) = rest.split_once("= ").with_context(|| statement.clone())?;
            let comment = links_as_code(&std::mem::take(&mut comment).join(" "));
            if comment.is_empty() {
                bail!("{name} has no comment");
            }
            let expression = expression.trim_end_matches(';').to_owned();
            items.push(Item::Limit(Limit { name: name.to_owned(), expression, comment }));
        } else {
            let remark = std::mem::take(&mut remark).join(" ");
            if line.is_empty() && !remark.is_empty() {
                items.push(Item::Heading(remark.trim_end_matches('.').to_owned()));
            }
        }
    }
    Ok(items)
}

/// A link of rustdoc, which leads nowhere on the page, as what it looks like.
fn links_as_code(comment: &str) -> String {
    comment.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// The value of an expression: numbers and ranges, durations, sums and products, and other constants.
fn evaluate(expression: &str, crate_name: &str, known: &BTreeMap<String, &str>) -> Result<Value> {
    let expression = expression.trim();
    for (constructor, milliseconds) in [("Duration::from_secs(", 1000), ("Duration::from_millis(", 1)] {
        let inner = expression.strip_prefix(constructor).and_then(|rest| rest.strip_suffix(')'));
        if let Some(inner) = inner {
            let number = evaluate(inner, crate_name, known)?.number()?;
            return Ok(Value::Milliseconds(number * milliseconds));
        }
    }
    if let Some((from, to)) = expression.split_once("..=") {
        let [from, to] = [from, to].map(|end| evaluate(end, crate_name, known)?.number());
        return Ok(Value::Numbers(from?, to?));
    }
    for (operator, apply) in
        [(" + ", u64::checked_add as fn(u64, u64) -> Option<u64>), (" * ", u64::checked_mul)]
    {
        if let Some((left, right)) = expression.rsplit_once(operator) {
            let left = evaluate(left, crate_name, known)?.number()?;
            let right = evaluate(right, crate_name, known)?.number()?;
            return Ok(Value::Number(apply(left, right).context("it is too large")?));
        }
    }
    let (atom, _) = expression.split_once(" as ").unwrap_or((expression, ""));
    if let Ok(number) = atom.replace('_', "").parse() {
        return Ok(Value::Number(number));
    }
    let (owner, name) = match atom.split_once("::limits::") {
        Some((owner, name)) => (owner.replace('_', "-"), name),
        None => (crate_name.to_owned(), atom),
    };
    let other = known.get(&key(&owner, name)).with_context(|| format!("{atom} is not known"))?;
    evaluate(other, &owner, known)
}

impl Value {
    fn number(self) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Numbers(..) | Self::Milliseconds(_) => bail!("it stands where a number should"),
        }
    }

    /// The value with its unit, which a number has in its name.
    fn shown(self, name: &str) -> String {
        let number = match self {
            Self::Milliseconds(milliseconds) => return duration(milliseconds),
            Self::Numbers(from, to) => return format!("{} to {}", grouped(from), grouped(to)),
            Self::Number(number) => number,
        };
        let has = |word: &str| name.split('_').any(|part| part == word);
        match () {
            () if has("BYTES") && has("SECOND") => format!("{} a second", bytes(number)),
            () if has("BYTES") => bytes(number),
            () if has("SECONDS") => duration(number * 1000),
            () if has("PERCENT") => format!("{number} %"),
            () if has("BITS") => format!("{number} bits"),
            () => grouped(number),
        }
    }
}

fn bytes(number: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| number >= *size && number.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{} {unit}", number / size),
        None => format!("{} bytes", grouped(number)),
    }
}

/// In the largest unit of which it is two or more, and a whole number: 90 s, and not 1.5 min; 60 s, and not 1 min.
fn duration(milliseconds: u64) -> String {
    let units = [(86_400_000, "days"), (3_600_000, "h"), (60_000, "min")];
    let fits = |(size, _): &(u64, _)| milliseconds > *size && milliseconds.is_multiple_of(*size);
    match units.into_iter().find(fits) {
        Some((size, unit)) => format!("{} {unit}", milliseconds / size),
        None if milliseconds.is_multiple_of(1000) => format!("{} s", milliseconds / 1000),
        None => format!("{milliseconds} ms"),
    }
}

/// With a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_headings_and_limits() {
        let text = "//! A file.\n\nuse std::time::Duration;\n\n/// How long it\n/// takes, see [`OTHER`].\npub const ONE: Duration =\n    Duration::from_secs(OTHER);\n\n// A part.\n\n/// Another.\npub const OTHER: u64 = 3;\n\n// Why it holds.\nconst _: () = assert!(OTHER > 1);\n";
        let limit = |name: &str, expression: &str, comment: &str| {
            let [name, expression, comment] = [name, expression, comment].map(str::to_owned);
            Item::Limit(Limit { name, expression, comment })
        };
        let expected = vec![
            limit("ONE", "Duration::from_secs(OTHER)", "How long it takes, see `OTHER`."),
            Item::Heading("A part".to_owned()),
            limit("OTHER", "3", "Another."),
        ];
        assert_eq!(items(text).expect("its shape is right"), expected);
        assert!(items("pub const BARE: u8 = 1;\n").is_err(), "it has no comment");
    }

    #[test]
    fn values_have_their_units() {
        let known = BTreeMap::from([
            ("firegate_core::LIFETIME".to_owned(), "Duration::from_secs(14 * 24 * 3600)"),
            ("firegate_proxy::HEAD_BYTES_MAX".to_owned(), "64 * 1024"),
        ]);
        let check = |name: &str, expression: &str, expected: &str| {
            let value = evaluate(expression, "firegate-proxy", &known).expect("it is understood");
            assert_eq!(value.shown(name), expected, "{expression}");
        };
        check("A_BYTES_MAX", "16 * 1024 * 1024", "16 MiB");
        check("A_BYTES_MAX", "HEAD_BYTES_MAX as usize + 8 * 1024", "72 KiB");
        check("A_BYTES_MAX", "1_000", "1,000 bytes");
        check("A_BYTES_PER_SECOND_MIN", "240", "240 bytes a second");
        check("A_PERCENT", "20", "20 %");
        check("A_MAX", "100_000", "100,000");
        check("A_DIGITS", "5..=15", "5 to 15");
        check("A_SECONDS", "300", "5 min");
        check("A", "Duration::from_millis(250)", "250 ms");
        check("A", "Duration::from_secs(1)", "1 s");
        check("A", "Duration::from_secs(60)", "60 s");
        check("A", "Duration::from_secs(90)", "90 s");
        check("A", "Duration::from_secs(3600)", "60 min");
        check("A", "Duration::from_secs(24 * 60 * 60)", "24 h");
        check("A", "firegate_core::limits::LIFETIME", "14 days");
        assert!(evaluate("something()", "firegate-proxy", &known).is_err());
    }
}
