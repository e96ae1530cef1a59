//! Whether an expression means a path however its letters are written. Many servers take capital letters for small ones, and
//! answer `/ADMIN` as `/admin`.

use super::{Comparison, PathCompared, compared_with_path};
use crate::syntax::Syntax;

/// Whether all texts that the path is compared with are in small letters. Then for such a server the path is what it is in
/// small letters too; with a capital letter in one of them that would be another one than the server's. A pattern that says
/// from which letters to choose means these.
pub(crate) fn compares_path_in_lower_case(tree: &Syntax) -> bool {
    let mut texts = Vec::new();
    collect(tree, &mut texts);
    !texts.is_empty() && texts.iter().all(is_in_lower_case)
}

/// The texts with which the path is compared as it is.
fn collect<'a>(syntax: &'a Syntax, texts: &mut Vec<PathCompared<'a>>) {
    let compared = compared_with_path(syntax).unwrap_or_default();
    texts.extend(compared.into_iter().filter(|compared| !compared.bounds.any_case));
    syntax.children().into_iter().for_each(|child| collect(child, texts));
}

fn is_in_lower_case(compared: &PathCompared<'_>) -> bool {
    let has_classes = compared.comparison == Comparison::Pattern && compared.text.contains('[');
    // The digits of an escape are no letters.
    let texts = compared.text.split('%').enumerate();
    let letters = texts.map(|(at, text)| if at == 0 { text } else { text.get(2..).unwrap_or_default() });
    !has_classes && !letters.into_iter().any(|text| text.bytes().any(|byte| byte.is_ascii_uppercase()))
}
