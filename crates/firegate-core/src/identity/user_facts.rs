//! A user as expressions ask for them.

use firegate_expr::{Attribute, Fact, Value};

use super::User;

impl User {
    /// What an expression is told of the user.
    pub(crate) fn fact(&self, attribute: Attribute) -> Fact<'_> {
        Fact::Known(match attribute {
            Attribute::AuthUid => Value::text(&self.uid),
            Attribute::AuthEmail => return Fact::from(self.email.as_ref().map(Value::text)),
            Attribute::AuthEmailVerified => Value::Bool(self.email_verified),
            Attribute::AuthTenant => Value::text(self.tenant.as_deref().unwrap_or_default()),
            Attribute::AuthProvider => Value::text(&self.sign_in_provider),
            Attribute::AuthAnonymous => Value::Bool(self.is_anonymous()),
            _ => return Fact::Absent,
        })
    }

    /// A top-level claim of the user's token.
    pub(crate) fn claim(&self, name: &str) -> Fact<'_> {
        match name {
            "sub" | "user_id" => Fact::Known(Value::text(&self.uid)),
            "email" => Fact::from(self.email.as_ref().map(Value::text)),
            "email_verified" => Fact::Known(Value::Bool(self.email_verified)),
            "firebase" => Fact::Known(Value::Object(self.claims.firebase())),
            "auth_time" => Fact::Known(Value::Int(self.auth_time.as_seconds())),
            "exp" => Fact::Known(Value::Int(self.expires_at.as_seconds())),
            custom => Fact::from(self.claims.own().get(custom).map(Value::from)),
        }
    }
}
