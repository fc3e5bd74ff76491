//! Managing API tokens over HTTP, for any framework.

mod http;
mod management;
mod visitor;

pub use http::{Request, Response};
pub use management::Management;
pub use visitor::SignedIn;
