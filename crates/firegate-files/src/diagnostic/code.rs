//! The stable codes of all findings. A code is never given a second meaning.
//!
//! `FG0..` concern the form of a file, `FG1..` the configuration, `FG2..` Cloud Armor's security policies, `FG3..` URL maps,
//! `FG4..` IAM's files, `FG5..` expressions, `FG6..` what stands behind a URL map.

macro_rules! codes {
    ($($(#[doc = $meaning:literal])* $name:ident = $code:literal;)*) => {
        $($(#[doc = $meaning])* pub const $name: &str = $code;)*

        /// Every code, with the lines of what it means.
        pub const MEANINGS: &[(&str, &[&str])] = &[$(($name, &[$($meaning),*])),*];
    };
}

codes! {
    /// The text is not YAML.
    YAML_SYNTAX = "FG001";
    /// The file is larger, deeper or holds more than [`crate::limits`] allows.
    TOO_LARGE = "FG002";
    /// A key stands twice in one mapping.
    DUPLICATE_KEY = "FG003";
    /// A key that this mapping does not have.
    UNKNOWN_KEY = "FG004";
    /// A value of the wrong type.
    WRONG_TYPE = "FG005";
    /// A word that is not one of those that may stand there.
    UNKNOWN_VALUE = "FG006";
    /// A key without a value.
    EMPTY_VALUE = "FG007";
    /// A key that must be given is absent.
    MISSING_KEY = "FG008";
    /// YAML that these files do not use: tags, several documents, keys that are not text.
    YAML_FEATURE = "FG009";
    /// A duration or a size that cannot be read, or is out of its range.
    QUANTITY = "FG011";
    /// The configuration, or a file that it names, cannot be read.
    FILE_UNREADABLE = "FG012";
    /// A field that Google's format does not have, as far as Firegate knows: it is kept and has no effect. It is an error if it
    /// is a slip for a field that is evaluated, or stands where it might say whom or what something holds for.
    UNKNOWN_FIELD = "FG013";
    /// A field of Google's format that is kept and has no effect here.
    FIELD_WITHOUT_EFFECT = "FG014";
    /// A field of Google's format without which the file would mean something else, and which Firegate does not have.
    FIELD_REFUSED = "FG015";
    /// The file is another one than is expected here: one of Google's of another kind, a credential, decision cases, one of
    /// Terraform's or of Kubernetes'.
    OTHER_KIND = "FG016";
    /// The file is not UTF-8.
    NOT_UTF_8 = "FG017";
    /// The file is one of environment variables, in which the configuration is one variable's text.
    VARIABLES_FILE = "FG018";

    /// `project` is not a project ID.
    PROJECT = "FG101";
    /// `project_number` is missing or is not a project number.
    PROJECT_NUMBER = "FG102";
    /// An address to listen on cannot be read, or two listeners have the same.
    LISTEN = "FG103";
    /// `behind` does not describe what stands before Firegate.
    BEHIND = "FG104";
    /// `trust` must not be set in a file.
    TRUST = "FG105";
    /// An endpoint under `google` is no usable URL.
    GOOGLE_ENDPOINT = "FG106";
    /// `assertion` is inconsistent.
    ASSERTION = "FG107";
    /// The token exchange, or accepting its tokens, does not go with the assertion's issuer or the backends' audiences.
    EXCHANGE = "FG108";
    /// Other machines can reach the listener for operators.
    ADMIN_REACHABLE = "FG109";

    /// Nobody may call a backend.
    NO_ALLOW = "FG110";
    /// A member cannot be read.
    MEMBER = "FG111";
    /// A member can match nobody under this configuration.
    MEMBER_MATCHES_NOBODY = "FG112";
    /// Two keys stand together that exclude each other.
    EITHER_OR = "FG113";

    /// A backend has no usable name, or there is none.
    BACKEND = "FG120";
    /// A backend's URL is not the origin of an HTTP server, stands twice among its `endpoints`, or has a port at which Cloud
    /// Run does not answer.
    URL = "FG121";
    /// Tokens would go over plain HTTP to an address that is not loopback.
    PLAINTEXT = "FG122";
    /// An audience that Google will probably refuse.
    AUDIENCE = "FG123";
    /// The credential does not go with the rest of the backend.
    CREDENTIAL = "FG124";
    /// Observing does not go with the rest of the backend.
    ENFORCE = "FG125";
    /// Streams cannot end as configured.
    STREAMS = "FG126";
    /// `token_sources` is empty, repeats itself, or has a source in which no accepted token can stand.
    TOKEN_SOURCES = "FG127";
    /// What `credential: federate_user` opens to users without Firegate.
    FEDERATION = "FG128";
    /// Tokens will stand in the logs of what is before Firegate.
    TOKEN_IN_QUERY = "FG129";

    /// A route's path cannot be read or reached, has a parameter, which no route has, or leaves out what servers answer alike.
    ROUTE_PATH = "FG130";
    /// A route names a backend that does not exist.
    ROUTE_BACKEND = "FG131";
    /// Several backends and no routes.
    ROUTES_MISSING = "FG132";

    /// `users` is inconsistent.
    USERS = "FG140";
    /// The audiences of Google ID tokens are missing, unreadable or without effect.
    GOOGLE_AUDIENCES = "FG141";
    /// A Google ID token that a service behind the door received could be replayed at the door.
    GOOGLE_AUDIENCE_SHARED = "FG142";
    /// Google ID tokens are accepted, and no member names a service account.
    GOOGLE_CALLERS = "FG143";
    /// `revocation`, or a setting of it, has no effect.
    REVOCATION = "FG144";
    /// Disabled and revoked users may pass while Google cannot be asked.
    REVOCATION_FAILS_OPEN = "FG145";
    /// App Check would let no app in, or more in than `users` says, or an app ID cannot be one of the project's.
    APP_CHECK = "FG146";

    /// `cors` is inconsistent, or an origin cannot be read.
    CORS = "FG150";

    /// A file of keys or certificates cannot be used, or is missing.
    KEY_FILE = "FG151";
    /// What a front door that starts with it would advise.
    START = "FG152";

    /// The HTTP version does not go with a URL's scheme.
    PROTOCOL = "FG160";
    /// A health check that cannot be made, or would not say how the service does.
    HEALTH_CHECK = "FG161";

    /// `limits_store` names no server that can be asked.
    LIMITS_STORE = "FG170";
    /// `rate_limits` is about rules that there are not.
    RATE_LIMITS = "FG171";
    /// Limits are counted by each of several instances for itself.
    LIMITS_PER_INSTANCE = "FG172";

    /// A host of a URL map cannot be read, or stands in two host rules.
    URL_MAP_HOST = "FG301";
    /// A path matcher of a URL map has no name of its own, does not exist, or no host rule leads to it.
    URL_MAP_PATH_MATCHER = "FG302";
    /// The rules of a path matcher do not go together.
    URL_MAP_RULES = "FG303";
    /// The path of a path rule cannot be read, or stands in two rules.
    URL_MAP_PATH = "FG304";
    /// The condition of a route rule cannot be read.
    URL_MAP_MATCH = "FG305";
    /// A path template cannot be read.
    URL_MAP_TEMPLATE = "FG306";
    /// A regular expression cannot be read, or may not stand in this map.
    URL_MAP_REGEX = "FG307";
    /// It is not said, or said twice, where requests go.
    URL_MAP_TARGET = "FG308";
    /// A service of a URL map is no backend of the configuration.
    URL_MAP_SERVICE = "FG309";
    /// A header cannot be read, is not the map's to change, or has a variable that is empty here.
    URL_MAP_HEADER = "FG310";
    /// A rewrite cannot be made, or makes another path than was probably meant.
    URL_MAP_REWRITE = "FG311";
    /// A redirect cannot be read, or leads to itself.
    URL_MAP_REDIRECT = "FG312";
    /// Weights, time-outs, retries, faults or cross-origin rules are out of their ranges.
    URL_MAP_ROUTE_ACTION = "FG313";
    /// A test of a URL map cannot be read, or fails.
    URL_MAP_TEST = "FG314";
    /// A URL map holds more than Google takes.
    URL_MAP_LIMIT = "FG315";
    /// A rule or pattern of a URL map is never reached.
    URL_MAP_UNREACHABLE = "FG316";
    /// `/video/*` does not match `/video`.
    URL_MAP_BARE_PREFIX = "FG317";
    /// A condition that an alternative of the same rule makes optional.
    URL_MAP_OPTIONAL_CONDITION = "FG318";
    /// A condition on a header of which nothing is believed.
    URL_MAP_CLIENT_HEADER = "FG319";
    /// One of the URL map's own tests fails.
    URL_MAP_TEST_FAILS = "FG320";

    /// What takes the place of errors cannot be read, or its pages cannot be had.
    URL_MAP_ERROR_POLICY = "FG321";

    /// A binding's condition was lost when the policy was read.
    IAM_CONDITION_LOST = "FG401";
    /// A condition where none may stand, or that is not whole.
    IAM_CONDITION = "FG402";
    /// A role of which it is not known what it carries.
    IAM_ROLE_UNKNOWN = "FG403";
    /// A member that IAM knows and that is never a user of the project.
    IAM_MEMBER_FOREIGN = "FG404";
    /// The policy is larger than Google takes.
    IAM_POLICY_TOO_LARGE = "FG405";
    /// The policy's version does not go with its conditions.
    IAM_VERSION = "FG406";
    /// The policy opens a backend to everyone, and the configuration does not say so.
    IAM_EVERYONE = "FG407";
    /// No member of the policy can match a user.
    IAM_NOBODY = "FG408";
    /// A word of the policy means something else here than at Google.
    IAM_OTHER_MEANING = "FG409";
    /// A role of the configuration cannot be read.
    IAM_ROLES = "FG410";
    /// A deny rule cannot be read, or does not deny as it is written.
    DENY_RULE = "FG411";
    /// The policy would let in others at Google, or be refused there.
    IAM_NOT_FOR_GOOGLE = "FG412";

    /// The file of groups is inconsistent.
    GROUPS = "FG420";
    /// Nothing says who is in a group that is named.
    GROUP_UNKNOWN = "FG421";

    /// A backend service cannot be read, or there are two of its name.
    BACKEND_SERVICE = "FG601";
    /// The group of a backend service is not known, or leads to no Cloud Run service.
    ENDPOINT_GROUP = "FG602";
    /// A URL mask cannot be read, or does not say which service is meant.
    URL_MASK = "FG603";
    /// A Cloud Run service cannot be read, or there is none of its name.
    CLOUD_RUN_SERVICE = "FG604";
    /// Whom a Cloud Run service answers beside Firegate, or that Firegate may not reach it.
    CLOUD_RUN_REACH = "FG605";
    /// A backend service has a security policy that its backend has not.
    POLICY_MISSING = "FG606";

    /// A security policy is of a kind that Firegate does not evaluate, or has no usable name.
    SECURITY_POLICY = "FG201";
    /// A rule's priority is missing, out of range or another rule's.
    RULE_PRIORITY = "FG202";
    /// A rule does not say which requests it is for, or says it twice.
    RULE_MATCH = "FG203";
    /// A rule's action is missing, unknown or written in an old form.
    RULE_ACTION = "FG204";
    /// A range of addresses cannot be read.
    SOURCE_RANGE = "FG205";
    /// A redirect is incomplete, or its rule has another action.
    REDIRECT = "FG206";
    /// The options of a rate limit are missing, inconsistent or out of range.
    RATE_LIMIT = "FG207";
    /// What a rate limit counts by cannot be read.
    RATE_LIMIT_KEY = "FG208";
    /// A header that a rule sets cannot be set.
    HEADER_ACTION = "FG209";
    /// More than Google accepts.
    GOOGLE_LIMIT = "FG210";
    /// Something that Firegate has and Google refuses.
    FIREGATE_ONLY = "FG211";
    /// A name in `userIpRequestHeaders` is no header's.
    USER_IP_HEADER = "FG212";

    /// A policy has no default rule in force: what no rule matches is allowed.
    DEFAULT_RULE = "FG220";
    /// A rule that no request reaches.
    RULE_SHADOWED = "FG221";
    /// A limit allows what conforms, so that the rules below it never see those requests.
    LIMIT_ALLOWS = "FG222";
    /// Clients that lack what a limit counts by share one count.
    KEY_SHARED = "FG223";
    /// Clients can write the address that is believed.
    CLIENT_WRITES_ADDRESS = "FG224";
    /// A rule depends on something that Firegate does not evaluate.
    RULE_NOT_EVALUATED = "FG225";
    /// A rule redirects to reCAPTCHA, which is refused here.
    RECAPTCHA = "FG226";
    /// A limit that the load balancer before Firegate has already counted.
    COUNTED_UPSTREAM = "FG228";
    /// A policy asks where clients are, and no database says so.
    REGIONS_MISSING = "FG229";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_code_has_two_meanings() {
        let distinct: BTreeSet<_> = super::MEANINGS.iter().map(|(code, _)| code).collect();
        assert_eq!(distinct.len(), super::MEANINGS.len());
        // Those are the expressions' own.
        assert!(!super::MEANINGS.iter().any(|(code, _)| code.starts_with("FG5")));
    }
}
