//! Behind proxies, over real sockets: whose word about the client's address is taken, by the layer and by management.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use token_axum::{AnyToken, TokenLayer};
use token_core::{Reason, TrustedProxies};

use crate::client::{Answer, request};
use crate::service::{Service, bearer, owner, text};

/// The service's tokens, on another socket and behind these proxies. Every request there comes from 127.0.0.1.
async fn behind(service: &Service, proxies: &[&str]) -> SocketAddr {
    let proxies = TrustedProxies::parse(proxies.iter().copied()).unwrap();
    let layer = TokenLayer::required(&service.tokens).behind(proxies.clone());
    let app = Router::new().route("/any", get(async |_: AnyToken| "in")).route_layer(layer);
    #[cfg(feature = "screen")]
    let app = app.merge(managed(service, proxies));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    address
}

async fn ask(server: SocketAddr, text: &str, what: &str, forwarded: &[&str]) -> Answer {
    let mut lines = vec![bearer(text)];
    lines.extend(forwarded.iter().map(|line| format!("X-Forwarded-For: {line}").into_bytes()));
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    request(server, what, &lines).await
}

/// What proxies wrote, and why a token for 198.51.100.0/24 is refused, if it is.
const STORY: [(&[&str], &[&str], Option<Reason>); 10] = [
    // The peer is no proxy: it may write what it likes.
    (&["10.0.0.0/8"], &["198.51.100.7"], Some(Reason::NetworkNotAllowed)),
    (&["10.0.0.0/8"], &[], Some(Reason::NetworkNotAllowed)),
    // One proxy, and what the client wrote before it.
    (&["127.0.0.1"], &["198.51.100.7"], None),
    (&["127.0.0.1"], &["203.0.113.9, 198.51.100.7"], None),
    (&["127.0.0.1"], &["198.51.100.7, 203.0.113.9"], Some(Reason::NetworkNotAllowed)),
    // Several hops, on one line and on lines of their own.
    (&["127.0.0.1", "10.0.0.0/8"], &["198.51.100.7, 10.1.1.1, 10.2.2.2"], None),
    (&["127.0.0.1", "10.0.0.0/8"], &["203.0.113.9", "198.51.100.7", "10.2.2.2"], None),
    (&["127.0.0.1", "10.0.0.0/8"], &["198.51.100.7, 203.0.113.9, 10.2.2.2"], Some(Reason::NetworkNotAllowed)),
    // A proxy that says nothing that can be read: then nobody knows.
    (&["127.0.0.1"], &[], Some(Reason::AddressUnknown)),
    (&["127.0.0.1"], &["198.51.100.7, unknown"], Some(Reason::AddressUnknown)),
];

#[tokio::test]
async fn a_clients_address_is_what_trusted_proxies_say_and_nobody_else() {
    let service = Service::start().await;
    let office = service.mint_for_networks(&["198.51.100.0/24"]).await;
    for (proxies, forwarded, refused) in STORY {
        let server = behind(&service, proxies).await;
        let answer = ask(server, text(&office), "GET /any", forwarded).await;
        assert_eq!(answer.status, if refused.is_some() { 401 } else { 200 }, "{proxies:?} {forwarded:?}");
        if let Some(reason) = refused {
            assert_eq!(service.reason(&owner(), &answer).await, reason, "{proxies:?} {forwarded:?}");
        }
    }
}

#[cfg(feature = "screen")]
fn managed(service: &Service, proxies: TrustedProxies) -> Router {
    use std::convert::Infallible;

    use token_screen::{Management, SignedIn};

    let management = Management::new(&service.tokens, "/api/tokens").self_service::<crate::service::ProjectsRead>();
    let nobody = async |_: axum::http::Method| Ok::<Option<SignedIn>, Infallible>(None);
    token_axum::management(management.trusted_proxies(proxies), nobody)
}

/// The same story where a token manages itself.
#[cfg(feature = "screen")]
#[tokio::test]
async fn a_token_for_some_networks_manages_itself_from_there_and_nowhere_else() {
    let service = Service::start().await;
    let office = service.mint_for_networks(&["198.51.100.0/24"]).await;
    for (proxies, forwarded, refused) in STORY {
        let server = behind(&service, proxies).await;
        let answer = ask(server, text(&office), "GET /api/tokens/self", forwarded).await;
        assert_eq!(answer.status, if refused.is_some() { 401 } else { 200 }, "{proxies:?} {forwarded:?}");
        match refused {
            Some(reason) => assert_eq!(service.reason(&owner(), &answer).await, reason, "{proxies:?} {forwarded:?}"),
            None => assert_eq!(answer.json()["id"], office.token.id.to_string()),
        }
    }
}
