//! The templates of IAM's `extract`.
//! <https://cloud.google.com/iam/docs/conditions-attribute-reference#extract>

/// A text with one name in braces: what stands before it, and what after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    before: Box<[u8]>,
    after: Box<[u8]>,
}

impl Template {
    /// Reads `before{name}after`. Braces stand once, and something in them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once('{')?;
        let (name, after) = rest.split_once('}')?;
        let sound = !name.is_empty() && ![before, name, after].iter().any(|part| part.contains(['{', '}']));
        sound.then(|| Self { before: before.as_bytes().into(), after: after.as_bytes().into() })
    }

    /// What stands in `text` behind the first occurrence of what is before the braces and before the next of what is after
    /// them; empty if either is not there. With nothing before, it begins at the beginning; with nothing after, it goes to the
    /// end.
    pub(crate) fn extract<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let found = find(text, &self.before).and_then(|at| text.get(at + self.before.len()..));
        let Some(rest) = found else { return &[] };
        if self.after.is_empty() {
            return rest;
        }
        find(rest, &self.after).and_then(|end| rest.get(..end)).unwrap_or(&[])
    }
}

/// Where `part` begins in `text`, in linear time: both may be a stranger's.
pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, text: &str, expected: &str) {
        let template = Template::parse(template).expect("a template");
        assert_eq!(template.extract(text.as_bytes()), expected.as_bytes(), "{text}");
    }

    #[test]
    fn a_part_of_a_name_is_extracted() {
        let name = "projects/_/buckets/acme-orders-aaa/objects/data_lake/orders/order_date=2019-11-03/aef87g87ae0876";
        check("/order_date={date}/", name, "2019-11-03");
        check("buckets/{name}/", name, "acme-orders-aaa");
        check("/orders/{empty}order_date", name, "");
        check("{start}/objects/data_lake", name, "projects/_/buckets/acme-orders-aaa");
        check("orders/{end}", name, "order_date=2019-11-03/aef87g87ae0876");
        check("{all}", name, name);
        check("/orders/{none}/order_date=", name, "");
        check("absent{x}", name, "");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["", "a", "{}", "{a", "a}", "{a}{b}", "}{", "{{a}}"] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
