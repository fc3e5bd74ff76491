//! The decisions: from a request and what is stored, to what shall be written.

mod chain;
mod create;
mod limits;
mod owner;
mod policy;
mod token;

pub(super) use create::Create;
pub(super) use owner::{ChangeOwner, OwnerChange};
pub(super) use policy::SetPolicy;
pub(super) use token::{ChangeToken, TokenChange};
