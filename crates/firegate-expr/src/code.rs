//! The stable codes of what is found in expressions: `FG5..`. A code is never given a second meaning.

macro_rules! codes {
    ($($(#[doc = $meaning:literal])* $name:ident = $code:literal;)*) => {
        $($(#[doc = $meaning])* pub const $name: &str = $code;)*

        /// Every code, with the lines of what it means.
        pub const MEANINGS: &[(&str, &[&str])] = &[$(($name, &[$($meaning),*])),*];
    };
}

codes! {
    /// The text is no expression.
    SYNTAX = "FG501";
    /// The expression is larger or deeper than [`crate::limits`] allows.
    TOO_LARGE = "FG502";
    /// The expression is larger than Google accepts.
    GOOGLE_LIMIT = "FG503";
    /// An attribute that this language does not have.
    UNKNOWN_ATTRIBUTE = "FG504";
    /// A function that this language does not have.
    UNKNOWN_FUNCTION = "FG505";
    /// An operator or a function gets a value of a type that it does not take.
    TYPE = "FG506";
    /// Something that Firegate could evaluate, and Google refuses.
    FIREGATE_ONLY = "FG507";
    /// A part of CEL that this language does not have.
    NOT_IN_LANGUAGE = "FG508";
    /// A regular expression that RE2 does not take, or that is too large.
    REGULAR_EXPRESSION = "FG509";
    /// An argument that can be known to be wrong: a range, a time, a time zone, a sensitivity.
    ARGUMENT = "FG510";

    /// The name of a header is not in lower case, so that it never matches.
    HEADER_NAME = "FG520";
    /// A key that may be absent is read without `has()`.
    HAS_MISSING = "FG521";
    /// The expression, or a part of it, is the same for every request.
    CONSTANT = "FG522";
    /// A function or an attribute that Firegate does not evaluate: the answer is unknown.
    NOT_EVALUATED = "FG523";
    /// What is unknown stands under `!`.
    UNKNOWN_NEGATED = "FG524";
    /// A value that the attribute never has.
    NEVER_EQUAL = "FG525";
    /// A header that every client can write is taken for its address.
    FORWARDED_FOR = "FG526";
    /// An e-mail address decides, and nothing says that it is verified.
    EMAIL_UNVERIFIED = "FG527";
    /// A text that a path never has in the normal form in which it is matched.
    NOT_NORMAL = "FG528";
    /// An encoded slash is looked for in paths, and the backend gets none with one.
    ENCODED_SLASH = "FG529";
    /// What users write of themselves decides: their name or picture.
    SELF_WRITTEN = "FG530";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_code_has_two_meanings() {
        let distinct: BTreeSet<_> = super::MEANINGS.iter().map(|(code, _)| code).collect();
        assert_eq!(distinct.len(), super::MEANINGS.len());
        assert!(super::MEANINGS.iter().all(|(code, _)| code.starts_with("FG5")));
    }
}
