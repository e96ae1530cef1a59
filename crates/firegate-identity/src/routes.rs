//! From method, host and path to an operation. The API's host name is the first segment of the path, as the SDKs send
//! it to an emulator, or it is the request's `Host`, as they send it to Google.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::accounts::{Directory, is_directory_id};

const IDENTITY_TOOLKIT: &str = "identitytoolkit.googleapis.com";
const SECURE_TOKEN: &str = "securetoken.googleapis.com";
pub(crate) const GOOGLE_APIS: &str = "www.googleapis.com";
const ISSUER: &str = "securetoken.google.com";

/// The hosts of Google that this server stands for.
pub(crate) const API_HOSTS: [&str; 4] = [IDENTITY_TOOLKIT, SECURE_TOKEN, GOOGLE_APIS, ISSUER];

/// The service account in whose name Google publishes the ID tokens' keys.
pub(crate) const KEY_OWNER: &str = "securetoken@system.gserviceaccount.com";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The greeting of the reference emulator, by which tools see that it is up.
    Greeting,
    /// What end users' SDKs call, with an API key.
    User(UserOperation),
    /// What administrators call, with a bearer token.
    Admin { directory: Directory, operation: AdminOperation },
    /// What everyone may read.
    Public(PublicDocument),
    /// The reference emulator's own controls.
    Control { directory: Directory, operation: ControlOperation },
    /// An operation of Identity Platform that this server does not have.
    Unimplemented(String),
    /// Nothing.
    NotFound,
}

/// What end users' SDKs call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserOperation {
    SignUp,
    SignInWithPassword,
    SignInWithCustomToken,
    Lookup,
    Update,
    Delete,
    Token,
    ProjectConfig,
    RecaptchaParams,
    RecaptchaConfig,
    PasswordPolicy,
}

/// What administrators call, within a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminOperation {
    Create,
    Lookup,
    Update,
    Delete,
    BatchDelete,
    BatchGet,
    CreateSessionCookie,
}

/// What everyone may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicDocument {
    IdTokenJwkSet,
    IdTokenCertificates,
    SessionCookieJwkSet,
    SessionCookieCertificates,
    Discovery { project: String },
}

/// The reference emulator's own controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlOperation {
    DeleteAccounts,
    ProjectConfig,
}

impl Route {
    /// Finds what a request asks for. `host` is the request's host without a port, if it has one. HEAD asks for what GET
    /// does (RFC 9110, section 9.3.2); that the answer has no body is seen to where it is sent.
    pub(crate) fn find(method: &Method, host: Option<&str>, path: &str) -> Self {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let decoded = path
            .strip_prefix('/')
            .unwrap_or(path)
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment)));
        let decoded: Vec<_> = decoded.collect();
        let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        match segments.as_slice() {
            [""] if *method == Method::GET => Self::Greeting,
            ["emulator", "v1", rest @ ..] => control(method, rest),
            [named_host, rest @ ..] if API_HOSTS.contains(named_host) => of_host(method, named_host, rest),
            // Key documents have no host in their path in many a configuration, and no other host has such paths.
            ["service_accounts" | "robot", ..] => of_host(method, GOOGLE_APIS, &segments),
            ["identitytoolkit", "v3", ..] => of_host(method, GOOGLE_APIS, &segments),
            _ => match API_HOSTS.into_iter().find(|api_host| host == Some(api_host)) {
                Some(api_host) => of_host(method, api_host, &segments),
                None => Self::NotFound,
            },
        }
    }

    /// Whether pages of any origin may call it from a browser.
    pub(crate) fn is_open_to_foreign_pages(&self) -> bool {
        !matches!(self, Self::Admin { .. } | Self::Control { .. })
    }
}

fn of_host(method: &Method, host: &str, segments: &[&str]) -> Route {
    match host {
        IDENTITY_TOOLKIT => identity_toolkit(method, segments),
        SECURE_TOKEN => match (method.as_str(), segments) {
            ("POST", ["v1", "token"]) => Route::User(UserOperation::Token),
            _ => Route::NotFound,
        },
        GOOGLE_APIS => google_apis(method, segments),
        _ => match segments {
            [project, ".well-known", "openid-configuration"]
                if *method == Method::GET && is_directory_id(project) =>
            {
                Route::Public(PublicDocument::Discovery { project: (*project).to_owned() })
            }
            _ => Route::NotFound,
        },
    }
}

fn identity_toolkit(method: &Method, segments: &[&str]) -> Route {
    use UserOperation as Operation;
    let user = match (method.as_str(), segments) {
        ("POST", ["v1", "accounts:signUp"]) => Operation::SignUp,
        ("POST", ["v1", "accounts:signInWithPassword"]) => Operation::SignInWithPassword,
        ("POST", ["v1", "accounts:signInWithCustomToken"]) => Operation::SignInWithCustomToken,
        ("POST", ["v1", "accounts:lookup"]) => Operation::Lookup,
        ("POST", ["v1", "accounts:update"]) => Operation::Update,
        ("POST", ["v1", "accounts:delete"]) => Operation::Delete,
        ("GET", ["v1", "projects"]) => Operation::ProjectConfig,
        ("GET", ["v1", "recaptchaParams"]) => Operation::RecaptchaParams,
        ("GET", ["v2", "recaptchaConfig"]) => Operation::RecaptchaConfig,
        ("GET", ["v2", "passwordPolicy"]) => Operation::PasswordPolicy,
        ("GET", ["v1", "sessionCookiePublicKeys"]) => {
            return Route::Public(PublicDocument::SessionCookieJwkSet);
        }
        ("GET", ["v1", "publicKeys"]) => return Route::Public(PublicDocument::SessionCookieCertificates),
        (_, ["v1", "projects", rest @ ..]) => return admin(method, rest, segments),
        _ => return unimplemented(method, segments),
    };
    Route::User(user)
}

fn admin(method: &Method, rest: &[&str], segments: &[&str]) -> Route {
    // A project's id may itself have a colon, so the verb is what follows the last one.
    let split = |segment: &str| segment.rsplit_once(':').map(|(id, verb)| (id.to_owned(), verb.to_owned()));
    let named = match rest {
        [project, "tenants", tenant, last] => Some((*project, Some((*tenant).to_owned()), *last)),
        [project, last] if *last != "tenants" => Some((*project, None, *last)),
        _ => None,
    };
    let (project, tenant, operation) = match (named, rest) {
        (Some((project, tenant, last)), _) => (project.to_owned(), tenant, account_operation(method, last)),
        (None, [last]) => match split(last) {
            Some((project, verb)) => (project, None, directory_operation(method, &verb)),
            None => return unimplemented(method, segments),
        },
        (None, [project, "tenants", last]) => match split(last) {
            Some((tenant, verb)) => ((*project).to_owned(), Some(tenant), directory_operation(method, &verb)),
            None => return unimplemented(method, segments),
        },
        _ => return unimplemented(method, segments),
    };
    match (operation, directory(&project, tenant)) {
        (Some(operation), Some(directory)) => Route::Admin { directory, operation },
        (Some(_), None) => Route::NotFound,
        (None, _) => unimplemented(method, segments),
    }
}

fn account_operation(method: &Method, last: &str) -> Option<AdminOperation> {
    Some(match (method.as_str(), last) {
        ("POST", "accounts") => AdminOperation::Create,
        ("POST", "accounts:lookup") => AdminOperation::Lookup,
        ("POST", "accounts:update") => AdminOperation::Update,
        ("POST", "accounts:delete") => AdminOperation::Delete,
        ("POST", "accounts:batchDelete") => AdminOperation::BatchDelete,
        ("GET", "accounts:batchGet") => AdminOperation::BatchGet,
        _ => return None,
    })
}

fn directory_operation(method: &Method, verb: &str) -> Option<AdminOperation> {
    (*method == Method::POST && verb == "createSessionCookie").then_some(AdminOperation::CreateSessionCookie)
}

fn google_apis(method: &Method, segments: &[&str]) -> Route {
    use UserOperation as Operation;
    if *method == Method::GET {
        let document = match segments {
            ["service_accounts", "v1", "jwk", owner] if *owner == KEY_OWNER => PublicDocument::IdTokenJwkSet,
            ["robot" | "service_accounts", "v1", "metadata", "x509", owner] if *owner == KEY_OWNER => {
                PublicDocument::IdTokenCertificates
            }
            ["identitytoolkit", "v3", "relyingparty", "publicKeys"] => {
                PublicDocument::SessionCookieCertificates
            }
            ["identitytoolkit", "v3", "relyingparty", "getProjectConfig"] => {
                return Route::User(Operation::ProjectConfig);
            }
            ["identitytoolkit", "v3", "relyingparty", "getRecaptchaParam"] => {
                return Route::User(Operation::RecaptchaParams);
            }
            ["identitytoolkit", ..] => return unimplemented(method, segments),
            _ => return Route::NotFound,
        };
        return Route::Public(document);
    }
    Route::User(match (method.as_str(), segments) {
        ("POST", ["identitytoolkit", "v3", "relyingparty", last]) => match *last {
            "signupNewUser" => Operation::SignUp,
            "verifyPassword" => Operation::SignInWithPassword,
            "verifyCustomToken" => Operation::SignInWithCustomToken,
            "getAccountInfo" => Operation::Lookup,
            "setAccountInfo" => Operation::Update,
            "deleteAccount" => Operation::Delete,
            _ => return unimplemented(method, segments),
        },
        (_, ["identitytoolkit", ..]) => return unimplemented(method, segments),
        _ => return Route::NotFound,
    })
}

fn control(method: &Method, rest: &[&str]) -> Route {
    let (project, tenant, last) = match rest {
        ["projects", project, last] => (*project, None, *last),
        ["projects", project, "tenants", tenant, last] => (*project, Some((*tenant).to_owned()), *last),
        _ => return Route::NotFound,
    };
    let operation = match (method.as_str(), last) {
        ("DELETE", "accounts") => ControlOperation::DeleteAccounts,
        ("GET", "config") if tenant.is_none() => ControlOperation::ProjectConfig,
        _ => return unimplemented(method, &[&["emulator", "v1"], rest].concat()),
    };
    match directory(project, tenant) {
        Some(directory) => Route::Control { directory, operation },
        None => Route::NotFound,
    }
}

fn directory(project: &str, tenant: Option<String>) -> Option<Directory> {
    is_directory_id(project).then(|| Directory::of_tenant(project, tenant).ok())?
}

fn unimplemented(method: &Method, segments: &[&str]) -> Route {
    Route::Unimplemented(format!("{method} /{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(request: &str, host: Option<&str>) -> Route {
        let (method, path) = request.split_once(' ').unwrap();
        Route::find(&method.parse().unwrap(), host, path)
    }

    fn check(request: &str, expected: Route) {
        assert_eq!(find(request, Some("localhost")), expected, "{request}");
    }

    fn admin_route(tenant: Option<&str>, operation: AdminOperation) -> Route {
        let directory = Directory { project: "p".to_owned(), tenant: tenant.map(str::to_owned) };
        Route::Admin { directory, operation }
    }

    #[test]
    fn the_host_stands_in_the_path_or_in_the_request() {
        let sign_up = Route::User(UserOperation::SignUp);
        check("POST /identitytoolkit.googleapis.com/v1/accounts:signUp", sign_up.clone());
        check("POST /identitytoolkit.googleapis.com/v1/accounts%3AsignUp", sign_up.clone());
        assert_eq!(find("POST /v1/accounts:signUp", Some(IDENTITY_TOOLKIT)), sign_up);
        assert_eq!(find("POST /v1/accounts:signUp", Some("localhost")), Route::NotFound);
        assert_eq!(find("POST /v1/token", Some(SECURE_TOKEN)), Route::User(UserOperation::Token));
        assert_eq!(
            find("POST /v1/token", Some(IDENTITY_TOOLKIT)),
            unimplemented(&Method::POST, &["v1", "token"])
        );
        check("POST /securetoken.googleapis.com/v1/token", Route::User(UserOperation::Token));
        check("POST /www.googleapis.com/identitytoolkit/v3/relyingparty/signupNewUser", sign_up);
        check("GET /", Route::Greeting);
        check("HEAD /", Route::Greeting);
        check("GET /favicon.ico", Route::NotFound);
    }

    #[test]
    fn administrators_name_project_and_tenant() {
        check(
            "POST /identitytoolkit.googleapis.com/v1/projects/p/accounts",
            admin_route(None, AdminOperation::Create),
        );
        check(
            "POST /identitytoolkit.googleapis.com/v1/projects/p/tenants/t/accounts:lookup",
            admin_route(Some("t"), AdminOperation::Lookup),
        );
        check(
            "GET /identitytoolkit.googleapis.com/v1/projects/p/accounts:batchGet",
            admin_route(None, AdminOperation::BatchGet),
        );
        for (path, tenant) in [("p", None), ("p/tenants/t", Some("t"))] {
            check(
                &format!("POST /identitytoolkit.googleapis.com/v1/projects/{path}:createSessionCookie"),
                admin_route(tenant, AdminOperation::CreateSessionCookie),
            );
        }
        check("POST /identitytoolkit.googleapis.com/v1/projects/p%2Fq/accounts", Route::NotFound);
    }

    #[test]
    fn keys_and_discovery_are_public() {
        use PublicDocument::{
            IdTokenCertificates, IdTokenJwkSet, SessionCookieCertificates, SessionCookieJwkSet,
        };
        for prefix in ["", "/www.googleapis.com"] {
            for (path, document) in [
                ("service_accounts/v1/jwk/securetoken@system.gserviceaccount.com", IdTokenJwkSet),
                ("robot/v1/metadata/x509/securetoken@system.gserviceaccount.com", IdTokenCertificates),
                (
                    "service_accounts/v1/metadata/x509/securetoken@system.gserviceaccount.com",
                    IdTokenCertificates,
                ),
                (
                    "service_accounts/v1/metadata/x509/securetoken%40system.gserviceaccount.com",
                    IdTokenCertificates,
                ),
                ("identitytoolkit/v3/relyingparty/publicKeys", SessionCookieCertificates),
            ] {
                check(&format!("GET {prefix}/{path}"), Route::Public(document));
            }
        }
        check(
            "GET /identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys",
            Route::Public(SessionCookieJwkSet),
        );
        let discovery = Route::Public(PublicDocument::Discovery { project: "p".to_owned() });
        check("GET /securetoken.google.com/p/.well-known/openid-configuration", discovery.clone());
        assert_eq!(find("GET /p/.well-known/openid-configuration", Some(ISSUER)), discovery);
        check("GET /service_accounts/v1/jwk/other@system.gserviceaccount.com", Route::NotFound);
    }

    #[test]
    fn what_is_not_built_is_said_to_be_so() {
        for request in [
            "POST /identitytoolkit.googleapis.com/v1/accounts:sendOobCode",
            "POST /identitytoolkit.googleapis.com/v2/accounts/mfaSignIn:start",
            "GET /identitytoolkit.googleapis.com/v2/projects/p/tenants",
            "POST /identitytoolkit.googleapis.com/v1/projects/p/accounts:batchCreate",
            "GET /identitytoolkit.googleapis.com/v1/accounts:signUp",
            "GET /identitytoolkit.googleapis.com/v1/projects/p/accounts:delete",
            "PATCH /emulator/v1/projects/p/config",
        ] {
            assert!(matches!(find(request, None), Route::Unimplemented(_)), "{request}");
        }
    }

    #[test]
    fn no_get_changes_anything() {
        for path in [
            "identitytoolkit.googleapis.com/v1/accounts:signUp",
            "identitytoolkit.googleapis.com/v1/accounts:delete",
            "identitytoolkit.googleapis.com/v1/projects/p/accounts",
            "identitytoolkit.googleapis.com/v1/projects/p/accounts:batchDelete",
            "identitytoolkit.googleapis.com/v1/projects/p:createSessionCookie",
            "www.googleapis.com/identitytoolkit/v3/relyingparty/deleteAccount",
            "securetoken.googleapis.com/v1/token",
            "emulator/v1/projects/p/accounts",
        ] {
            for method in ["GET", "HEAD"] {
                let route = find(&format!("{method} /{path}"), None);
                assert!(matches!(route, Route::Unimplemented(_) | Route::NotFound), "{path}: {route:?}");
            }
        }
    }

    #[test]
    fn controls_name_project_and_tenant() {
        let directory = Directory { project: "p".to_owned(), tenant: Some("t".to_owned()) };
        let operation = ControlOperation::DeleteAccounts;
        check("DELETE /emulator/v1/projects/p/tenants/t/accounts", Route::Control { directory, operation });
        let (directory, operation) = (Directory::of_project("p"), ControlOperation::ProjectConfig);
        check("GET /emulator/v1/projects/p/config", Route::Control { directory, operation });
    }
}
