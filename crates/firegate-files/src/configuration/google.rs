//! The Google endpoints that Firegate talks to.

use url::Url;

/// Where Google's services are. Every one can be set in the file: for emulators, private universes and tests.
///
/// Fields that end in `keys` and `oauth2_token` are whole URLs; the others are bases, to which [`join`] adds the path
/// of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleEndpoints {
    /// The keys of Firebase ID tokens.
    pub id_token_keys: Url,
    /// The keys of Firebase session cookies, another set than that of ID tokens.
    pub session_cookie_keys: Url,
    /// The keys of App Check tokens.
    pub app_check_keys: Url,
    /// The App Check API: `v1beta/projects/…:verifyAppCheckToken`.
    pub app_check: Url,
    /// The keys of Google ID tokens.
    pub google_id_token_keys: Url,
    /// The Identity Toolkit API: `v1/projects/…/accounts:lookup`.
    pub identity_toolkit: Url,
    /// The Security Token Service: `v1/token`.
    pub sts: Url,
    /// The IAM Credentials API: `v1/projects/-/serviceAccounts/…:generateIdToken`.
    pub iam_credentials: Url,
    /// The OAuth 2.0 token endpoint.
    pub oauth2_token: Url,
    /// The metadata server: `computeMetadata/v1/…`.
    pub metadata: Url,
}

/// The endpoints of Google's public universe, by the key of the file. The sources are in the order of the table:
/// the `jwks_uri` of the token issuer's discovery document, firebase-admin's `token-verifier` and `app-check`,
/// google-auth's `id_token`, and the discovery documents of the APIs.
pub(super) const DEFAULTS: [(&str, &str); 10] = [
    (
        "id_token_keys",
        "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
    ),
    ("session_cookie_keys", "https://www.googleapis.com/identitytoolkit/v3/relyingparty/publicKeys"),
    ("app_check_keys", "https://firebaseappcheck.googleapis.com/v1/jwks"),
    ("app_check", "https://firebaseappcheck.googleapis.com"),
    ("google_id_token_keys", "https://www.googleapis.com/oauth2/v3/certs"),
    ("identity_toolkit", "https://identitytoolkit.googleapis.com"),
    ("sts", "https://sts.googleapis.com"),
    ("iam_credentials", "https://iamcredentials.googleapis.com"),
    ("oauth2_token", "https://oauth2.googleapis.com/token"),
    ("metadata", "http://metadata.google.internal"),
];

impl GoogleEndpoints {
    /// All endpoints with the key of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        [
            ("id_token_keys", &self.id_token_keys),
            ("session_cookie_keys", &self.session_cookie_keys),
            ("app_check_keys", &self.app_check_keys),
            ("app_check", &self.app_check),
            ("google_id_token_keys", &self.google_id_token_keys),
            ("identity_toolkit", &self.identity_toolkit),
            ("sts", &self.sts),
            ("iam_credentials", &self.iam_credentials),
            ("oauth2_token", &self.oauth2_token),
            ("metadata", &self.metadata),
        ]
        .into_iter()
    }
}

/// The URL of the operation at `path`, which has no leading `/`, below `base`.
///
/// ```
/// # use firegate_files::configuration::join;
/// let base = url::Url::parse("http://127.0.0.1:9099/identitytoolkit.googleapis.com").unwrap();
/// assert_eq!(
///     join(&base, "v1/projects/p/accounts:lookup").as_str(),
///     "http://127.0.0.1:9099/identitytoolkit.googleapis.com/v1/projects/p/accounts:lookup"
/// );
/// ```
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&whole);
    url
}

/// Whether the host of `url` can only be this machine: `localhost`, a name below it, or a loopback address.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_everything_else() {
        let check =
            |url: &str, expected: bool| assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        check("http://localhost:3000", true);
        check("http://api.localhost", true);
        check("http://127.0.0.1", true);
        check("http://127.9.9.9:80", true);
        check("http://[::1]:80", true);
        check("http://0.0.0.0", false);
        check("http://10.0.0.1", false);
        check("http://localhost.example.com", false);
        check("http://notlocalhost", false);
        check("https://api-abc123-uc.a.run.app", false);
    }

    #[test]
    fn a_base_with_or_without_slash_joins_the_same() {
        let check = |base: &str| {
            assert_eq!(
                join(&Url::parse(base).unwrap(), "v1/token").as_str(),
                "https://sts.googleapis.com/v1/token"
            );
        };
        check("https://sts.googleapis.com");
        check("https://sts.googleapis.com/");
    }
}
