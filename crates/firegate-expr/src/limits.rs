//! Every bound of expressions, named and in one place.
//!
//! Those that begin with `GOOGLE` are Google's and hold in dialect `gcloud` alone; the others are Firegate's own and hold
//! always, because an expression comes from a file that a stranger may have had a hand in.

/// The longest expression that is read, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;

/// How deep operators, calls and brackets may nest. A chain of `&&` or of `||` is one level, however long.
pub const DEPTH_MAX: usize = 48;

/// How many parts (names, literals, operators, calls) an expression may have.
pub const NODES_MAX: usize = 4_096;

/// How many problems of one expression are reported.
pub const ERRORS_MAX: usize = 16;

/// The longest regular expression, in bytes.
pub const REGULAR_EXPRESSION_BYTES_MAX: usize = 1_024;

/// The largest compiled regular expression, in bytes of memory.
pub const REGULAR_EXPRESSION_PROGRAM_BYTES_MAX: usize = 1024 * 1024;

/// The largest cache of one regular expression's automaton, in bytes of memory.
pub const REGULAR_EXPRESSION_CACHE_BYTES_MAX: usize = 1024 * 1024;

/// The highest count of a repetition: RE2's bound.
pub const REGULAR_EXPRESSION_REPETITIONS_MAX: u32 = 1_000;

/// How deep the groups of a regular expression may nest.
pub const REGULAR_EXPRESSION_DEPTH_MAX: usize = 64;

/// How many steps one evaluation may take: more than the largest expression has parts, so that it never ends a sound one.
pub const EVALUATION_STEPS_MAX: u32 = 16_384;

/// How many bytes the texts that one evaluation makes (`lower`, `urlDecode`, `+`, …) may have in all.
pub const EVALUATION_BYTES_MAX: usize = 1024 * 1024;

/// The longest name, key or value, in characters, that is repeated in a message.
pub const QUOTED_CHARACTERS_MAX: usize = 80;

/// The longest value, in characters, that a trace shows.
pub const TRACE_VALUE_CHARACTERS_MAX: usize = 64;

/// Cloud Armor: how many subexpressions a rule may have; `&&`, `||` and `!` are not counted.
/// <https://cloud.google.com/armor/docs/rules-language-reference>
pub const GOOGLE_ARMOR_SUBEXPRESSIONS_MAX: usize = 5;

/// Cloud Armor: the longest subexpression, in characters.
pub const GOOGLE_ARMOR_SUBEXPRESSION_CHARACTERS_MAX: usize = 1_024;

/// Cloud Armor: the longest expression, in characters.
pub const GOOGLE_ARMOR_EXPRESSION_CHARACTERS_MAX: usize = 2_048;

/// Cloud Armor: how often `matches` may stand in an expression.
pub const GOOGLE_ARMOR_MATCHES_MAX: usize = 1;

/// Cloud Armor: how many rules of a WAF rule set may be opted in or out.
pub const GOOGLE_ARMOR_WAF_RULES_MAX: usize = 128;

/// IAM: how many logical operators (`&&`, `||`, `!`) a condition may have.
/// <https://cloud.google.com/iam/docs/conditions-overview>
pub const GOOGLE_IAM_LOGICAL_OPERATORS_MAX: usize = 12;
