//! From a request to the operation that it asks for, and to its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, request};
use serde_json::{Value, json};

use super::IdentityServer;
use crate::accounts::Directory;
use crate::body::RequestBody;
use crate::caller::Caller;
use crate::cors;
use crate::documents;
use crate::error::ApiError;
use crate::keys::KeySlot;
use crate::limits::PUBLIC_KEYS_MAX_AGE;
use crate::reply;
use crate::routes::{AdminOperation, ControlOperation, PublicDocument, Route, UserOperation};
use crate::service::Service;
use crate::tokens::{TokenSigner, TokenSigning};

/// Answers any request.
pub(super) async fn respond(
    State(server): State<IdentityServer>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let caller = Caller::of(peer, &parts);
    let preflight_method = cors::preflight_method(&parts);
    let method = preflight_method.as_ref().unwrap_or(&parts.method);
    let route = Route::find(method, caller.host.as_deref(), parts.uri.path());
    if preflight_method.is_some() {
        return cors::preflight(&route, &caller, &parts.headers);
    }
    log_request(&parts, &route);
    let answer = server.answer(&route, &caller, Request::from_parts(parts, body)).await;
    cors::admit(answer.unwrap_or_else(IntoResponse::into_response), &route, &caller)
}

fn log_request(request: &request::Parts, route: &Route) {
    tracing::debug!(method = %request.method, path = request.uri.path(), ?route, "request");
}

impl IdentityServer {
    async fn signer(&self, slot: &KeySlot) -> Result<TokenSigner, ApiError> {
        match self.inner.token_signing {
            TokenSigning::Rs256 => slot.get().await.map(TokenSigner::Rs256).map_err(ApiError::internal),
            TokenSigning::None => Ok(TokenSigner::Unsigned),
        }
    }

    async fn answer(&self, route: &Route, caller: &Caller, request: Request) -> Result<Response, ApiError> {
        let answer = match route {
            Route::Greeting => documents::greeting(),
            Route::User(operation) => {
                caller.require_api_key()?;
                self.answer_user(*operation, caller, request).await?
            }
            Route::Admin { directory, operation } => {
                caller.require_administrator()?;
                self.warn_of_other_project(directory);
                self.answer_admin(*operation, directory.clone(), request).await?
            }
            Route::Public(document) => return self.answer_public(document, caller).await,
            Route::Control { directory, operation } => {
                caller.require_control()?;
                self.warn_of_other_project(directory);
                self.answer_control(*operation, directory.clone()).await?
            }
            Route::Unimplemented(operation) => return Err(ApiError::Unimplemented(operation.clone())),
            Route::NotFound => return Err(ApiError::NotFound),
        };
        Ok(reply::json(StatusCode::OK, &answer))
    }

    /// Every project has accounts of its own, as in the reference emulator, and end users' calls name none: whoever makes users
    /// for another one looks for them in vain. Real tools do so on purpose, so that it is no error.
    fn warn_of_other_project(&self, directory: &Directory) {
        let (other, own) = (&directory.project, &self.inner.service.project);
        if other != own && !self.inner.other_project_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "an administrator asks for accounts of the project {other:?}, and users sign in to {own:?}: they will not find each other\n\
                 hint: give the Admin SDK `projectId: {own:?}`, or set GOOGLE_CLOUD_PROJECT={own} for it"
            );
        }
    }

    async fn answer_user(
        &self,
        operation: UserOperation,
        caller: &Caller,
        request: Request,
    ) -> Result<Value, ApiError> {
        let work: fn(&Service, &RequestBody, &TokenSigner) -> Result<Value, ApiError> = match operation {
            UserOperation::SignUp => Service::sign_up,
            UserOperation::SignInWithPassword => Service::sign_in_with_password,
            UserOperation::Lookup => Service::lookup_own,
            UserOperation::Update => Service::update_own,
            UserOperation::Delete => Service::delete_own,
            UserOperation::Token => Service::refresh,
            UserOperation::SignInWithCustomToken => {
                let (body, locality) = (RequestBody::read(request).await?, caller.locality());
                let signer = self.signer(&self.inner.id_token_key).await?;
                let work =
                    move |service: &Service| service.sign_in_with_custom_token(&body, &signer, locality);
                return self.run(false, work).await;
            }
            UserOperation::ProjectConfig => {
                return Ok(documents::project_config(&self.inner.service.project_number));
            }
            UserOperation::RecaptchaParams => return Ok(documents::recaptcha_params()),
            UserOperation::RecaptchaConfig => return Ok(documents::recaptcha_config()),
            UserOperation::PasswordPolicy => return Ok(documents::password_policy()),
        };
        let body = RequestBody::read(request).await?;
        let signer = self.signer(&self.inner.id_token_key).await?;
        self.run(body.has("password"), move |service| work(service, &body, &signer)).await
    }

    async fn answer_admin(
        &self,
        operation: AdminOperation,
        directory: Directory,
        request: Request,
    ) -> Result<Value, ApiError> {
        let work: fn(&Service, &Directory, &RequestBody) -> Result<Value, ApiError> = match operation {
            AdminOperation::Create => Service::create,
            AdminOperation::Lookup => Service::lookup,
            AdminOperation::Update => Service::update,
            AdminOperation::Delete => Service::delete,
            AdminOperation::BatchDelete => Service::batch_delete,
            AdminOperation::BatchGet => {
                let query = RequestBody::from_form(request.uri().query().unwrap_or("").as_bytes());
                return self.run(false, move |service| service.batch_get(&directory, &query)).await;
            }
            AdminOperation::CreateSessionCookie => {
                let body = RequestBody::read(request).await?;
                let id_token_signer = self.signer(&self.inner.id_token_key).await?;
                let cookie_signer = self.signer(&self.inner.session_cookie_key).await?;
                let work = move |service: &Service| {
                    service.create_session_cookie(&directory, &body, &id_token_signer, &cookie_signer)
                };
                return self.run(false, work).await;
            }
        };
        let body = RequestBody::read(request).await?;
        self.run(body.has("password"), move |service| work(service, &directory, &body)).await
    }

    async fn answer_public(&self, document: &PublicDocument, caller: &Caller) -> Result<Response, ApiError> {
        let key = |slot: Arc<KeySlot>| async move { slot.get().await.map_err(ApiError::internal) };
        let (id_token_key, cookie_key) = (&self.inner.id_token_key, &self.inner.session_cookie_key);
        let body = match document {
            PublicDocument::IdTokenJwkSet => key(id_token_key.clone()).await?.jwk_set().to_owned(),
            PublicDocument::IdTokenCertificates => key(id_token_key.clone()).await?.certificates().to_owned(),
            PublicDocument::SessionCookieJwkSet => key(cookie_key.clone()).await?.jwk_set().to_owned(),
            PublicDocument::SessionCookieCertificates => {
                key(cookie_key.clone()).await?.certificates().to_owned()
            }
            PublicDocument::Discovery { project } => {
                documents::discovery(project, caller.own_authority(), self.inner.token_signing).to_string()
            }
        };
        Ok(reply::public_document(PUBLIC_KEYS_MAX_AGE.as_secs(), body))
    }

    async fn answer_control(
        &self,
        operation: ControlOperation,
        directory: Directory,
    ) -> Result<Value, ApiError> {
        match operation {
            ControlOperation::DeleteAccounts => {
                self.run(false, move |service| Ok(service.store.delete_all(&directory)?)).await?;
                Ok(json!({}))
            }
            ControlOperation::ProjectConfig => Ok(documents::emulator_config()),
        }
    }
}
