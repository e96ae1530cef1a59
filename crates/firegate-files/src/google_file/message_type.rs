//! A format as a table: which fields a message has, and what becomes of them.

/// The name under which a table says what becomes of fields that are not in it. No field of Google's has such a name.
const OTHERS: &str = "(any other)";

/// A message of Google's API and its fields.
#[derive(Debug)]
pub struct MessageType {
    /// The name in Google's API, for example `SecurityPolicyRule`.
    pub name: &'static str,
    /// What the field `kind` says of such a message, if it has one.
    pub kind: Option<&'static str>,
    /// All fields that Google documents.
    pub fields: &'static [Field],
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name in camelCase.
    pub name: &'static str,
    /// What stands there.
    pub shape: Shape,
    /// What becomes of it.
    pub treatment: Treatment,
}

/// What may stand in a field. `null` may stand everywhere and means that the field is absent, as in Google's JSON.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number, as a number or in quotes (int64 in Google's JSON is text).
    Integer,
    /// A number.
    Number,
    /// One of these words, exactly.
    Word(&'static [&'static str]),
    /// One of these words, in upper or lower case.
    WordInAnyCase(&'static [&'static str]),
    /// `{seconds, nanos}`, as Compute Engine's API writes durations.
    Duration,
    /// A resource by its full or partial URL or its name; its last segment is what counts.
    Resource,
    /// A message.
    Message(&'static MessageType),
    /// A list.
    List(&'static Shape),
    /// A mapping of any keys, such as labels.
    Map(&'static Shape),
    /// Anything: its parts are not looked at.
    Any,
}

/// What Firegate does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It means what Google's documentation says.
    Evaluated,
    /// It is for people or for Google alone: kept, written back, and nobody misses an effect.
    Kept,
    /// It has no effect here, which is noted: for this reason.
    WithoutEffect(&'static str),
    /// It is set by Google: accepted, and left out when the file is written back.
    OutputOnly,
    /// A file that has it is refused: for this reason.
    Refused(&'static str),
}

impl MessageType {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Why the message may have no other fields than these, if it may not.
    pub fn others_refused(&self) -> Option<&'static str> {
        match self.field(OTHERS)?.treatment {
            Treatment::Refused(why) => Some(why),
            _ => None,
        }
    }

    /// Every field below this message with its path, in the order of the table: `rules[].action`. For documentation.
    pub fn all_fields(&self) -> Vec<(String, &'static Field)> {
        let mut found = Vec::new();
        self.collect("", &mut found);
        found
    }

    fn collect(&self, prefix: &str, found: &mut Vec<(String, &'static Field)>) {
        for field in self.fields {
            let mut path = format!("{prefix}{}", field.name);
            let mut shape = &field.shape;
            loop {
                shape = match shape {
                    Shape::List(element) => {
                        path.push_str("[]");
                        element
                    }
                    Shape::Map(value) => {
                        path.push_str(".*");
                        value
                    }
                    _ => break,
                };
            }
            found.push((path.clone(), field));
            if let Shape::Message(message) = shape {
                message.collect(&format!("{path}."), found);
            }
        }
    }
}

impl Field {
    /// The message that stands here, alone, in a list or in a mapping.
    pub fn message(&self) -> Option<&'static MessageType> {
        let mut shape = &self.shape;
        loop {
            shape = match shape {
                Shape::List(part) | Shape::Map(part) => part,
                Shape::Message(message) => return Some(message),
                _ => return None,
            };
        }
    }

    /// Whether a file means something else without the field.
    pub const fn has_effect(&self) -> bool {
        matches!(self.treatment, Treatment::Evaluated | Treatment::Refused(_))
    }

    /// A field that means what Google's documentation says.
    pub const fn evaluated(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, treatment: Treatment::Evaluated }
    }

    /// A field that is for people or for Google alone.
    pub const fn kept(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, treatment: Treatment::Kept }
    }

    /// A field that has no effect here; `why` completes "`name` has no effect here: …".
    pub const fn without_effect(name: &'static str, shape: Shape, why: &'static str) -> Self {
        Self { name, shape, treatment: Treatment::WithoutEffect(why) }
    }

    /// A field that Google sets.
    pub const fn output_only(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, treatment: Treatment::OutputOnly }
    }

    /// All fields that Google does not document, of a message that says whom or what something holds for: a new one, or one
    /// that is misspelt, may be what narrows it. `why` completes "`Message` has no field `name`: …".
    pub const fn others_refused(why: &'static str) -> Self {
        Self::refused(OTHERS, Shape::Any, why)
    }

    /// A field that makes Firegate refuse the file; `why` completes "`name` is not supported: …".
    pub const fn refused(name: &'static str, shape: Shape, why: &'static str) -> Self {
        Self { name, shape, treatment: Treatment::Refused(why) }
    }
}
