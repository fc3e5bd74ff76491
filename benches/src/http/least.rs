//! Layers that do less than verify, to tell what a layer costs from what this one adds.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use token_core::TokenFormat;
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use crate::mac::{Floor, MESSAGE};

/// Lets everything through.
#[derive(Debug, Clone)]
pub(super) struct Nothing<S>(S);

/// Does what no request may be let through without and nothing else: see [`Must`].
#[derive(Debug, Clone)]
pub(super) struct Least<S> {
    inner: S,
    must: Arc<Must>,
}

/// What no request may be let through without, whatever is remembered of its token: the checksum of the text, and the deciding half of a
/// MAC. Looks nothing up, compares nothing, counts nothing, tells the handler nothing.
#[derive(Debug)]
pub(super) struct Must {
    format: TokenFormat,
    key: Floor,
}

impl Must {
    pub(super) fn of(format: TokenFormat) -> Arc<Must> {
        Arc::new(Must { format, key: Floor::new(&[7; 32]) })
    }

    pub(super) fn compute(&self, header: Option<&[u8]>) {
        let text = header.and_then(|header| header.strip_prefix(b"Bearer "));
        let checked = text.and_then(|text| Some((self.format.check(text).ok()?, text.last_chunk::<32>()?)));
        assert!(checked.is_some(), "without a token of this format nothing is measured");
        if let Some((selector, end)) = checked {
            let mut message = [0; MESSAGE];
            message[..16].copy_from_slice(selector.as_bytes());
            message[16..48].copy_from_slice(end);
            black_box(self.key.inner_hash(&message));
        }
    }
}

pub(super) fn nothing<S>() -> impl Layer<S, Service = Nothing<S>> + Clone {
    layer_fn(Nothing)
}

pub(super) fn least<S>(format: TokenFormat) -> impl Layer<S, Service = Least<S>> + Clone {
    let must = Must::of(format);
    layer_fn(move |inner| Least { inner, must: Arc::clone(&must) })
}

impl<S: Service<R>, R> Service<R> for Nothing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Least<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.must.compute(request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes));
        self.inner.call(request)
    }
}
