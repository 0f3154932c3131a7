//! From what an org lists to what is asked of it. Pure: the same inventory gives the same plan.

pub mod batches;
pub mod held;
pub mod polls;
