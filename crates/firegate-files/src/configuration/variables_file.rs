//! The file that `gcloud run deploy --env-vars-file` takes: names of variables and their texts, of which `FIREGATE_CONFIG` is a
//! configuration.

use std::ops::Range;

use super::{CONFIGURATION_VARIABLE, parse_tree};
use crate::yaml::{Document, Scalar, Value};

/// The configuration in a file of variables, and the name by which its places are told; `None` if the file is none of
/// variables.
///
/// A text that stands there as a literal block (`|`) keeps its lines, columns and bytes, so that what is said of it points into
/// the file.
pub fn configuration_of_variables(file_name: &str, text: &str) -> Option<(String, String)> {
    let document = parse_tree(file_name, text)?;
    let Value::Mapping(variables) = &document.root.value else { return None };
    let variable = variables.iter().find(|entry| entry.key == CONFIGURATION_VARIABLE)?;
    let Value::Scalar(Scalar { text: configuration, .. }) = &variable.value.value else { return None };
    let lines = variable.key_span.end..variable.value.span.end;
    Some(match block(&document, lines).filter(|block| holds(block, configuration)) {
        Some(block) => (file_name.to_owned(), block),
        None => (format!("{CONFIGURATION_VARIABLE} of {file_name}"), configuration.clone()),
    })
}

/// The file with nothing but these lines, without the one in which they begin: all others are blank.
fn block(document: &Document, lines: Range<usize>) -> Option<String> {
    let text = document.text();
    let start = lines.start + text.get(lines.clone())?.find('\n')? + 1;
    let blank = |part: &str| {
        part.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' }).collect()
    };
    let (before, after): (String, String) = (blank(text.get(..start)?), blank(text.get(lines.end..)?));
    Some(before + text.get(start..lines.end)? + &after)
}

/// Whether the lines are those of the variable's text, but for their indentation.
fn holds(block: &str, configuration: &str) -> bool {
    let lines = |text: &str| {
        let lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>()
    };
    lines(block) == lines(configuration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::parse;
    use crate::diagnostic::Style;

    #[test]
    fn places_in_a_block_are_those_of_the_file() {
        let file = "# für Cloud Run\nOTHER: 'a'\nFIREGATE_CONFIG: |\n  project: my-project\n\n  alow: [allUsers]\n\
                    # the end\nLAST: b\n";
        let (name, text) = configuration_of_variables("env.yaml", file).expect("a configuration");
        assert_eq!((name.as_str(), text.len()), ("env.yaml", file.len()));
        let found = parse(&name, &text).expect_err("a wrong key");
        let text = found.render(Style::Plain);
        assert!(text.contains("env.yaml:6:3") && text.contains("6 |   alow: [allUsers]"), "{text}");
    }

    #[test]
    fn other_texts_are_told_by_the_variables_name() {
        let configuration = |file: &str| configuration_of_variables("env.yaml", file);
        let quoted = "FIREGATE_CONFIG: \"project: my-project\\nalow: []\"\n";
        let expected = ("FIREGATE_CONFIG of env.yaml".to_owned(), "project: my-project\nalow: []".to_owned());
        assert_eq!(configuration(quoted), Some(expected));
        let folded = configuration("FIREGATE_CONFIG: >\n  { project: my-project,\n  allow: [] }\n");
        assert_eq!(folded.map(|(_, text)| text), Some("{ project: my-project, allow: [] }\n".to_owned()));
        for none in ["project: my-project\n", "FIREGATE_CONFIG: [a]\n", "- FIREGATE_CONFIG\n", "a: [\n", ""] {
            assert_eq!(configuration(none), None, "{none:?}");
        }
    }
}
