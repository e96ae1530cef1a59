//! The users: what is known of each, and where it is kept.

mod account;
pub(crate) mod checked;
mod store;

pub(crate) use account::{Account, Directory, is_directory_id, random_bytes};
pub(crate) use checked::REFUSED_CLAIMS;
pub(crate) use store::{AccountSelector, AccountStore, RefreshTokenRecord, StoreError};
