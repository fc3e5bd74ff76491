//! A server on one thread and a load from another.

pub mod actix;
mod load;
mod server;

pub use load::{Connection, Connections, request};
pub use server::{App, Server, by_itself, protected};
