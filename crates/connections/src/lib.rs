//! Use cases around a connection: connect an org, hand out and refresh its tokens, re-authenticate it.
//!
//! A token is read at use and never carried in a job or a message. A refresh is a compare-and-set in the database, a
//! call without a connection, and a compare-and-set of the result, so that of thirty workers one refreshes and the
//! others wait. What Salesforce answers is judged by `salesforce`; rows are `store`'s.

mod connect;
mod tokens;

pub use connect::{ConnectError, NewConnection, connect, reauthenticate};
pub use tokens::Tokens;
