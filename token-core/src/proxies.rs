//! Who is behind a proxy.

use std::net::IpAddr;

use crate::network::Networks;
use crate::service::Caller;

/// The proxies whose word on the client's address is taken: `X-Forwarded-For`, as each of them appends to it.
///
/// ```
/// use token_core::{Networks, TrustedProxies};
///
/// # fn main() -> Result<(), token_core::NetworksError> {
/// let proxies = TrustedProxies::new(Networks::parse(["127.0.0.0/8", "10.0.0.0/24"])?);
/// // What a client has put into the header itself is on the left, and counts for nothing.
/// let caller = proxies.caller(Some([127, 0, 0, 1].into()), [b"192.0.2.1, 198.51.100.7".as_slice()]);
/// assert_eq!(caller.address, Some([198, 51, 100, 7].into()));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Networks);

impl TrustedProxies {
    /// Trusts the proxies in these networks, and nobody else.
    #[must_use]
    pub fn new(networks: Networks) -> TrustedProxies {
        TrustedProxies(networks)
    }

    /// Who sends a request that came from this address, with these lines of `X-Forwarded-For`: the last in the chain who is no proxy of
    /// ours. The address is unknown where a proxy of ours says something that can't be read: tokens that are restricted to networks are
    /// refused then.
    #[must_use]
    pub fn caller<'a>(
        &self,
        socket: Option<IpAddr>,
        forwarded: impl IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
    ) -> Caller {
        let Some(mut nearest) = socket else { return Caller::default() };
        for line in forwarded.into_iter().rev() {
            for word in line.rsplit(|byte| *byte == b',') {
                if !self.0.contain(nearest) {
                    return Caller::at(nearest);
                }
                let Some(address) = std::str::from_utf8(word).ok().and_then(|word| word.trim().parse().ok()) else {
                    return Caller::default();
                };
                nearest = address;
            }
        }
        Caller::at(nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(socket: &str, lines: &[&str]) -> Option<String> {
        let proxies = TrustedProxies::new(Networks::parse(["127.0.0.0/8", "10.0.0.0/8", "::1"]).unwrap());
        let caller = proxies.caller(Some(socket.parse().unwrap()), lines.iter().map(|line| line.as_bytes()));
        caller.address.map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_last_who_is_no_proxy_of_ours() {
        for (socket, lines, found) in [
            ("198.51.100.7", vec![], "198.51.100.7"),
            ("198.51.100.7", vec!["192.0.2.1"], "198.51.100.7"),
            ("198.51.100.7", vec!["nonsense"], "198.51.100.7"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec!["198.51.100.7"], "198.51.100.7"),
            ("::ffff:127.0.0.1", vec!["::ffff:198.51.100.7"], "198.51.100.7"),
            ("::1", vec!["2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", vec!["192.0.2.1,198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", vec!["nonsense, 198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", vec!["198.51.100.7, 10.1.2.3"], "198.51.100.7"),
            ("127.0.0.1", vec!["198.51.100.7 ", " 10.1.2.3"], "198.51.100.7"),
            ("127.0.0.1", vec!["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", vec!["10.1.2.3, 10.1.2.4"], "10.1.2.3"),
        ] {
            assert_eq!(client(socket, &lines).as_deref(), Some(found), "{socket} {lines:?}");
        }
    }

    #[test]
    fn what_a_proxy_of_ours_says_and_nobody_can_read_is_nobody() {
        for word in
            ["", "unknown", "198.51.100.7:443", "198.51.100", "for=198.51.100.7", "198.51.100.7,", "198.51.100.7, x"]
        {
            assert_eq!(client("127.0.0.1", &[word]), None, "{word:?}");
        }
        let proxies = TrustedProxies::new(Networks::parse(["127.0.0.1"]).unwrap());
        assert_eq!(proxies.caller(None, [b"198.51.100.7".as_slice()]).address, None);
        assert_eq!(proxies.caller(Some([127, 0, 0, 1].into()), [b"\xff".as_slice()]).address, None);
    }
}
