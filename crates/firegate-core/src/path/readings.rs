//! What servers make of a path that read more into it than is matched, each in its own way.

use super::resolve;

/// What parameters begin with, for servers that cut them off before they decode, and for those that decode first.
const PARAMETER_MARKS: [&[&str]; 2] = [&[";"], &[";", "%3B"]];

/// The other readings of a path in normal form, the most thorough one last. Capital letters are told apart.
pub(super) fn others(path: &str, has_encoded_separator: bool) -> Vec<String> {
    let mut readings = without_parameters(path);
    if has_encoded_separator {
        add_decoded(path, &mut readings);
    }
    add_without_end(path, &mut readings);
    readings
}

/// A path or a pattern without capital letters, its escapes as they are; `None` if it has none.
pub(crate) fn in_lower_case(text: &str) -> Option<String> {
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut parts = text.split('%');
    let mut lower = parts.next().unwrap_or_default().to_ascii_lowercase();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        lower.push('%');
        lower.push_str(digits);
        lower.push_str(&rest.to_ascii_lowercase());
    }
    (lower != text).then_some(lower)
}

/// Adds what servers read that decode the separators of a path of which these readings are known.
fn add_decoded(path: &str, readings: &mut Vec<String>) {
    let cut = readings.clone();
    for text in std::iter::once(path).chain(cut.iter().map(String::as_str)) {
        let slashes = text.replace("%2F", "/");
        let both = slashes.replace("%5C", "/");
        for decoded in [slashes, both] {
            let (cut, merged) = (without_parameters(&decoded), resolve(&decoded).ok());
            for reading in std::iter::once(decoded).chain(merged).chain(cut).filter(|reading| reading != path)
            {
                // What is found again is more thorough than what was found meanwhile.
                readings.retain(|known| *known != reading);
                readings.push(reading);
            }
        }
    }
}

/// Adds what servers read that cut dots and blanks off the end of a path, as Windows does with names of files, and Caddy
/// everywhere.
fn add_without_end(path: &str, readings: &mut Vec<String>) {
    let ends = std::iter::once(path).chain(readings.iter().map(String::as_str)).map(without_end);
    let cut = ends.flatten().map(str::to_owned).collect::<Vec<_>>();
    readings.extend(cut);
}

fn without_end(path: &str) -> Option<&str> {
    let mut end = path;
    while let Some(shorter) = end.strip_suffix('.').or_else(|| end.strip_suffix("%20")) {
        end = shorter;
    }
    (end.len() < path.len()).then_some(end)
}

/// What servers make of a path that cut the parameters off, each reading once: empty segments may be dropped then or not.
fn without_parameters(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    if !path.contains(';') && !path.contains("%3B") {
        return readings;
    }
    for marks in PARAMETER_MARKS {
        let cut = path.split('/').map(|segment| {
            let end = marks.iter().filter_map(|mark| segment.find(mark)).min();
            end.and_then(|end| segment.get(..end)).unwrap_or(segment)
        });
        let cut = cut.collect::<Vec<_>>().join("/");
        let merged = resolve(&cut).ok();
        for reading in std::iter::once(cut).chain(merged) {
            if reading != path && !readings.contains(&reading) {
                readings.push(reading);
            }
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    use firegate_expr::{Dialect, Expression, Language};

    use crate::path::NormalPath;

    #[test]
    fn the_most_thorough_reading_is_in_small_letters() {
        let check = |path: &str, expected: &str| {
            let normal = NormalPath::parse(path).expect("a path");
            assert_eq!(normal.most_thorough_reading(), expected, "{path}");
        };
        check("/a/b", "/a/b");
        check("/Ab/C", "/ab/c");
        // The digits of an escape are no letters.
        check("/%c3%a9/%c3%89", "/%C3%A9/%C3%89");
        check("/%c3%a9A", "/%C3%A9a");
        check("/A;X/b", "/a/b");
        check("/a;X/b", "/a/b");
        check("/a%2FB", "/a/b");
    }

    #[test]
    fn every_reading_is_read_in_any_case_where_that_may_matter() {
        let check = |path: &str, text: &str, expected: &[(&str, bool)]| {
            let expression = Expression::parse(text, Language::Armor, Dialect::Firegate);
            let normal = NormalPath::parse(path).expect("a path");
            let found = expression.as_ref().map(|expression| {
                let readings = normal.readings_for(expression);
                readings.map(|found| (found.path, found.ignores_case)).collect::<Vec<_>>()
            });
            assert_eq!(found.as_deref(), Ok(expected), "{path} {text}");
        };
        check("/a;x", "request.method == 'GET'", &[]);
        check("/a;x", "request.path.contains('..')", &[("/a", false)]);
        check("/a/b", "request.path == '/a'", &[]);
        check("/A/b", "request.path == '/a'", &[("/A/b", true)]);
        check("/a/b", "request.path == '/A'", &[("/a/b", true)]);
        check("/a;X", "request.path == '/a'", &[("/a", false), ("/a;X", true)]);
        check("/a;x", "request.path == '/A'", &[("/a", false), ("/a;x", true), ("/a", true)]);
    }

    #[test]
    fn parameters_are_cut_off_in_every_way_that_servers_have() {
        let check = |path: &str, expected: &[&str]| {
            let normal = NormalPath::parse(path).expect("a path");
            assert_eq!(normal.other_readings(), expected, "{path}");
        };
        check("/a/b", &[]);
        check("/a%20b", &[]);
        check("/a;v=1/b;w", &["/a/b"]);
        check("/a.", &["/a"]);
        check("/a.%20.%20", &["/a"]);
        check("/a./b.c", &[]);
        check("/a.;x", &["/a.", "/a"]);
        check("/a;x.", &["/a", "/a;x"]);
        check("/a/;v=1", &["/a/"]);
        check("/;/a", &["//a", "/a"]);
        check("/a%3bx/b", &["/a/b"]);
        check("/a%3Bx;y/b", &["/a%3Bx/b", "/a/b"]);
        check("/%3B/;x/a", &["/%3B//a", "/%3B/a", "///a", "/a"]);
    }

    #[test]
    fn separators_are_decoded_in_every_way_that_servers_have() {
        let readings = |path: &str| NormalPath::parse(path).expect("a path").other_readings().to_vec();
        for cut in ["/files/private", "/files/private;x/keys", "/files/private/keys"] {
            assert!(readings("/files/private;x%2Fkeys").contains(&cut.to_owned()), "{cut}");
        }
        assert!(readings("/a%2Fb;x%2Fc").contains(&"/a/b".to_owned()));
        assert_eq!(readings("/a%2Fb%5Cc"), ["/a/b%5Cc", "/a/b/c"]);
        assert_eq!(readings("/a%5Cb/c"), ["/a/b/c"], "what is matched anyway is no other reading");
        for path in ["/a%2Fb%5Cc", "/a%5Cb/c", "/a%2F%2Fb%2F/c", "/a/b%2F%5Cc"] {
            assert_eq!(readings(path).last().expect("a reading"), "/a/b/c", "{path}");
        }
    }

    #[test]
    fn whatever_some_server_reads_in_a_folder_may_be_read_there() {
        let check = |path: &str, expected: bool| {
            let normal = NormalPath::parse(path).expect("a path");
            assert_eq!(normal.may_be_read_in("/in/"), expected, "{path}");
        };
        // By the first of its other readings, by the last, and by one between.
        check("/in%2Fa%5Cb;c", true);
        check("/in%5Ca%2Fb", true);
        check("/in;a%2Fb;c%5Cd", true);
        check("/in;v=1/a", true);
        check("/out%2Fin/a;b", false);
        check("/a/in;b/c", false);
    }
}
