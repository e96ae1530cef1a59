use url::Url;

/// The metadata server: the base below which `/computeMetadata/v1` lies.
pub const METADATA_URL: &str = "http://metadata.google.internal";

/// The OAuth 2.0 token endpoint: the complete address.
pub const OAUTH2_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// The Security Token Service's token exchange: the complete address.
pub const STS_URL: &str = "https://sts.googleapis.com/v1/token";

/// The IAM Credentials API: the base below which `/v1/projects/-/serviceAccounts` lies.
pub const IAM_CREDENTIALS_URL: &str = "https://iamcredentials.googleapis.com";

/// The Identity Toolkit API: the base below which `/v1/projects` lies.
pub const IDENTITY_TOOLKIT_URL: &str = "https://identitytoolkit.googleapis.com";

/// Where Google's token endpoints are, if not in their usual place. What is given here wins over what a credential file
/// says; what is not comes from the file, or else is Google's own address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Instead of [`METADATA_URL`].
    pub metadata: Option<Url>,
    /// Instead of a file's `token_uri` and [`OAUTH2_TOKEN_URL`].
    pub oauth2_token: Option<Url>,
    /// Instead of a file's `token_url` and [`STS_URL`].
    pub sts: Option<Url>,
    /// Instead of the base of a file's `service_account_impersonation_url` and [`IAM_CREDENTIALS_URL`].
    pub iam_credentials: Option<Url>,
}

impl Endpoints {
    pub(crate) fn metadata(&self) -> &str {
        self.metadata.as_ref().map_or(METADATA_URL, Url::as_str)
    }

    pub(crate) fn oauth2_token<'a>(&'a self, of_file: Option<&'a Url>) -> &'a str {
        self.oauth2_token.as_ref().or(of_file).map_or(OAUTH2_TOKEN_URL, Url::as_str)
    }

    pub(crate) fn sts<'a>(&'a self, of_file: Option<&'a Url>) -> &'a str {
        self.sts.as_ref().or(of_file).map_or(STS_URL, Url::as_str)
    }

    pub(crate) fn iam_credentials<'a>(&'a self, of_file: Option<&'a Url>) -> &'a str {
        self.iam_credentials.as_ref().or(of_file).map_or(IAM_CREDENTIALS_URL, Url::as_str)
    }
}
