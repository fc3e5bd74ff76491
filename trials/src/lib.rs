//! What the trials and their workers share: one service on any store, changes that can be written on a line and asked for
//! again word by word, and the words that a worker tells its trial.

mod line;
mod phases;
mod plan;
mod request;
mod service;

pub use line::{Line, say};
pub use phases::phases;
pub use plan::{Step, plan};
pub use request::{Answer, Ask, Kind, Request, Sent, Shape, Swap};
pub use service::{
    CAP, ELDERS, House, OWNERS, ProjectsRead, ProjectsWrite, Trouble, admin, catalog, elder, owner, policy,
};
