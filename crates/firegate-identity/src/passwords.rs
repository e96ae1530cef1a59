//! Passwords, hashed with argon2id. One hash costs 19 MiB and a core's time for some 30 milliseconds, so the caller
//! bounds how many are made at once.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::accounts::random_bytes;
use crate::error::ApiError;
use crate::limits::{
    PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, PASSWORD_HASH_LANES, PASSWORD_HASH_MEMORY_KIBIBYTES,
    PASSWORD_HASH_PASSES,
};

/// Hashes and verifies passwords.
#[derive(Debug)]
pub(crate) struct PasswordHashing {
    argon2: Argon2<'static>,
    /// The hash of no one's password, verified when there is no account, so that the time does not tell.
    nobodys_hash: String,
}

impl PasswordHashing {
    /// Makes ready to hash, without making a hash.
    pub(crate) fn new() -> Result<Self, ApiError> {
        let params =
            Params::new(PASSWORD_HASH_MEMORY_KIBIBYTES, PASSWORD_HASH_PASSES, PASSWORD_HASH_LANES, None)
                .map_err(ApiError::internal)?;
        // Only the parameters and the sizes matter here: 16 bytes of salt and 32 of hash, unpredictable and thus of
        // no password that anyone knows.
        let encode = |bytes: &[u8]| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
        };
        let nobodys_hash = format!(
            "$argon2id$v=19$m={PASSWORD_HASH_MEMORY_KIBIBYTES},t={PASSWORD_HASH_PASSES},p={PASSWORD_HASH_LANES}${}${}",
            encode(&random_bytes::<16>()?),
            encode(&random_bytes::<32>()?)
        );
        Ok(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), nobodys_hash })
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// If the password is too short or too long.
    pub(crate) fn hash(&self, password: &str) -> Result<String, ApiError> {
        let characters = password.chars().count();
        if characters < PASSWORD_CHARACTERS_MIN {
            return Err(ApiError::WeakPassword);
        }
        if characters > PASSWORD_CHARACTERS_MAX {
            return Err(ApiError::LongPassword);
        }
        let salt = random_bytes::<16>()?;
        let hash =
            self.argon2.hash_password_with_salt(password.as_bytes(), &salt).map_err(ApiError::internal)?;
        Ok(hash.to_string())
    }

    /// Whether `password` made the PHC string. Without one it is as slow, and the answer is no.
    pub(crate) fn verify(&self, password: &str, hash: Option<&str>) -> bool {
        let hashed: &str = hash.unwrap_or(&self.nobodys_hash);
        let matches =
            PasswordVerifier::<str>::verify_password(&self.argon2, password.as_bytes(), hashed).is_ok();
        matches && hash.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_an_argon2id_phc_string_of_its_password_alone() {
        let passwords = PasswordHashing::new().unwrap();
        let hash = passwords.hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").unwrap(), "the salt is fresh");
        assert!(passwords.verify("correct horse", Some(&hash)));
        assert!(!passwords.verify("wrong horse", Some(&hash)));
        assert!(!passwords.verify("correct horse", None));
    }

    #[test]
    fn the_hash_of_nobody_is_well_formed_so_that_verifying_it_takes_the_same_time() {
        let passwords = PasswordHashing::new().unwrap();
        argon2::password_hash::phc::PasswordHash::new(&passwords.nobodys_hash).unwrap();
    }

    #[test]
    fn lengths_are_bounded_in_characters() {
        let passwords = PasswordHashing::new().unwrap();
        assert_eq!(passwords.hash("fiver").unwrap_err(), ApiError::WeakPassword);
        assert_eq!(
            passwords.hash(&"x".repeat(PASSWORD_CHARACTERS_MAX + 1)).unwrap_err(),
            ApiError::LongPassword
        );
        passwords.hash("ünïcöd").unwrap();
    }
}
