//! The part of the local day in which an org may be synced.

use std::{fmt, str::FromStr};

use super::minute::{LocalMinute, MinuteError};

/// From the minute it opens to the minute before it closes; it may cross midnight. 1 to 1,439 minutes long.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    opens: LocalMinute,
    closes: LocalMinute,
}

/// Why two minutes make no window.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// It would be empty, or the whole day.
    #[error("a window that opens at {0} cannot close at the same minute")]
    Empty(LocalMinute),
    /// Not two minutes with a dash.
    #[error("{0:?} is no window; write it like 21:00-06:00")]
    Form(String),
    /// One of them is no minute.
    #[error(transparent)]
    Minute(#[from] MinuteError),
}

impl Window {
    /// 21:00 to 06:00.
    pub const NIGHT: Self = Self {
        opens: LocalMinute::after_midnight(21 * 60),
        closes: LocalMinute::after_midnight(6 * 60),
    };

    /// From `opens` to `closes`, over midnight if need be.
    pub fn new(opens: LocalMinute, closes: LocalMinute) -> Result<Self, WindowError> {
        if opens == closes {
            Err(WindowError::Empty(opens))
        } else {
            Ok(Self { opens, closes })
        }
    }

    /// The first minute inside.
    pub fn opens(self) -> LocalMinute {
        self.opens
    }

    /// The first minute outside.
    pub fn closes(self) -> LocalMinute {
        self.closes
    }

    /// How many minutes it has on a day without a clock change.
    pub fn length(self) -> u16 {
        self.closes.since(self.opens)
    }

    /// Whether a minute lies inside.
    pub fn contains(self, minute: LocalMinute) -> bool {
        minute.since(self.opens) < self.length()
    }

    /// The `n`th minute inside, counted around: for drawing a slot from a random number.
    pub fn minute(self, n: u16) -> LocalMinute {
        self.opens.plus(n % self.length())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.opens, self.closes)
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (opens, closes) = text
            .split_once('-')
            .ok_or_else(|| WindowError::Form(text.to_owned()))?;
        Self::new(opens.trim().parse()?, closes.trim().parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_window_holds_nine_hours_over_midnight() {
        let window = Window::NIGHT;
        assert_eq!(window.length(), 540);
        for n in 0..LocalMinute::DAY {
            let minute = LocalMinute::after_midnight(n);
            let inside = !(6 * 60..21 * 60).contains(&n);
            assert_eq!(window.contains(minute), inside, "{minute}");
            assert!(window.contains(window.minute(n)));
        }
        assert_eq!(window.to_string().parse(), Ok(window));
    }

    #[test]
    fn an_empty_window_is_refused() {
        assert!(matches!(
            "05:00-05:00".parse::<Window>(),
            Err(WindowError::Empty(_))
        ));
        assert!(matches!("05:00".parse::<Window>(), Err(WindowError::Form(_))));
        assert!(matches!("5-6".parse::<Window>(), Err(WindowError::Minute(_))));
    }
}
