//! Where a request comes from, as the host knows it.

use std::net::IpAddr;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use token_core::{Caller, TrustedProxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address as the host worked it out, to be put into a request's extensions by a layer outside of
/// [`TokenLayer`](crate::TokenLayer). It wins over the socket's.
///
/// For addresses that a proxy writes into `X-Forwarded-For`, [`TokenLayer::behind`](crate::TokenLayer::behind) is simpler; this is for those
/// that are told by any other means. Nothing that is written in a header counts without either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

#[inline(always)]
pub(crate) fn caller(extensions: &Extensions, proxied: Option<(&TrustedProxies, &HeaderMap)>) -> Caller {
    let named = extensions.get::<ClientAddress>().map(|named| named.0);
    let client = named.or_else(|| match (socket(extensions), proxied) {
        (Some(peer), Some((proxies, headers))) => {
            proxies.client(peer, headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes))
        }
        (peer, _) => peer,
    });
    client.map_or_else(Caller::default, Caller::at)
}

#[cfg(feature = "axum")]
fn socket(extensions: &Extensions) -> Option<IpAddr> {
    use axum::extract::ConnectInfo;

    extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|ConnectInfo(socket)| socket.ip())
}

#[cfg(not(feature = "axum"))]
fn socket(_extensions: &Extensions) -> Option<IpAddr> {
    None
}
