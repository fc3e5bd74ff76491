//! The keys against the store: deploying a wrong key is an error at start-up, not a refusal of every token.

use crate::keyring::Keyring;
use crate::store::TokenStore;

use super::BuildError;

/// Compares the check value of every key with the one that the store was first used with, and looks for rows made with
/// keys that are not on the ring. Keys that are new to the store are noted there.
pub(super) async fn check_keys(keyring: &Keyring, store: &dyn TokenStore) -> Result<(), BuildError> {
    for (id, check) in keyring.checks() {
        let noted = store.meta_or_insert(&format!("key-check/{id}"), check.as_bytes()).await?;
        if noted != check.as_bytes() {
            return Err(BuildError::KeyChanged { id: id.clone() });
        }
    }
    match store.keys().await?.into_iter().find(|id| !keyring.holds(id)) {
        Some(id) => Err(BuildError::KeyMissing { id }),
        None => Ok(()),
    }
}
