//! The names of the standard value sets, which no listing gives.
//!
//! A full sync asks for all of them; what an org lacks "cannot be found", which is nothing. AddressCountryCode and
//! AddressStateCode are left out: they are the same everywhere, huge, and known to break retrieves.

use std::sync::LazyLock;

/// All names, in order.
pub fn standard_value_sets() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| include_str!("standard_value_sets.txt").lines().collect());
    &NAMES
}
