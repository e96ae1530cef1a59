//! The fields of a security policy, as Compute Engine's API documents them (v1 of `securityPolicies`,
//! <https://cloud.google.com/compute/docs/reference/rest/v1/securityPolicies>), and what becomes of each.

use crate::google_file::{Field, MessageType, Shape};

/// A policy, as `gcloud compute security-policies export` writes it.
pub static SECURITY_POLICY: MessageType = MessageType {
    name: "SecurityPolicy",
    kind: Some("compute#securityPolicy"),
    fields: &[
        Field::without_effect(
            "adaptiveProtectionConfig",
            Shape::Any,
            "Adaptive Protection learns from all of Google's traffic",
        ),
        Field::evaluated("advancedOptionsConfig", Shape::Message(&ADVANCED_OPTIONS)),
        Field::output_only("associations", Shape::Any),
        Field::output_only("creationTimestamp", Shape::Text),
        Field::without_effect(
            "ddosProtectionConfig",
            Shape::Any,
            "only Google's edge sees floods below HTTP",
        ),
        Field::kept("description", Shape::Text),
        Field::kept("fingerprint", Shape::Text),
        Field::output_only("id", Shape::Integer),
        Field::output_only("kind", Shape::Text),
        Field::output_only("labelFingerprint", Shape::Text),
        Field::kept("labels", Shape::Map(&Shape::Text)),
        Field::evaluated("name", Shape::Text),
        Field::kept("parent", Shape::Text),
        Field::without_effect(
            "recaptchaOptionsConfig",
            Shape::Any,
            "reCAPTCHA is Google's: a rule that redirects to it refuses here",
        ),
        Field::output_only("region", Shape::Text),
        Field::output_only("ruleTupleCount", Shape::Integer),
        Field::evaluated("rules", Shape::List(&Shape::Message(&RULE))),
        Field::output_only("selfLink", Shape::Text),
        Field::output_only("selfLinkWithId", Shape::Text),
        Field::kept("shortName", Shape::Text),
        Field::evaluated("type", Shape::Word(&TYPES)),
        Field::refused(
            "userDefinedFields",
            Shape::Any,
            "it belongs to network edge policies, which judge packets",
        ),
    ],
};

/// The kinds of policies.
pub(super) const TYPES: [&str; 4] =
    ["CLOUD_ARMOR", "CLOUD_ARMOR_EDGE", "CLOUD_ARMOR_INTERNAL_SERVICE", "CLOUD_ARMOR_NETWORK"];

static ADVANCED_OPTIONS: MessageType = MessageType {
    name: "SecurityPolicyAdvancedOptionsConfig",
    kind: None,
    fields: &[
        Field::without_effect("jsonCustomConfig", Shape::Any, "bodies are not inspected"),
        Field::kept("jsonParsing", Shape::Word(&["DISABLED", "STANDARD", "STANDARD_WITH_GRAPHQL"])),
        Field::kept("logLevel", Shape::Word(&["NORMAL", "VERBOSE"])),
        Field::kept(
            "requestBodyInspectionSize",
            Shape::WordInAnyCase(&["8KB", "16KB", "32KB", "48KB", "64KB"]),
        ),
        Field::evaluated("userIpRequestHeaders", Shape::List(&Shape::Text)),
    ],
};

static RULE: MessageType = MessageType {
    name: "SecurityPolicyRule",
    kind: None,
    fields: &[
        Field::evaluated("action", Shape::Text),
        Field::kept("description", Shape::Text),
        Field::evaluated("headerAction", Shape::Message(&HEADER_ACTION)),
        Field::output_only("kind", Shape::Text),
        Field::evaluated("match", Shape::Message(&MATCHER)),
        Field::refused(
            "networkMatch",
            Shape::Any,
            "it belongs to network edge policies, which judge packets",
        ),
        Field::without_effect(
            "preconfiguredWafConfig",
            Shape::Any,
            "preconfigured WAF rules are not evaluated",
        ),
        Field::evaluated("preview", Shape::Boolean),
        Field::evaluated("priority", Shape::Integer),
        Field::evaluated("rateLimitOptions", Shape::Message(&RATE_LIMIT_OPTIONS)),
        Field::evaluated("redirectOptions", Shape::Message(&REDIRECT_OPTIONS)),
    ],
};

static HEADER_ACTION: MessageType = MessageType {
    name: "SecurityPolicyRuleHttpHeaderAction",
    kind: None,
    fields: &[Field::evaluated("requestHeadersToAdds", Shape::List(&Shape::Message(&HEADER)))],
};

static HEADER: MessageType = MessageType {
    name: "SecurityPolicyRuleHttpHeaderActionHttpHeaderOption",
    kind: None,
    fields: &[Field::evaluated("headerName", Shape::Text), Field::evaluated("headerValue", Shape::Text)],
};

static MATCHER: MessageType = MessageType {
    name: "SecurityPolicyRuleMatcher",
    kind: None,
    fields: &[
        Field::evaluated("config", Shape::Message(&MATCHER_CONFIG)),
        Field::evaluated("expr", Shape::Message(&EXPR)),
        Field::without_effect("exprOptions", Shape::Any, "reCAPTCHA's tokens are Google's to judge"),
        Field::refused(
            "srcIpRanges",
            Shape::Any,
            "it is an old form; write `versionedExpr: SRC_IPS_V1` and `config: {srcIpRanges: […]}`",
        ),
        Field::evaluated("versionedExpr", Shape::Word(&["SRC_IPS_V1"])),
        Field::others_refused("without it the rule might match more"),
    ],
};

static MATCHER_CONFIG: MessageType = MessageType {
    name: "SecurityPolicyRuleMatcherConfig",
    kind: None,
    fields: &[
        Field::evaluated("srcIpRanges", Shape::List(&Shape::Text)),
        Field::others_refused("without it the rule might match more"),
    ],
};

static EXPR: MessageType = MessageType {
    name: "Expr",
    kind: None,
    fields: &[
        Field::kept("description", Shape::Text),
        Field::evaluated("expression", Shape::Text),
        Field::kept("location", Shape::Text),
        Field::kept("title", Shape::Text),
    ],
};

static REDIRECT_OPTIONS: MessageType = MessageType {
    name: "SecurityPolicyRuleRedirectOptions",
    kind: None,
    fields: &[
        Field::evaluated("target", Shape::Text),
        Field::evaluated("type", Shape::Word(&["EXTERNAL_302", "GOOGLE_RECAPTCHA"])),
    ],
};

static RATE_LIMIT_OPTIONS: MessageType = MessageType {
    name: "SecurityPolicyRuleRateLimitOptions",
    kind: None,
    fields: &[
        Field::evaluated("banDurationSec", Shape::Integer),
        Field::evaluated("banThreshold", Shape::Message(&THRESHOLD)),
        Field::evaluated("conformAction", Shape::Text),
        Field::evaluated("enforceOnKey", Shape::Text),
        Field::evaluated("enforceOnKeyConfigs", Shape::List(&Shape::Message(&KEY_CONFIG))),
        Field::evaluated("enforceOnKeyName", Shape::Text),
        Field::evaluated("exceedAction", Shape::Text),
        Field::evaluated("exceedRedirectOptions", Shape::Message(&REDIRECT_OPTIONS)),
        Field::evaluated("rateLimitThreshold", Shape::Message(&THRESHOLD)),
    ],
};

static THRESHOLD: MessageType = MessageType {
    name: "SecurityPolicyRuleRateLimitOptionsThreshold",
    kind: None,
    fields: &[Field::evaluated("count", Shape::Integer), Field::evaluated("intervalSec", Shape::Integer)],
};

static KEY_CONFIG: MessageType = MessageType {
    name: "SecurityPolicyRuleRateLimitOptionsEnforceOnKeyConfig",
    kind: None,
    fields: &[
        Field::evaluated("enforceOnKeyName", Shape::Text),
        Field::evaluated("enforceOnKeyType", Shape::Text),
    ],
};
