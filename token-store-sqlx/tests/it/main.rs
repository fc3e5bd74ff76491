//! The store on real databases: files of SQLite, and servers of PostgreSQL and MySQL.

#![allow(clippy::unwrap_used, clippy::panic)]

mod commits;
mod conformance;
mod database;
mod delivery;
mod failover;
mod faults;
mod first_schema;
mod lists;
#[path = "../../../token-core/tests/it/log.rs"]
mod log;
mod look_alikes;
mod nodes;
mod opening;
mod pools;
mod purges;
mod sample;
mod scale;
mod servers;
mod slow;
mod sqlite;
mod statements;
mod tallies;
mod tampering;
