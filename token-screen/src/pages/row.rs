//! A token as a row of a list shows it.

use token_core::{Listed, Token, TokenFormat, TokenState};

use crate::dates::{Dates, Moment, duration};

use super::permissions::{Kind, Permission, permissions};
use super::usage::Shown;

/// What is to be shown of a token.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) masked: String,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) created: Moment,
    pub(crate) created_by: String,
    pub(crate) expires: Option<Moment>,
    /// Whether that is within two weeks.
    pub(crate) expires_soon: bool,
    pub(crate) is_live: bool,
    /// Since when it was revoked.
    pub(crate) revoked: Option<Moment>,
    pub(crate) old: Option<OldValue>,
    /// What is known of its usage; `None` if that can't be read.
    pub(crate) use_of: Option<Shown>,
    /// The same of its old value.
    pub(crate) old_use: Option<String>,
    /// Whether its row can be believed.
    pub(crate) is_sound: bool,
}

/// The value before the current one, while it still works.
#[derive(Debug, Clone)]
pub(crate) struct OldValue {
    pub(crate) masked: String,
    pub(crate) left: String,
    pub(crate) until: Moment,
}

/// How long before its expiry a token needs attention.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(14 * 24 * 60 * 60);

impl Row {
    pub(crate) fn of(listed: &Listed, format: &TokenFormat, kinds: &[Kind], dates: &Dates) -> Row {
        let token: &Token = &listed.token;
        let is_live = token.state(dates.now) == TokenState::Live;
        Row {
            id: token.id.to_string(),
            name: token.name.to_string(),
            owner: token.owner.to_string(),
            masked: format.masked(&token.current.selector),
            permissions: permissions(&token.grants, kinds),
            created: dates.moment(token.created_at),
            created_by: token.created_by.to_string(),
            expires: token.expires_at.map(|at| dates.moment(at)),
            expires_soon: is_live && token.expires_at.is_some_and(|at| at.since(dates.now) <= SOON),
            is_live,
            revoked: token.revoked_at.map(|at| dates.moment(at)),
            old: token.overlap(dates.now).filter(|_| is_live).map(|old| OldValue {
                masked: format.masked(&old.secret.selector),
                left: duration(old.until.since(dates.now)),
                until: dates.moment(old.until),
            }),
            use_of: None,
            old_use: None,
            is_sound: listed.seal.is_ok(),
        }
    }
}
