//! The keys against the store: deploying a wrong key is an error at start-up, not a refusal of every token.

use crate::clock::Time;
use crate::keyring::Keyring;
use crate::policy::PolicyRow;
use crate::seal::Sealed;
use crate::store::TokenStore;
use crate::text::KeyId;

use super::{BuildError, POLICY_KEY};

/// Looks for rows that are needed and were made with keys that are not on the ring, and compares the check value of every key
/// with the one that the store was first used with. Only then are keys that are new to the store noted there: a start that
/// fails leaves no trace.
pub(super) async fn check_keys(keyring: &Keyring, store: &dyn TokenStore, now: Time) -> Result<(), BuildError> {
    let mut needed = store.keys(now).await?;
    let policy = store.meta(POLICY_KEY).await?.and_then(|stored| Sealed::<PolicyRow>::from_bytes(&stored).ok());
    needed.extend(policy.map(|row| row.seal().key.clone()));
    if let Some(id) = needed.into_iter().find(|id| !keyring.holds(id)) {
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
