//! Where a token may be used from.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, Serialize};

/// At most so many networks may be listed on one token.
const NETWORKS_MAX: usize = 64;

/// A non-empty, sorted list of networks that a token may be used from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Networks(Vec<IpNet>);

/// Why a list of networks is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworksError {
    /// The list is empty. No restriction is `None`, not an empty list.
    #[error("list at least one network, or leave the restriction out")]
    Empty,
    /// More than 64 networks.
    #[error("list at most 64 networks")]
    TooMany,
    /// Not an address or CIDR block.
    #[error("network {position}: write an address or a CIDR block, such as 198.51.100.0/24 or 2001:db8::/32")]
    Syntax {
        /// Which of the list, counted from 1.
        position: usize,
    },
    /// A CIDR block with bits set beyond its prefix length, which may not be what was meant.
    #[error("network {position} has host bits set; did you mean {suggestion}?")]
    HostBits {
        /// Which of the list, counted from 1.
        position: usize,
        /// The network that the block lies in.
        suggestion: IpNet,
    },
}

impl Networks {
    /// Checks a list of networks.
    ///
    /// # Errors
    /// [`NetworksError`] if it is empty, too long, or a block has host bits set.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Result<Networks, NetworksError> {
        let mut list: Vec<IpNet> = networks.into_iter().take(NETWORKS_MAX + 1).map(canonical).collect();
        if list.is_empty() {
            return Err(NetworksError::Empty);
        }
        if list.len() > NETWORKS_MAX {
            return Err(NetworksError::TooMany);
        }
        for (index, network) in list.iter().enumerate() {
            if network.trunc() != *network {
                return Err(NetworksError::HostBits { position: index + 1, suggestion: network.trunc() });
            }
        }
        list.sort_unstable();
        list.dedup();
        Ok(Networks(list))
    }

    /// Reads addresses and CIDR blocks from text; a bare address is a network of one.
    ///
    /// # Errors
    /// [`NetworksError`] with the position of the first that is refused.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Networks, NetworksError> {
        let networks: Result<Vec<IpNet>, NetworksError> = texts
            .into_iter()
            .take(NETWORKS_MAX + 1)
            .enumerate()
            .map(|(index, text)| {
                let address = text.parse::<IpAddr>().map(IpNet::from);
                address.or_else(|_| text.parse()).map_err(|_| NetworksError::Syntax { position: index + 1 })
            })
            .collect();
        Networks::new(networks?)
    }

    /// Whether the address lies in one of the networks. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks, sorted.
    #[must_use]
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

/// IPv4 written as IPv6 (RFC 4291 §2.5.5.2) is IPv4, as it is in the addresses that are compared.
fn canonical(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(six) if six.prefix_len() >= 96 => match six.addr().to_ipv4_mapped() {
            Some(four) => Ipv4Net::new(four, six.prefix_len() - 96).map_or(network, IpNet::V4),
            None => network,
        },
        _ => network,
    }
}

/// An address, perhaps unknown, as two numbers. An `Option<IpAddr>` is bytes of three sizes, and a processor that copies what it has just
/// written in pieces waits for all of them: at each copy a twentieth of a verification. One number of 128 bits makes whatever holds it
/// larger, since it stands at multiples of 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed {
    high: u64,
    low: u64,
}

impl Packed {
    /// `::`, from which nothing is ever sent.
    const UNKNOWN: Packed = Packed { high: 0, low: 0 };

    #[inline]
    pub(crate) fn new(address: Option<IpAddr>) -> Packed {
        match address {
            None => Packed::UNKNOWN,
            // As IPv6 writes it: `::ffff:a.b.c.d`.
            Some(IpAddr::V4(four)) => Packed { high: 0, low: 0xffff_0000_0000 | u64::from(four.to_bits()) },
            Some(IpAddr::V6(six)) => {
                let [a, b, c, d, e, f, g, h, low @ ..] = six.octets();
                Packed { high: u64::from_be_bytes([a, b, c, d, e, f, g, h]), low: u64::from_be_bytes(low) }
            }
        }
    }

    #[inline]
    pub(crate) fn unpacked(self) -> Option<IpAddr> {
        let bits = u128::from(self.high) << 64 | u128::from(self.low);
        (self != Packed::UNKNOWN).then(|| Ipv6Addr::from_bits(bits).to_canonical())
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Networks, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        Networks::parse(texts.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_refused_with_the_network_that_was_meant() {
        let error = Networks::parse(["10.0.0.0/8", "198.51.100.7/24"]).unwrap_err();
        assert_eq!(error.to_string(), "network 2 has host bits set; did you mean 198.51.100.0/24?");
    }

    #[test]
    fn lists_are_checked() {
        assert_eq!(Networks::parse([]), Err(NetworksError::Empty));
        assert_eq!(Networks::parse(vec!["10.0.0.0/8"; 65]), Err(NetworksError::TooMany));
        assert_eq!(Networks::parse(["10.0.0.0/33"]), Err(NetworksError::Syntax { position: 1 }));
        assert_eq!(Networks::parse(["example.org"]), Err(NetworksError::Syntax { position: 1 }));
    }

    #[test]
    fn mapped_addresses_count_as_ipv4() {
        let mapped = Networks::parse(["::ffff:198.51.100.0/120"]).unwrap();
        assert_eq!(mapped, Networks::parse(["198.51.100.0/24"]).unwrap());
        let networks = Networks::parse(["198.51.100.0/24", "2001:db8::1"]).unwrap();
        for inside in ["198.51.100.9", "::ffff:198.51.100.9", "2001:db8::1"] {
            assert!(networks.contain(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["198.51.101.9", "::ffff:198.51.101.9", "2001:db8::2"] {
            assert!(!networks.contain(outside.parse().unwrap()), "{outside}");
        }
    }
}

#[cfg(test)]
mod packing {
    use super::*;

    #[test]
    fn an_address_is_unpacked_as_it_was() {
        for address in ["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::1", "ffff::"] {
            let address = address.parse().ok();
            assert_eq!(Packed::new(address).unpacked(), address);
        }
        assert_eq!(Packed::new(None).unpacked(), None);
    }
}
