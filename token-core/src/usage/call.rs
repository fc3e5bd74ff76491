//! Calls: a bounded sample of what tokens did lately.

use std::net::IpAddr;

use crate::clock::Time;
use crate::refusal::Reason;
use crate::text::TokenName;
use crate::token::TokenId;

/// What an adapter knows of the request that a token came with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// The method; empty if it is not known.
    pub method: &'a str,
    /// The template of the route, such as `/projects/{id}`. Never the path of the request, which is the client's text and may hold
    /// what is not for a log.
    pub route: Option<&'a str>,
    /// The `User-Agent` header.
    pub client: Option<&'a [u8]>,
}

/// A call of a token, to be kept in one of its slots unless a later one is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTally {
    /// The token.
    pub token: TokenId,
    /// Which of the token's 32 slots, from 0.
    pub slot: u8,
    /// When.
    pub at: Time,
    /// The method, at most 16 bytes of it.
    pub method: String,
    /// The template of the route, at most 96 bytes of it, if it is known.
    pub route: Option<String>,
    /// Why it was refused; `None` if it was not.
    pub refused: Option<Reason>,
    /// The client's address, if it was known.
    pub address: Option<IpAddr>,
}

/// A call as it is shown. Calls are a sample: of a token that is used often only some are kept, and of each the last 32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentCall {
    /// When.
    pub at: Time,
    /// The token.
    pub token: TokenId,
    /// What people call the token.
    pub name: TokenName,
    /// The method.
    pub method: String,
    /// The template of the route, if it is known.
    pub route: Option<String>,
    /// Why it was refused; `None` if it was not.
    pub refused: Option<Reason>,
    /// The client's address, if it was known.
    pub address: Option<IpAddr>,
}
