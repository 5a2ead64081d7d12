//! What people read: answers, the list of plug-ins, the schema.

pub mod answer;
pub mod changes;
pub mod document;
pub mod explain;
pub mod list;
pub mod markdown;
pub mod named;
pub mod response;
pub mod schema;
pub mod time;
pub mod told;
