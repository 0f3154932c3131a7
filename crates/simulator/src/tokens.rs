//! The tokens of one org: what a refresh gives, what a reuse costs.
//!
//! Pure state with the time as an argument. With rotation each refresh spends the token that asked; a spent token
//! that comes back is taken for a theft, and everything is revoked, as Salesforce does.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::mix::{Numbers, mix_text};

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

/// Whether a refresh gives a new refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    Off,
    On,
}

/// How an access token looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum AccessShape {
    /// The org's id, `!`, and letters that mean nothing.
    #[default]
    Opaque,
    /// Three parts with dots between them, which SOAP does not take.
    Jwt,
}

/// What a refresh gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Issued {
    pub access: String,
    /// Only with rotation.
    pub refresh: Option<String>,
}

/// Why a refresh token is refused: all of them read `invalid_grant` outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    Unknown,
    Revoked,
    Reused,
}

/// Grants that a user may have given to one app; one more, and the oldest is gone.
const MOST_GRANTS: usize = 5;

#[derive(Debug)]
pub(crate) struct Tokens {
    organization_id: String,
    rotation: Rotation,
    shape: AccessShape,
    /// Refresh tokens, the oldest grant first.
    grants: Vec<Grant>,
    given: u64,
    spent: HashSet<String>,
    revoked: bool,
    access: HashMap<String, Access>,
    /// Every token that was ever given out, so that a test can look where none of them may stand.
    issued: Vec<String>,
    numbers: Numbers,
}

/// What a person allowed once.
#[derive(Debug)]
struct Grant {
    number: u64,
    refresh: String,
}

/// An access token: when it ends and when it was used last (by the simulator's clock), and by which grant; 0 for none.
#[derive(Debug)]
struct Access {
    ends: Duration,
    used: Duration,
    grant: u64,
}

impl Tokens {
    pub(crate) fn new(organization_id: &str, seed: u64, rotation: Rotation) -> Self {
        let mut tokens = Self {
            organization_id: organization_id.to_owned(),
            rotation,
            shape: AccessShape::default(),
            grants: Vec::new(),
            given: 0,
            issued: Vec::new(),
            spent: HashSet::new(),
            revoked: false,
            access: HashMap::new(),
            numbers: Numbers::new(mix_text(seed, organization_id)),
        };
        tokens.grant();
        tokens
    }

    /// A new grant; its number.
    fn grant(&mut self) -> u64 {
        self.given += 1;
        let refresh = self.new_refresh();
        self.grants.push(Grant {
            number: self.given,
            refresh,
        });
        if self.grants.len() > MOST_GRANTS {
            let oldest = self.grants.remove(0);
            self.end(oldest.number);
        }
        self.given
    }

    /// Ends the access tokens of a grant.
    fn end(&mut self, grant: u64) {
        self.access.retain(|_, access| access.grant != grant);
    }

    /// The refresh token of the latest grant.
    pub(crate) fn current(&self) -> &str {
        self.grants.last().map_or("", |grant| &grant.refresh)
    }

    /// Every access and refresh token that was ever given out, the oldest first.
    pub(crate) fn issued(&self) -> &[String] {
        &self.issued
    }

    /// Whether the token is or was one of this org's refresh tokens.
    pub(crate) fn owns(&self, token: &str) -> bool {
        self.place(token).is_some() || self.spent.contains(token)
    }

    /// Whether the token is a refresh token that is good now.
    pub(crate) fn may_refresh(&self, token: &str) -> bool {
        !self.revoked && self.place(token).is_some()
    }

    fn place(&self, token: &str) -> Option<usize> {
        self.grants.iter().position(|grant| grant.refresh == token)
    }

    pub(crate) fn refresh(
        &mut self,
        token: &str,
        now: Duration,
        lifetime: Duration,
    ) -> Result<Issued, Refused> {
        if self.spent.contains(token) {
            self.revoke_all();
            return Err(Refused::Reused);
        }
        let Some(place) = self.place(token) else {
            return Err(Refused::Unknown);
        };
        if self.revoked {
            return Err(Refused::Revoked);
        }
        let rotated = match self.rotation {
            Rotation::Off => None,
            Rotation::On => Some(self.rotate(place)),
        };
        let grant = self.grants[place].number;
        Ok(Issued {
            access: self.issue(grant, now, lifetime),
            refresh: rotated,
        })
    }

    /// Spends the refresh token of a grant; the new one.
    fn rotate(&mut self, place: usize) -> String {
        let fresh = self.new_refresh();
        let old = std::mem::replace(&mut self.grants[place].refresh, fresh.clone());
        self.spent.insert(old);
        fresh
    }

    /// Rotates once, in an app that does not.
    pub(crate) fn rotate_once(&mut self, token: &str) -> Option<String> {
        let place = self.place(token).filter(|_| self.rotation == Rotation::Off)?;
        Some(self.rotate(place))
    }

    /// A person allows the app: a grant of its own, with its tokens.
    pub(crate) fn authorize(&mut self, now: Duration, lifetime: Duration) -> Issued {
        if std::mem::take(&mut self.revoked) {
            self.grants.clear();
        }
        let grant = self.grant();
        Issued {
            access: self.issue(grant, now, lifetime),
            refresh: Some(self.current().to_owned()),
        }
    }

    /// A session without a grant: an assertion, an app's own, a login by password.
    pub(crate) fn session(&mut self, now: Duration, lifetime: Duration) -> Issued {
        Issued {
            access: self.issue(0, now, lifetime),
            refresh: None,
        }
    }

    /// From now on access tokens have this shape.
    pub(crate) fn shaped(&mut self, shape: AccessShape) {
        self.shape = shape;
    }

    /// Whether the token is one of this org's access tokens.
    pub(crate) fn knows(&self, access: &str) -> bool {
        self.access.contains_key(access)
    }

    fn issue(&mut self, grant: u64, now: Duration, lifetime: Duration) -> String {
        let access = match self.shape {
            AccessShape::Opaque => {
                let rest = letters(&mut self.numbers, 94);
                format!("{}!AQ{rest}", &self.organization_id[..15])
            }
            AccessShape::Jwt => format!(
                "eyJ0eXAiOiJKV1QifQ.{}.{}",
                plain_letters(&mut self.numbers),
                plain_letters(&mut self.numbers)
            ),
        };
        self.access.retain(|_, access| access.ends > now);
        let ends = now + lifetime;
        self.access.insert(
            access.clone(),
            Access {
                ends,
                used: now,
                grant,
            },
        );
        self.issued.push(access.clone());
        access
    }

    /// A code for the authorization page to give.
    pub(crate) fn code(&mut self) -> String {
        format!("aPrx{}", letters(&mut self.numbers, 60))
    }

    /// Whether an access token opens the org now. With `idle`, each use lets it live for so long from then on.
    pub(crate) fn is_good(&mut self, access: &str, now: Duration, idle: Option<Duration>) -> bool {
        let Some(access) = self.access.get_mut(access).filter(|access| access.ends > now) else {
            return false;
        };
        let Some(idle) = idle else {
            return true;
        };
        let good = now < access.used + idle;
        if good {
            access.used = now;
        }
        good
    }

    /// Ends every access token; the refresh tokens stay good.
    pub(crate) fn expire_access(&mut self) {
        self.access.clear();
    }

    pub(crate) fn revoke_all(&mut self) {
        self.revoked = true;
        self.access.clear();
    }

    /// A person connects again, and nothing of before is good: a new refresh token, which is returned.
    pub(crate) fn reauthorize(&mut self) -> String {
        self.revoked = false;
        self.access.clear();
        self.grants.clear();
        self.grant();
        self.current().to_owned()
    }

    fn new_refresh(&mut self) -> String {
        let fresh = refresh_token(&mut self.numbers);
        self.issued.push(fresh.clone());
        fresh
    }

    /// Revokes one token, access or refresh; false when it is not this org's.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        match self.place(token) {
            Some(place) if self.grants.len() > 1 => {
                let grant = self.grants.remove(place);
                self.end(grant.number);
                true
            }
            Some(_) => {
                self.revoke_all();
                true
            }
            None if self.spent.contains(token) => {
                self.revoke_all();
                true
            }
            None => self.access.remove(token).is_some(),
        }
    }
}

fn refresh_token(numbers: &mut Numbers) -> String {
    format!("5Aep861{}", letters(numbers, 80))
}

/// A part of a JWT.
fn plain_letters(numbers: &mut Numbers) -> String {
    letters(numbers, 60).replace(['.', '_'], "x")
}

fn letters(numbers: &mut Numbers, count: usize) -> String {
    (0..count)
        .map(|_| char::from(LETTERS[numbers.below(LETTERS.len())]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn tokens(rotation: Rotation) -> Tokens {
        Tokens::new("00D000000000062EAA", 1, rotation)
    }

    #[test]
    fn without_rotation_the_refresh_token_stays() {
        let mut tokens = tokens(Rotation::Off);
        let refresh = tokens.current().to_owned();
        let one = tokens.refresh(&refresh, Duration::ZERO, HOUR).unwrap();
        let two = tokens.refresh(&refresh, Duration::ZERO, HOUR).unwrap();
        assert_eq!((one.refresh, two.refresh), (None, None));
        assert!(one.access.starts_with("00D000000000062!"));
        assert!(
            tokens.is_good(&one.access, Duration::ZERO, None)
                && tokens.is_good(&two.access, Duration::ZERO, None)
        );
        assert!(!tokens.is_good(&one.access, HOUR, None));
    }

    #[test]
    fn b59_a_spent_token_revokes_everything() {
        let mut tokens = tokens(Rotation::On);
        let first = tokens.current().to_owned();
        let issued = tokens.refresh(&first, Duration::ZERO, HOUR).unwrap();
        let second = issued.refresh.unwrap();
        assert_ne!(first, second);
        assert_eq!(tokens.refresh(&first, Duration::ZERO, HOUR), Err(Refused::Reused));
        assert!(!tokens.is_good(&issued.access, Duration::ZERO, None));
        assert_eq!(
            tokens.refresh(&second, Duration::ZERO, HOUR),
            Err(Refused::Revoked)
        );
        let third = tokens.reauthorize();
        assert!(tokens.refresh(&third, Duration::ZERO, HOUR).is_ok());
    }

    #[test]
    fn a_session_that_is_used_lives_on_and_an_idle_one_ends() {
        let mut tokens = tokens(Rotation::Off);
        let session = tokens.session(Duration::ZERO, HOUR * 24).access;
        let minutes = |minutes| Duration::from_mins(minutes);
        let idle = Some(minutes(15));
        assert!(tokens.is_good(&session, minutes(14), idle) && tokens.is_good(&session, minutes(28), idle));
        assert!(!tokens.is_good(&session, minutes(43), idle));
    }

    #[test]
    fn a_sixth_grant_ends_the_first_and_its_sessions() {
        let mut tokens = tokens(Rotation::Off);
        let first = tokens.current().to_owned();
        let session = tokens.refresh(&first, Duration::ZERO, HOUR).unwrap();
        for _ in 0..4 {
            tokens.authorize(Duration::ZERO, HOUR);
        }
        assert!(tokens.is_good(&session.access, Duration::ZERO, None));
        let sixth = tokens.authorize(Duration::ZERO, HOUR);
        assert!(!tokens.is_good(&session.access, Duration::ZERO, None));
        assert_eq!(
            tokens.refresh(&first, Duration::ZERO, HOUR),
            Err(Refused::Unknown)
        );
        assert!(
            tokens
                .refresh(&sixth.refresh.unwrap(), Duration::ZERO, HOUR)
                .is_ok()
        );
    }

    #[test]
    fn a_revoked_grant_leaves_the_others_alone() {
        let mut tokens = tokens(Rotation::Off);
        let first = tokens.current().to_owned();
        let second = tokens.authorize(Duration::ZERO, HOUR);
        assert!(tokens.revoke(&first));
        assert!(tokens.is_good(&second.access, Duration::ZERO, None));
        assert_eq!(
            tokens.refresh(&first, Duration::ZERO, HOUR),
            Err(Refused::Unknown)
        );
        assert!(tokens.may_refresh(second.refresh.as_deref().unwrap()));
    }
}
