//! What a single machine brings itself: a private PostgreSQL.

pub mod postgres;
