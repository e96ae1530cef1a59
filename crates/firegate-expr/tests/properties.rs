//! What holds for every expression, and for every text that is none.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod generated;

use firegate_expr::{Dialect, Expression, Language, Outcome, Trace, Traced};
use generated::{Choices, Request, armor, requests, told};
use proptest::prelude::*;

const BOTH: [Language; 2] = [Language::Armor, Language::IamCondition];

fn lengths_are_sound(text: &str, trace: &Trace) {
    assert_eq!(text.get(trace.span.clone()), Some(trace.text.as_str()));
    trace.parts.iter().for_each(|part| lengths_are_sound(text, part));
}

/// Whatever is read: its problems have places in the text, and an expression can be printed, read again and asked.
fn read(text: &str) {
    for language in BOTH {
        for dialect in [Dialect::Gcloud, Dialect::Firegate] {
            match Expression::parse(text, language, dialect) {
                Err(errors) => {
                    assert!(!errors.is_empty());
                    for error in errors {
                        assert!(text.get(error.span.clone()).is_some(), "{text}: {error:?}");
                    }
                }
                Ok(expression) => {
                    let printed = expression.to_string();
                    let again = Expression::parse(&printed, language, Dialect::Firegate).expect(&printed);
                    assert_eq!(again.to_string(), printed);
                    for request in requests() {
                        let outcome = expression.evaluate(&Request(&request));
                        assert_eq!(
                            told(outcome),
                            told(again.evaluate(&Request(&request))),
                            "{text} is not {printed}"
                        );
                        let trace = expression.trace(&Request(&request));
                        lengths_are_sound(text, &trace);
                        assert_eq!(trace.result, Traced::Verdict(outcome), "{text}");
                    }
                    for lint in expression.lints() {
                        assert!(text.get(lint.span.clone()).is_some(), "{text}: {lint:?}");
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        read(&text);
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(prop::sample::select(vec![
        "request", ".", "path", "headers", "[", "]", "'a'", "(", ")", "&&", "||", "!", "-", "==", "in", "?", ":", ",", "{", "}", "1", "1.5",
        "r'\\d'", "has", "matches", "size", "auth", "token", "null", "true", "+", "<", "origin", "asn", "'", "\"\"\"", "//", "\n", "in", "x",
    ]), 0..24)) {
        read(&words.join(""));
        read(&words.join(" "));
    }

    #[test]
    fn what_is_printed_is_what_was_read(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        read(&armor(&mut Choices(&bytes)));
    }

    #[test]
    fn a_damaged_expression_does_not_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..120), at in any::<prop::sample::Index>(), with in any::<char>()
    ) {
        let mut text: Vec<char> = armor(&mut Choices(&bytes)).chars().collect();
        let at = at.index(text.len());
        text[at] = with;
        read(&text.into_iter().collect::<String>());
    }

    /// Kleene: what is decided does not change when less is known.
    #[test]
    fn what_is_decided_stays_decided_when_less_is_known(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let text = armor(&mut Choices(&bytes));
        let Ok(expression) = Expression::parse(&text, Language::Armor, Dialect::Firegate) else { return Ok(()) };
        for request in requests() {
            let whole = expression.evaluate(&Request(&request));
            let less = expression.evaluate(&Blind(Request(&request)));
            if matches!(less, Outcome::True | Outcome::False) {
                prop_assert_eq!(told(less), told(whole), "{}", text);
            }
        }
    }
}

/// A request of which the address, the region and reCAPTCHA are unknown.
struct Blind<'a>(Request<'a>);

impl firegate_expr::Attributes for Blind<'_> {
    fn attribute(&self, attribute: firegate_expr::Attribute) -> firegate_expr::Fact<'_> {
        use firegate_expr::{Attribute, Fact};
        match attribute {
            Attribute::OriginIp | Attribute::OriginRegionCode | Attribute::OriginAsn => Fact::Unavailable,
            attribute => self.0.attribute(attribute),
        }
    }

    fn header(&self, name: &str) -> Option<std::borrow::Cow<'_, [u8]>> {
        self.0.header(name)
    }

    fn has_user(&self) -> bool {
        false
    }

    fn claim(&self, _: &str) -> firegate_expr::Fact<'_> {
        firegate_expr::Fact::Absent
    }
}
