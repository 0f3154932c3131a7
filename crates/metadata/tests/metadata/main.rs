//! What metadata promises: names, listings, canonical form, assembly, and a small real org on two nights.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say by panicking")]

mod assembling;
mod canonical_form;
mod children;
mod fixtures;
mod hostile_xml;
mod listings;
mod names;
mod registry_examples;
mod small_org;
