//! A server on one thread and a load from another.

pub mod actix;
mod least;
mod load;
mod server;

pub use load::{Connection, Connections, request};
pub use server::{App, Server, by_itself, checked_only, let_through, protected};
