//! Comparing names as Salesforce does: without regard to case.
//!
//! API names are ASCII and Salesforce treats `account` and `Account` as one; its messages name members in a case of
//! their own. Folding is for finding and warning alone: what is stored keeps the spelling that Salesforce sent.

/// The form in which two spellings of one API name are equal.
pub fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Undoes Salesforce's percent-escapes in a full name (`v1%2E1` is `v1.1`).
///
/// A `%` that begins no valid escape stands for itself, and so does an escape whose bytes are no UTF-8: a name that
/// an administrator typed with a percent sign must not become an error.
pub fn decode(name: &str) -> String {
    percent_encoding::percent_decode_str(name)
        .decode_utf8()
        .map_or_else(|_| name.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b43_and_b45_escaped_names_read_as_people_wrote_them() {
        assert_eq!(decode("My%28awesome%29profile"), "My(awesome)profile");
        assert_eq!(
            decode("Broker__c-v1%2E1 Broker Layout"),
            "Broker__c-v1.1 Broker Layout"
        );
        assert_eq!(decode("100% done"), "100% done");
        assert_eq!(decode("bad%FFbytes"), "bad%FFbytes");
    }

    #[test]
    fn folding_ignores_case() {
        assert_eq!(fold("Account.Ärger__c"), fold("ACCOUNT.äRGER__C"));
    }
}
