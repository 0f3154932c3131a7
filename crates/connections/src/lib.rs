//! Use cases around a connection: connect an org, log a person in, hand out and refresh tokens, connect anew, disconnect.
//!
//! A token is read at use and never carried in a job or a message. A refresh is a compare-and-set in the database, a
//! call without a connection, and a compare-and-set of the result, so that of thirty workers one refreshes and the
//! others wait. What Salesforce answers is judged by `salesforce`; rows are `store`'s.

mod ask;
mod connect;
mod error;
mod login;
mod renew;
mod tokens;

pub use connect::{NewConnection, connect};
pub use error::ConnectError;
pub use login::{Login, LoginAnswer, LoginApp};
pub use nightshift_store::{Grant, JwtBearer};
pub use renew::{GivenBack, Renewal, disconnect, reauthenticate};
pub use tokens::Tokens;
