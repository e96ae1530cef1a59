//! The Identity Platform (Firebase Authentication) server for development and tests: accounts, sign-in, signed tokens
//! and the documents by which anyone can verify them, over the REST API that the Firebase SDKs call.
//!
//! [`IdentityServer::open`] opens the accounts and has the keys made in the background; [`IdentityServer::serve`]
//! listens. What the server does not have, it answers with 501.

mod account_info;
mod accounts;
mod batch;
mod body;
mod caller;
mod cors;
mod custom_token;
mod documents;
mod error;
mod keys;
pub mod limits;
mod listening;
mod passwords;
mod reply;
mod routes;
mod server;
mod service;
mod sign_in;
mod tokens;

pub use server::{CreateAccountError, IdentityServer, NewAccount, OpenError, Options, ReadAccountError};
pub use tokens::TokenSigning;
