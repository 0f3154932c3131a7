//! The weekdays on which an org's nights begin.

use std::{fmt, str::FromStr};

use jiff::civil::Weekday;

/// A non-empty set of weekdays; bit 0 is Monday.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Days(u8);

/// Why a text names no days.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DaysError {
    /// A word that is no day.
    #[error("{0:?} is no weekday; write them like mon,tue,fri or all")]
    Unknown(String),
    /// None at all.
    #[error("an org needs at least one day; pause it instead")]
    None,
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    /// Every night.
    pub const ALL: Self = Self(0b111_1111);

    /// From the stored bits; `None` for no day or an unknown bit.
    pub fn from_bits(bits: i16) -> Option<Self> {
        u8::try_from(bits)
            .ok()
            .filter(|bits| (1..=Self::ALL.0).contains(bits))
            .map(Self)
    }

    /// To be stored.
    pub fn bits(self) -> i16 {
        i16::from(self.0)
    }

    /// Whether nights begin on this weekday.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 >> day.to_monday_zero_offset() & 1 == 1
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("all");
        }
        let names: Vec<_> = NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Days {
    type Err = DaysError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::ALL);
        }
        let mut bits = 0;
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let bit = NAMES
                .iter()
                .position(|name| word.eq_ignore_ascii_case(name))
                .ok_or_else(|| DaysError::Unknown(word.to_owned()))?;
            bits |= 1 << bit;
        }
        if bits == 0 {
            Err(DaysError::None)
        } else {
            Ok(Self(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_of_days_reads_back() {
        for bits in 1..=127 {
            let days = Days::from_bits(bits).unwrap();
            assert_eq!(days.to_string().parse(), Ok(days));
            assert_eq!(days.bits(), bits);
        }
        assert_eq!(Days::from_bits(0), None);
        assert_eq!(Days::from_bits(128), None);
        assert_eq!("mon,foo".parse::<Days>(), Err(DaysError::Unknown("foo".into())));
        assert_eq!("".parse::<Days>(), Err(DaysError::None));
    }
}
