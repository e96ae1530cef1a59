use std::fmt;

/// Which of Google's languages an expression is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Cloud Armor's custom rules language: `match.expr.expression` of a security policy's rule.
    /// <https://cloud.google.com/armor/docs/rules-language-reference>
    Armor,
    /// An IAM condition: `condition.expression` of a binding, `denialCondition.expression` of a deny rule.
    /// <https://cloud.google.com/iam/docs/conditions-attribute-reference>
    IamCondition,
}

/// Who has to understand an expression, or a whole file in one of Google's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Google: what Google refuses is an error here too.
    Gcloud,
    /// Firegate alone: Google's limits are lifted, and the verified user is there (`auth.*`), and `in`.
    Firegate,
}

impl Language {
    /// The one that it is taken for by mistake.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Armor => Self::IamCondition,
            Self::IamCondition => Self::Armor,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Armor => "Cloud Armor's rules language",
            Self::IamCondition => "IAM conditions",
        })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Gcloud => "gcloud",
            Self::Firegate => "firegate",
        })
    }
}
