//! Documents without a secret in them: what the SDKs ask about the project before they sign anyone in.

use serde_json::{Value, json};

use crate::limits::PASSWORD_CHARACTERS_MIN;
use crate::routes::{GOOGLE_APIS, KEY_OWNER};
use crate::tokens::{TokenSigning, issuer};

/// OpenID Connect discovery (OpenID Connect Discovery 1.0, section 3). The keys are at this server: under the
/// `authority` that the caller knows it by, or where Google publishes them, if the caller knows it by Google's names.
pub(crate) fn discovery(project: &str, authority: Option<&str>, token_signing: TokenSigning) -> Value {
    let keys = format!("{GOOGLE_APIS}/service_accounts/v1/jwk/{KEY_OWNER}");
    let keys = match authority {
        Some(authority) => format!("http://{authority}/{keys}"),
        None => format!("https://{keys}"),
    };
    let algorithm = match token_signing {
        TokenSigning::Rs256 => "RS256",
        TokenSigning::None => "none",
    };
    json!({
        "issuer": issuer(project),
        "jwks_uri": keys,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm],
    })
}

/// `getProjectConfig`.
pub(crate) fn project_config(project_number: &str) -> Value {
    json!({ "projectId": project_number, "authorizedDomains": ["localhost", "127.0.0.1"] })
}

/// The settings that the reference emulator's own control shows, as they are fixed here.
pub(crate) fn emulator_config() -> Value {
    json!({
        "signIn": { "allowDuplicateEmails": false },
        "emailPrivacyConfig": { "enableImprovedEmailPrivacy": true },
    })
}

/// What the reference emulator answers at `/`, by which tools see that it is up.
pub(crate) fn greeting() -> Value {
    json!({
        "authEmulator": {
            "ready": true,
            "docs": "https://firebase.google.com/docs/emulator-suite",
            "apiSpec": "https://cloud.google.com/identity-platform/docs/reference/rest",
        },
    })
}

/// `recaptchaParams`: strings that are plainly no keys.
pub(crate) fn recaptcha_params() -> Value {
    json!({
        "kind": "identitytoolkit#GetRecaptchaParamResponse",
        "recaptchaStoken": "There-is-no-reCAPTCHA-at-a-local-server",
        "recaptchaSiteKey": "There-is-no-reCAPTCHA-at-a-local-server",
    })
}

/// `recaptchaConfig`: reCAPTCHA guards nothing here.
pub(crate) fn recaptcha_config() -> Value {
    let off = |provider| json!({ "provider": provider, "enforcementState": "OFF" });
    json!({ "recaptchaEnforcementState": [off("EMAIL_PASSWORD_PROVIDER"), off("PHONE_PROVIDER")] })
}

/// `passwordPolicy`: the minimum length, which every project has.
pub(crate) fn password_policy() -> Value {
    json!({
        "customStrengthOptions": { "minPasswordLength": PASSWORD_CHARACTERS_MIN },
        "schemaVersion": 1,
        "allowedNonAlphanumericCharacters": [],
        "enforcementState": "OFF",
        "forceUpgradeOnSignin": false,
    })
}
