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

#[derive(Debug)]
pub(crate) struct Tokens {
    organization_id: String,
    rotation: Rotation,
    refresh: String,
    spent: HashSet<String>,
    revoked: bool,
    /// Access tokens and the time (of the simulator's clock) when they end.
    access: HashMap<String, Duration>,
    /// Every token that was ever given out, so that a test can look where none of them may stand.
    issued: Vec<String>,
    numbers: Numbers,
}

impl Tokens {
    pub(crate) fn new(organization_id: &str, seed: u64, rotation: Rotation) -> Self {
        let mut numbers = Numbers::new(mix_text(seed, organization_id));
        let refresh = refresh_token(&mut numbers);
        Self {
            organization_id: organization_id.to_owned(),
            rotation,
            issued: vec![refresh.clone()],
            refresh,
            spent: HashSet::new(),
            revoked: false,
            access: HashMap::new(),
            numbers,
        }
    }

    /// The refresh token that is good now.
    pub(crate) fn current(&self) -> &str {
        &self.refresh
    }

    /// Every access and refresh token that was ever given out, the oldest first.
    pub(crate) fn issued(&self) -> &[String] {
        &self.issued
    }

    /// Whether the token is or was one of this org's refresh tokens.
    pub(crate) fn owns(&self, token: &str) -> bool {
        self.refresh == token || self.spent.contains(token)
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
        if token != self.refresh {
            return Err(Refused::Unknown);
        }
        if self.revoked {
            return Err(Refused::Revoked);
        }
        let rotated = match self.rotation {
            Rotation::Off => None,
            Rotation::On => {
                let fresh = self.new_refresh();
                self.spent
                    .insert(std::mem::replace(&mut self.refresh, fresh.clone()));
                Some(fresh)
            }
        };
        Ok(Issued {
            access: self.issue(now, lifetime),
            refresh: rotated,
        })
    }

    fn issue(&mut self, now: Duration, lifetime: Duration) -> String {
        let access = format!(
            "{}!AQ{}",
            &self.organization_id[..15],
            letters(&mut self.numbers, 94)
        );
        self.access.retain(|_, end| *end > now);
        self.access.insert(access.clone(), now + lifetime);
        self.issued.push(access.clone());
        access
    }

    /// Whether an access token opens the org now.
    pub(crate) fn is_good(&self, access: &str, now: Duration) -> bool {
        self.access.get(access).is_some_and(|end| *end > now)
    }

    /// Ends every access token; the refresh token stays good.
    pub(crate) fn expire_access(&mut self) {
        self.access.clear();
    }

    pub(crate) fn revoke_all(&mut self) {
        self.revoked = true;
        self.access.clear();
    }

    /// A person connects again: a new refresh token, which is returned.
    pub(crate) fn reauthorize(&mut self) -> String {
        self.revoked = false;
        self.access.clear();
        let fresh = self.new_refresh();
        self.refresh.clone_from(&fresh);
        fresh
    }

    fn new_refresh(&mut self) -> String {
        let fresh = refresh_token(&mut self.numbers);
        self.issued.push(fresh.clone());
        fresh
    }

    /// Revokes one token, access or refresh; false when it is not this org's.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        if self.owns(token) {
            self.revoke_all();
            return true;
        }
        self.access.remove(token).is_some()
    }
}

fn refresh_token(numbers: &mut Numbers) -> String {
    format!("5Aep861{}", letters(numbers, 80))
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
        assert!(tokens.is_good(&one.access, Duration::ZERO) && tokens.is_good(&two.access, Duration::ZERO));
        assert!(!tokens.is_good(&one.access, HOUR));
    }

    #[test]
    fn b59_a_spent_token_revokes_everything() {
        let mut tokens = tokens(Rotation::On);
        let first = tokens.current().to_owned();
        let issued = tokens.refresh(&first, Duration::ZERO, HOUR).unwrap();
        let second = issued.refresh.unwrap();
        assert_ne!(first, second);
        assert_eq!(tokens.refresh(&first, Duration::ZERO, HOUR), Err(Refused::Reused));
        assert!(!tokens.is_good(&issued.access, Duration::ZERO));
        assert_eq!(
            tokens.refresh(&second, Duration::ZERO, HOUR),
            Err(Refused::Revoked)
        );
        let third = tokens.reauthorize();
        assert!(tokens.refresh(&third, Duration::ZERO, HOUR).is_ok());
    }
}
