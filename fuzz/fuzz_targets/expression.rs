//! An expression out of a file: whatever it is, its problems lie in the text, it says the same when it is printed and read
//! again, and what it says of a request does not change when less is known of the request.
#![no_main]

use std::borrow::Cow;

use firegate_expr::{Attribute, Attributes, Dialect, Expression, Fact, Language, Outcome, Traced, Value};
use libfuzzer_sys::fuzz_target;

/// A request; a blind one does not know its address.
struct Request {
    is_blind: bool,
}

impl Attributes for Request {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        match attribute {
            Attribute::OriginIp if self.is_blind => Fact::Unavailable,
            Attribute::OriginIp => Fact::Known(Value::text("203.0.113.9")),
            Attribute::OriginAsn => Fact::Known(Value::Int(15169)),
            Attribute::RequestMethod => Fact::Known(Value::text("GET")),
            Attribute::RequestPath | Attribute::ResourceName => Fact::Known(Value::text("/api/users")),
            Attribute::RequestQuery => Fact::Known(Value::text("a=%20b+%u00e9")),
            Attribute::RequestTime => Fact::Known(Value::time(1_793_615_400)),
            _ => Fact::Absent,
        }
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        (name == "a").then_some(Cow::Borrowed(b"YWJj\xff"))
    }

    fn has_user(&self) -> bool {
        false
    }

    fn claim(&self, _: &str) -> Fact<'_> {
        Fact::Absent
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for language in [Language::Armor, Language::IamCondition] {
        let expression = match Expression::parse(text, language, Dialect::Firegate) {
            Ok(expression) => expression,
            Err(errors) => {
                assert!(!errors.is_empty());
                assert!(errors.iter().all(|error| text.get(error.span.clone()).is_some()), "{errors:?}");
                assert!(Expression::parse(text, language, Dialect::Gcloud).is_err(), "Google takes less");
                continue;
            }
        };
        let said = expression.evaluate(&Request { is_blind: false });
        let printed = expression.to_string();
        let again =
            Expression::parse(&printed, language, Dialect::Firegate).expect("what is printed can be read");
        assert_eq!(again.to_string(), printed);
        let kind = |outcome: Outcome| std::mem::discriminant(&outcome);
        assert_eq!(kind(again.evaluate(&Request { is_blind: false })), kind(said), "{text} is not {printed}");
        assert_eq!(expression.trace(&Request { is_blind: false }).result, Traced::Verdict(said));
        let blind = expression.evaluate(&Request { is_blind: true });
        if matches!(blind, Outcome::True | Outcome::False) {
            assert_eq!(blind, said, "{text}: less is known, and it says the contrary");
        }
        assert!(expression.lints().iter().all(|lint| text.get(lint.span.clone()).is_some()));
    }
});
