//! Failures that real fleets reported, each under a name of its own, with the order that makes it happen here.
//!
//! The list is a data file (`named.toml`), one entry for each row of the facts' section 11; its columns say how the
//! failure is seen, so that a test can walk the list and look. An order may name one wherever it may name a kind.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::Fault;
use crate::error::SimulatorError;

/// A failure with a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedFault {
    pub name: String,
    /// Row of the facts' section 11.
    pub row: String,
    order: Value,
    pub seen: Seen,
}

/// How a client sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What the client does: a call by its name, or one of the longer ways that the test knows.
    pub by: String,
    /// HTTP status; 0 when no answer comes, or none that is whole.
    pub status: u16,
    /// What stands in the answer.
    #[serde(default)]
    pub says: String,
}

#[derive(Deserialize)]
struct List {
    fault: Vec<NamedFault>,
}

static LIST: LazyLock<Vec<NamedFault>> = LazyLock::new(|| {
    let list: List =
        toml::from_str(include_str!("named.toml")).expect("the list is well-formed: a test reads it");
    list.fault
});

impl NamedFault {
    /// All of them, in the order of the rows.
    pub fn all() -> &'static [NamedFault] {
        &LIST
    }

    /// The order that makes it happen.
    pub fn fault(&self) -> Result<Fault, SimulatorError> {
        Fault::read(self.order.clone())
    }
}

impl Fault {
    /// Reads an order. Where it names a failure of the list, it may add to that order and change it.
    pub(crate) fn read(order: Value) -> Result<Self, SimulatorError> {
        let name = order["fault"].as_str().unwrap_or_default();
        let named = NamedFault::all().iter().find(|named| named.name == name);
        let whole = match named {
            Some(named) => over(named.order.clone(), order),
            None => order,
        };
        serde_json::from_value(whole).map_err(|error| SimulatorError::Fault(error.to_string()))
    }
}

/// What was ordered, laid over what the name stands for.
fn over(mut base: Value, order: Value) -> Value {
    if let (Some(base), Value::Object(order)) = (base.as_object_mut(), order) {
        base.extend(order.into_iter().filter(|(key, _)| key != "fault"));
    }
    base
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::faults::FaultKind;

    fn is_kind(name: &str) -> bool {
        serde_json::from_value::<FaultKind>(name.into()).is_ok()
    }

    #[test]
    fn every_name_is_new_and_every_order_is_whole() {
        let mut names = BTreeSet::new();
        for named in NamedFault::all() {
            assert!(!is_kind(&named.name), "{} is the name of a kind", named.name);
            assert!(names.insert(&named.name), "{} stands twice", named.name);
            let fault = named
                .fault()
                .unwrap_or_else(|error| panic!("{}: {error}", named.name));
            fault
                .check()
                .unwrap_or_else(|error| panic!("{}: {error}", named.name));
        }
    }

    #[test]
    fn every_row_of_the_facts_has_its_fault() {
        let have: BTreeSet<&str> = NamedFault::all().iter().map(|named| named.row.as_str()).collect();
        let rows = (1..=58).map(|row| row.to_string());
        let between = ["4b", "44b", "44c"].map(str::to_owned);
        for row in rows.chain(between) {
            assert!(have.contains(row.as_str()), "row {row} has no fault");
        }
    }

    #[test]
    fn an_order_may_change_what_a_name_stands_for() {
        let order = serde_json::json!({ "fault": "ip_restricted", "times": 2, "text": "other" });
        let fault = Fault::read(order).unwrap();
        assert_eq!(
            (
                fault.kind,
                fault.code.as_deref(),
                fault.text.as_deref(),
                fault.times
            ),
            (
                FaultKind::OauthError,
                Some("invalid_grant"),
                Some("other"),
                Some(2)
            )
        );
    }
}
