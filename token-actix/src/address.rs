//! Where a request comes from, as the host knows it.

use std::net::{IpAddr, SocketAddr};

use actix_web::dev::Extensions;
use token_core::Caller;

/// The client's address as the host worked it out, to be put into a request's extensions by a middleware outside of
/// [`TokenLayer`](crate::TokenLayer). It wins over the socket's.
///
/// This is the one way to make an address count that is written in a header: the host knows which proxies it trusts to
/// write one, and this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

pub(crate) fn caller(extensions: &Extensions, socket: Option<SocketAddr>) -> Caller {
    let named = extensions.get::<ClientAddress>().map(|named| named.0);
    named.or_else(|| socket.map(|socket| socket.ip())).map_or_else(Caller::default, Caller::at)
}
