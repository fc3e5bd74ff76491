//! Where a request comes from, as the host knows it.

use std::net::IpAddr;

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use token_core::{Caller, TrustedProxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address as the host worked it out, to be put into a request's extensions by a middleware outside of
/// [`TokenLayer`](crate::TokenLayer). It wins over the socket's.
///
/// For addresses that a proxy writes into `X-Forwarded-For`, [`TokenLayer::behind`](crate::TokenLayer::behind) is simpler; this is for those
/// that are told by any other means. Nothing that is written in a header counts without either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

#[inline(always)]
pub(crate) fn caller(request: &ServiceRequest, proxies: Option<&TrustedProxies>) -> Caller {
    let named = request.extensions().get::<ClientAddress>().map(|named| named.0);
    let socket = || request.peer_addr().map(|socket| socket.ip());
    let client = named.or_else(|| match (socket(), proxies) {
        (Some(peer), Some(proxies)) => {
            let lines: Vec<&[u8]> = request.headers().get_all(X_FORWARDED_FOR).map(HeaderValue::as_bytes).collect();
            proxies.client(peer, lines)
        }
        (peer, _) => peer,
    });
    client.map_or_else(Caller::default, Caller::at)
}
