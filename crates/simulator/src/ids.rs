//! Ids as Salesforce writes them.
//!
//! An id has fifteen case-sensitive characters and three more that tell the case of the others, so that a client
//! which checks them finds nothing wrong. The first three characters tell the kind of thing (00D an org, 005 a
//! user, 09S a retrieve).

use crate::mix::Numbers;

const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// An id of 18 characters for a prefix (three characters) and a number.
pub(crate) fn id18(prefix: &str, number: u64) -> String {
    let mut numbers = Numbers::new(number);
    let mut id = String::with_capacity(18);
    id.push_str(prefix);
    while id.len() < 15 {
        id.push(char::from(LETTERS[numbers.below(LETTERS.len())]));
    }
    id.push_str(&check(&id));
    id
}

/// The three characters that complete an id of fifteen: one for each five, its bits telling which are capitals.
pub(crate) fn check(id15: &str) -> String {
    id15.as_bytes()
        .chunks(5)
        .map(|five| {
            let bits = five.iter().rev().fold(0, |bits, c| bits << 1 | usize::from(c.is_ascii_uppercase()));
            char::from(CHECKS[bits])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_completed_as_salesforce_does() {
        assert_eq!(check("00Dxx0000001gER"), "EAY");
        assert_eq!(check("001D000000IRFma"), "IAH");
    }

    #[test]
    fn ids_have_eighteen_characters_and_a_prefix() {
        let id = id18("00D", 42);
        assert_eq!((id.len(), &id[..3]), (18, "00D"));
        assert_eq!(check(&id[..15]), id[15..]);
        assert_ne!(id, id18("00D", 43));
    }
}
