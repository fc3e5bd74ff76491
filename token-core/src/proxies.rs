//! Reverse proxies: whose word about the client's address is taken.

use std::net::{IpAddr, SocketAddr};

use crate::network::{Networks, NetworksError};

/// The networks of the reverse proxies that a service stands behind. What they write into `X-Forwarded-For` is believed, and nobody
/// else's.
///
/// ```
/// use token_core::TrustedProxies;
///
/// let proxies = TrustedProxies::parse(["10.0.0.0/8"])?;
/// let client = proxies.client("10.0.0.1".parse().unwrap(), [&b"6.6.6.6, 198.51.100.7, 10.0.0.9"[..]]);
/// assert_eq!(client, Some("198.51.100.7".parse().unwrap()), "what the client wrote itself counts for nothing");
/// # Ok::<(), token_core::NetworksError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Networks);

impl TrustedProxies {
    /// Reads addresses and CIDR blocks from text; a bare address is a network of one.
    ///
    /// # Errors
    /// [`NetworksError`] with the position of the first that is refused.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<TrustedProxies, NetworksError> {
        Networks::parse(texts).map(TrustedProxies)
    }

    /// Whether the peer of a connection is one of them.
    #[must_use]
    pub fn contain(&self, peer: IpAddr) -> bool {
        self.0.contain(peer)
    }

    /// The address of the client of a request that came from this peer with these lines of `X-Forwarded-For`.
    ///
    /// Each proxy adds the address that it was asked from behind what is there; so the lines are read from their end, for as long as
    /// what is read is a proxy's. `None` if a proxy says nothing, or something that is no address: then the client is not known.
    #[must_use]
    pub fn client<'a, L>(&self, peer: IpAddr, forwarded_for: L) -> Option<IpAddr>
    where
        L: IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
    {
        if !self.contain(peer) {
            return Some(peer.to_canonical());
        }
        let mut client = None;
        for entry in forwarded_for.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
            let address = address(entry.trim_ascii())?.to_canonical();
            if !self.0.contain(address) {
                return Some(address);
            }
            client = Some(address);
        }
        client
    }
}

/// An address, which some proxies write with a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(bracketed).or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let proxies = TrustedProxies::parse(["10.0.0.0/8", "2001:db8:ffff::/48"]).unwrap();
        let table: &[(&str, &[&str], Option<&str>)] = &[
            // Not a proxy: whatever it writes.
            ("198.51.100.7", &[], Some("198.51.100.7")),
            ("198.51.100.7", &["6.6.6.6"], Some("198.51.100.7")),
            ("::ffff:198.51.100.7", &["6.6.6.6"], Some("198.51.100.7")),
            ("10.0.0.1", &["198.51.100.7"], Some("198.51.100.7")),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.7,10.0.0.2"], Some("198.51.100.7")),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.7", "10.0.0.2"], Some("198.51.100.7")),
            ("10.0.0.1", &["198.51.100.7:4711"], Some("198.51.100.7")),
            ("2001:db8:ffff::1", &["[2001:db8:1::7]:4711"], Some("2001:db8:1::7")),
            ("2001:db8:ffff::1", &["[2001:db8:1::7]"], Some("2001:db8:1::7")),
            // All of them are proxies.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            // Nothing that could be believed.
            ("10.0.0.1", &[], None),
            ("10.0.0.1", &[""], None),
            ("10.0.0.1", &["unknown"], None),
            ("10.0.0.1", &["198.51.100.7, unknown"], None),
            ("10.0.0.1", &["198.51.100.7,"], None),
            ("10.0.0.1", &["198.51.100.7", "\u{1f511}"], None),
        ];
        for (peer, lines, client) in table {
            let seen = proxies.client(peer.parse().unwrap(), lines.iter().map(|line| line.as_bytes()));
            assert_eq!(seen, client.map(|client| client.parse().unwrap()), "{peer} {lines:?}");
        }
    }

    #[test]
    fn proxies_are_networks() {
        let error = TrustedProxies::parse(["10.0.0.1/8"]).unwrap_err();
        assert_eq!(error.to_string(), "network 1 has host bits set; did you mean 10.0.0.0/8?");
        assert_eq!(TrustedProxies::parse([]), Err(NetworksError::Empty));
    }
}
