//! The keys against the store: deploying a wrong key is an error at start-up, not a refusal of every token.

use crate::keyring::Keyring;
use crate::store::TokenStore;
use crate::text::KeyId;

use super::BuildError;

/// Compares the check value of every key with the one that the store was first used with, and looks for rows made with
/// keys that are not on the ring. Keys that are new to the store are noted there.
pub(super) async fn check_keys(keyring: &Keyring, store: &dyn TokenStore) -> Result<(), BuildError> {
    // Looked at before anything is noted: a start that fails leaves no trace.
    if let Some(id) = store.keys().await?.into_iter().find(|id| !keyring.holds(id)) {
        return Err(BuildError::KeyMissing { id });
    }
    let noted_as = |id: &KeyId| format!("key-check/{id}");
    for (id, check) in keyring.checks() {
        if store.meta(&noted_as(id)).await?.is_some_and(|noted| noted != check.as_bytes()) {
            return Err(BuildError::KeyChanged { id: id.clone() });
        }
    }
    for (id, check) in keyring.checks() {
        // Between the look and this another process may have been first, with another key.
        if store.meta_or_insert(&noted_as(id), check.as_bytes()).await? != check.as_bytes() {
            return Err(BuildError::KeyChanged { id: id.clone() });
        }
    }
    Ok(())
}
