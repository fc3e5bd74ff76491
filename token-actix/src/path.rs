//! The path of a request as it was sent. The router's own is decoded, and so are the parts that it hands out.

use actix_web::dev::ServiceRequest;

/// What follows the scopes that the request has entered, and all of it where a resource has taken the rest.
pub(crate) fn within_scopes(request: &ServiceRequest) -> &str {
    let whole = request.uri().path();
    // Decoding leaves `%2F` alone, so slashes count the same before and after.
    match request.match_info().unprocessed().matches('/').count() {
        0 => whole,
        slashes => whole.rmatch_indices('/').nth(slashes - 1).map_or(whole, |(at, _)| &whole[at..]),
    }
}
