//! The functions of each language.

use super::names::Scope;
use super::node::{Calendar, Test, Transform};
use crate::language::{Dialect, Language};

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `f(x)`
    Global,
    /// `x.f()`
    Member,
    /// Both ways.
    Either,
    /// `api.f()`: before the dot stands a name that is no value.
    Of(&'static str),
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Has,
    Size,
    ToInt,
    Test(Test),
    Matches,
    InIpRange,
    Transform(Transform),
    ToTimestamp,
    ToDuration,
    Calendar(Calendar),
    Extract,
    HasOnly,
    ApiAttribute,
    /// A WAF rule set: `name[, options]`.
    PreconfiguredWaf,
    /// Any other that Firegate does not evaluate: from so many to so many arguments.
    Unknown(usize, usize),
}

/// A function in the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// With what stands before the dot, if that is a name.
    pub(super) label: &'static str,
    pub(super) form: Form,
    pub(super) function: Function,
    armor: Scope,
    iam: Scope,
}

impl Entry {
    pub(super) const fn scope(&self, language: Language) -> Scope {
        match language {
            Language::Armor => self.armor,
            Language::IamCondition => self.iam,
        }
    }

    /// How a call looks, for a hint.
    pub(super) fn usage(&self) -> String {
        match self.form {
            Form::Global | Form::Either => format!("{}(…)", self.name),
            Form::Member => format!("value.{}(…)", self.name),
            Form::Of(namespace) => format!("{namespace}.{}(…)", self.name),
        }
    }
}

const fn both(name: &'static str, form: Form, function: Function) -> Entry {
    Entry { name, label: name, form, function, armor: Scope::Google, iam: Scope::Google }
}

/// Cloud Armor's; in IAM conditions of dialect `firegate` too.
const fn armor(name: &'static str, form: Form, function: Function) -> Entry {
    Entry { name, label: name, form, function, armor: Scope::Google, iam: Scope::Firegate }
}

const fn iam(name: &'static str, form: Form, function: Function) -> Entry {
    Entry { name, label: name, form, function, armor: Scope::Nowhere, iam: Scope::Google }
}

/// A question about a tag of the resource, which Resource Manager alone can answer.
const fn tag(name: &'static str, label: &'static str, arguments: usize) -> Entry {
    let function = Function::Unknown(arguments, arguments);
    Entry { name, label, form: Form::Of("resource"), function, armor: Scope::Nowhere, iam: Scope::Google }
}

/// Cloud Armor's service alone can evaluate it.
const fn service(name: &'static str, function: Function) -> Entry {
    Entry { name, label: name, form: Form::Global, function, armor: Scope::Google, iam: Scope::Nowhere }
}

/// <https://cloud.google.com/armor/docs/rules-language-reference#operations>,
/// <https://cloud.google.com/iam/docs/conditions-attribute-reference>
pub(super) const FUNCTIONS: &[Entry] = &[
    both("has", Form::Global, Function::Has),
    both("size", Form::Either, Function::Size),
    both("int", Form::Global, Function::ToInt),
    both("contains", Form::Member, Function::Test(Test::Contains)),
    both("startsWith", Form::Member, Function::Test(Test::StartsWith)),
    both("endsWith", Form::Member, Function::Test(Test::EndsWith)),
    both("matches", Form::Either, Function::Matches),
    armor("inIpRange", Form::Global, Function::InIpRange),
    armor("lower", Form::Member, Function::Transform(Transform::Lower)),
    armor("upper", Form::Member, Function::Transform(Transform::Upper)),
    armor("base64Decode", Form::Member, Function::Transform(Transform::Base64Decode)),
    armor("urlDecode", Form::Member, Function::Transform(Transform::UrlDecode)),
    armor("urlDecodeUni", Form::Member, Function::Transform(Transform::UrlDecodeUnicode)),
    armor("utf8ToUnicode", Form::Member, Function::Transform(Transform::Utf8ToUnicode)),
    service("evaluatePreconfiguredWaf", Function::PreconfiguredWaf),
    service("evaluatePreconfiguredExpr", Function::Unknown(1, 2)),
    service("evaluateThreatIntelligence", Function::Unknown(1, 3)),
    service("evaluateAddressGroup", Function::Unknown(2, 3)),
    service("evaluateOrganizationAddressGroup", Function::Unknown(2, 3)),
    service("evaluateAdaptiveProtection", Function::Unknown(1, 1)),
    service("evaluateAdaptiveProtectionAutoDeploy", Function::Unknown(0, 0)),
    iam("timestamp", Form::Global, Function::ToTimestamp),
    iam("duration", Form::Global, Function::ToDuration),
    iam("getFullYear", Form::Member, Function::Calendar(Calendar::FullYear)),
    iam("getMonth", Form::Member, Function::Calendar(Calendar::Month)),
    iam("getDate", Form::Member, Function::Calendar(Calendar::Date)),
    iam("getDayOfMonth", Form::Member, Function::Calendar(Calendar::DayOfMonth)),
    iam("getDayOfWeek", Form::Member, Function::Calendar(Calendar::DayOfWeek)),
    iam("getDayOfYear", Form::Member, Function::Calendar(Calendar::DayOfYear)),
    iam("getHours", Form::Member, Function::Calendar(Calendar::Hours)),
    iam("getMinutes", Form::Member, Function::Calendar(Calendar::Minutes)),
    iam("getSeconds", Form::Member, Function::Calendar(Calendar::Seconds)),
    iam("getMilliseconds", Form::Member, Function::Calendar(Calendar::Milliseconds)),
    iam("extract", Form::Member, Function::Extract),
    iam("hasOnly", Form::Member, Function::HasOnly),
    iam("getAttribute", Form::Of("api"), Function::ApiAttribute),
    tag("matchTag", "resource.matchTag", 2),
    tag("matchTagId", "resource.matchTagId", 2),
    tag("hasTagKey", "resource.hasTagKey", 1),
    tag("hasTagKeyId", "resource.hasTagKeyId", 1),
];

/// The function of this name, whatever the dialect.
pub(super) fn function(language: Language, name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.name == name && entry.scope(language) != Scope::Nowhere)
}

/// All names that may be called.
pub(super) fn known(language: Language, dialect: Dialect) -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().filter(move |entry| entry.scope(language).includes(dialect)).map(|entry| entry.name)
}
