//! Every way in which a sync can fail, and what people should do about it.
//!
//! The enum is code, so that a `match` cannot forget one; the words are data (`failures.toml`), so that support can
//! mend them; a test walks both. Which error of an outside world becomes which code is left to that world's table of
//! verdicts.

use std::{fmt, str::FromStr, sync::LazyLock};

use serde::{Deserialize, Serialize};

use crate::sync::UnknownWord;

/// The exact code of a failure: shown in cases, timelines, JSON and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The connection was revoked in Salesforce.
    TokenRevoked,
    /// The token that Salesforce gave last was lost on its way.
    TokenAnswerLost,
    /// The org was disconnected.
    OrgDisconnected,
    /// The user of the connection is inactive in Salesforce.
    UserInactive,
    /// The app may not be used in this org.
    AppNotApproved,
    /// Salesforce refuses our network address.
    IpRestricted,
    /// The user may not log in at this hour.
    LoginHours,
    /// Salesforce refuses fresh sessions of this connection.
    SessionNotUsable,
    /// The app's credentials are wrong.
    AppMisconfigured,
    /// The app issues access tokens that the Metadata API refuses.
    JwtAccessToken,
    /// Another org answers.
    OtherOrg,
    /// The token could not be refreshed in time.
    TokenRefreshStuck,
    /// The org or the user has no API access.
    ApiDisabled,
    /// The user may not read metadata.
    PermissionMissing,
    /// The user's password has expired.
    PasswordExpired,
    /// The org is locked or its trial ended.
    OrgLocked,
    /// The org's daily API requests are used up.
    RequestLimitExceeded,
    /// What a sync may take of the org's daily requests is used up.
    ApiAllowance,
    /// Salesforce was not available.
    SalesforceUnavailable,
    /// Salesforce could not be reached.
    SalesforceUnreachable,
    /// The org's host name is not known.
    HostNotFound,
    /// Our resolver does not answer.
    NetworkDns,
    /// Our proxy cannot be reached.
    ProxyUnreachable,
    /// Our proxy wants a user and a password that it knows.
    ProxyAuthentication,
    /// Our proxy makes no connection to Salesforce.
    ProxyRefused,
    /// The certificate's authority is not trusted here.
    TlsUntrusted,
    /// The certificate is out of time or another host's.
    TlsCertificate,
    /// Salesforce answered something unexpected.
    SalesforceUnexpected,
    /// Salesforce kept the retrieve in its queue.
    SalesforceQueueStuck,
    /// Salesforce did not finish a retrieve in time.
    PollingTimedOut,
    /// One component is larger than Salesforce can hand out.
    TooLarge,
    /// The zip has too many entries.
    ArchiveTooManyEntries,
    /// One file in the zip is too large.
    ArchiveEntryTooLarge,
    /// The zip is too large.
    ArchiveTooLarge,
    /// The zip unpacks to far more than it should.
    ArchiveBomb,
    /// A name in the zip points outside.
    ArchiveBadPath,
    /// The zip names one file twice.
    ArchiveDuplicate,
    /// The zip uses a method that we do not read.
    ArchiveUnsupported,
    /// The zip is damaged.
    ArchiveCorrupt,
    /// The zip broke off.
    ArchiveTruncated,
    /// The zip's text is no base64.
    Base64Invalid,
    /// The zip's text broke off.
    Base64Truncated,
    /// An answer is no well-formed XML.
    XmlMalformed,
    /// An answer is larger than its limit.
    HttpBodyTooLarge,
    /// An answer's headers are larger than their limit.
    HttpHeadersTooLarge,
    /// A job ended its worker again and again.
    Poison,
    /// The night ended before the sync.
    WindowEnded,
    /// Our own database did not answer, or had no room, for as long as the sync could wait.
    DatabaseUnavailable,
    /// More deletions than a night should bring.
    DeletionsHeld,
    /// The slot was missed.
    NightMissed,
    /// A person ended the sync.
    EndedByHand,
    /// An error of our own.
    Internal,
}

impl FailureCode {
    /// All codes, in the order of the catalogue.
    pub const ALL: [Self; 52] = [
        Self::TokenRevoked,
        Self::TokenAnswerLost,
        Self::OrgDisconnected,
        Self::UserInactive,
        Self::AppNotApproved,
        Self::IpRestricted,
        Self::LoginHours,
        Self::SessionNotUsable,
        Self::AppMisconfigured,
        Self::JwtAccessToken,
        Self::OtherOrg,
        Self::TokenRefreshStuck,
        Self::ApiDisabled,
        Self::PermissionMissing,
        Self::PasswordExpired,
        Self::OrgLocked,
        Self::RequestLimitExceeded,
        Self::ApiAllowance,
        Self::SalesforceUnavailable,
        Self::SalesforceUnreachable,
        Self::HostNotFound,
        Self::NetworkDns,
        Self::ProxyUnreachable,
        Self::ProxyAuthentication,
        Self::ProxyRefused,
        Self::TlsUntrusted,
        Self::TlsCertificate,
        Self::SalesforceUnexpected,
        Self::SalesforceQueueStuck,
        Self::PollingTimedOut,
        Self::TooLarge,
        Self::ArchiveTooManyEntries,
        Self::ArchiveEntryTooLarge,
        Self::ArchiveTooLarge,
        Self::ArchiveBomb,
        Self::ArchiveBadPath,
        Self::ArchiveDuplicate,
        Self::ArchiveUnsupported,
        Self::ArchiveCorrupt,
        Self::ArchiveTruncated,
        Self::Base64Invalid,
        Self::Base64Truncated,
        Self::XmlMalformed,
        Self::HttpBodyTooLarge,
        Self::HttpHeadersTooLarge,
        Self::Poison,
        Self::WindowEnded,
        Self::DatabaseUnavailable,
        Self::DeletionsHeld,
        Self::NightMissed,
        Self::EndedByHand,
        Self::Internal,
    ];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokenRevoked => "token_revoked",
            Self::TokenAnswerLost => "token_answer_lost",
            Self::OrgDisconnected => "org_disconnected",
            Self::UserInactive => "user_inactive",
            Self::AppNotApproved => "app_not_approved",
            Self::IpRestricted => "ip_restricted",
            Self::LoginHours => "login_hours",
            Self::SessionNotUsable => "session_not_usable",
            Self::AppMisconfigured => "app_misconfigured",
            Self::JwtAccessToken => "jwt_access_token",
            Self::OtherOrg => "other_org",
            Self::TokenRefreshStuck => "token_refresh_stuck",
            Self::ApiDisabled => "api_disabled",
            Self::PermissionMissing => "permission_missing",
            Self::PasswordExpired => "password_expired",
            Self::OrgLocked => "org_locked",
            Self::RequestLimitExceeded => "request_limit_exceeded",
            Self::ApiAllowance => "api_allowance",
            Self::SalesforceUnavailable => "salesforce_unavailable",
            Self::SalesforceUnreachable => "salesforce_unreachable",
            Self::HostNotFound => "host_not_found",
            Self::NetworkDns => "network_dns",
            Self::ProxyUnreachable => "proxy_unreachable",
            Self::ProxyAuthentication => "proxy_authentication",
            Self::ProxyRefused => "proxy_refused",
            Self::TlsUntrusted => "tls_untrusted",
            Self::TlsCertificate => "tls_certificate",
            Self::SalesforceUnexpected => "salesforce_unexpected",
            Self::SalesforceQueueStuck => "salesforce_queue_stuck",
            Self::PollingTimedOut => "polling_timed_out",
            Self::TooLarge => "too_large",
            Self::ArchiveTooManyEntries => "archive_too_many_entries",
            Self::ArchiveEntryTooLarge => "archive_entry_too_large",
            Self::ArchiveTooLarge => "archive_too_large",
            Self::ArchiveBomb => "archive_bomb",
            Self::ArchiveBadPath => "archive_bad_path",
            Self::ArchiveDuplicate => "archive_duplicate",
            Self::ArchiveUnsupported => "archive_unsupported",
            Self::ArchiveCorrupt => "archive_corrupt",
            Self::ArchiveTruncated => "archive_truncated",
            Self::Base64Invalid => "base64_invalid",
            Self::Base64Truncated => "base64_truncated",
            Self::XmlMalformed => "xml_malformed",
            Self::HttpBodyTooLarge => "http_body_too_large",
            Self::HttpHeadersTooLarge => "http_headers_too_large",
            Self::Poison => "poison",
            Self::WindowEnded => "window_ended",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::DeletionsHeld => "deletions_held",
            Self::NightMissed => "night_missed",
            Self::EndedByHand => "ended_by_hand",
            Self::Internal => "internal",
        }
    }

    /// Title, steps and texts.
    pub fn entry(self) -> &'static CatalogueEntry {
        catalogue()
            .iter()
            .find(|entry| entry.code == self)
            .expect("a test walks the catalogue")
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FailureCode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "failure code",
                found: text.to_owned(),
            })
    }
}

/// Whether a failure goes away without a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heals {
    /// Tried again in the same night while the window lasts, then the next night.
    ByItself,
    /// Only once somebody acted.
    Never,
}

/// Who must act.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The space administrator.
    Administrator,
    /// Whoever runs Nightshift.
    Operator,
    /// The support team.
    Support,
    /// Nightshift's developers.
    Developers,
    /// Nobody, as long as it does not repeat.
    Nobody,
}

impl Actor {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Support => "support",
            Self::Developers => "developers",
            Self::Nobody => "nobody",
        }
    }
}

/// What the catalogue says about one code.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// The code.
    pub code: FailureCode,
    /// A sentence without a full stop.
    pub title: String,
    /// Whether it goes away.
    pub heals: Heals,
    /// Who acts.
    pub who_acts: Actor,
    /// Steps for support, the first one first.
    pub support: Vec<String>,
    /// What the customer reads.
    pub customer: String,
}

impl CatalogueEntry {
    /// What support does first.
    pub fn first_step(&self) -> &str {
        self.support.first().map_or("", String::as_str)
    }
}

/// The whole catalogue.
pub fn catalogue() -> &'static [CatalogueEntry] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        failure: Vec<CatalogueEntry>,
    }
    static CATALOGUE: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| {
        toml::from_str::<File>(include_str!("failures.toml"))
            .expect("a test reads the catalogue")
            .failure
    });
    &CATALOGUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_entry_and_tells_support_what_to_do_first() {
        for code in FailureCode::ALL {
            let mine: Vec<_> = catalogue().iter().filter(|entry| entry.code == code).collect();
            assert_eq!(mine.len(), 1, "{code:?}");
            assert!(
                !mine[0].first_step().is_empty(),
                "{code:?} says nothing to support"
            );
            assert!(
                !mine[0].customer.is_empty() && !mine[0].title.is_empty(),
                "{code:?}"
            );
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        assert_eq!(catalogue().len(), FailureCode::ALL.len());
    }
}
