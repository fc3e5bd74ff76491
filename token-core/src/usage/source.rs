//! Sources: the networks that a token is used from.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::clock::Time;
use crate::token::TokenId;

/// The network that an address counts for: a /24 of IPv4, a /48 of IPv6.
#[must_use]
pub fn source_network(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 24 } else { 48 };
    // Both are lengths that an address of their family has.
    IpNet::new(address, prefix).map_or_else(|_| IpNet::from(address), |network| network.trunc())
}

/// Requests of one token from one network, since the last flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTally {
    /// The token.
    pub token: TokenId,
    /// The network, as [`source_network`] says.
    pub network: IpNet,
    /// The first of these requests.
    pub first: Time,
    /// The latest of them.
    pub last: Time,
    /// How many uses to add.
    pub uses: u64,
    /// How many refusals to add.
    pub refusals: u64,
}

/// A network that a token was used or refused from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The network.
    pub network: IpNet,
    /// When a request came from there first.
    pub first_seen: Time,
    /// When one came last.
    pub last_seen: Time,
    /// How many uses.
    pub uses: u64,
    /// How many refusals.
    pub refusals: u64,
}

/// A source that was first seen lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NovelSource {
    /// The token.
    pub token: TokenId,
    /// When the token's first source was first seen.
    pub began: Time,
    /// The source.
    pub source: Source,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_count_for_their_network() {
        let network = |address: &str| source_network(address.parse().unwrap()).to_string();
        assert_eq!(network("198.51.100.77"), "198.51.100.0/24");
        assert_eq!(network("::ffff:198.51.100.77"), "198.51.100.0/24");
        assert_eq!(network("2001:db8:1:2:3::4"), "2001:db8:1::/48");
    }
}
