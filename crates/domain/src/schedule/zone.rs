//! A time zone by its IANA name, read from the bundled data alone.
//!
//! Two schedulers on two machines must agree, so the machine's own zone files are never looked at.

use std::{fmt, str::FromStr, sync::LazyLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone of the bundled data. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    name: String,
    time_zone: TimeZone,
}

/// The bundled data has no zone of this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IANA time zone; write it like Europe/Berlin")]
pub struct ZoneError(pub String);

impl Zone {
    /// The name as it was given (links such as `Asia/Calcutta` keep theirs).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For computing.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match BUNDLED.get(name) {
            Ok(time_zone) => {
                let canonical = time_zone.iana_name().unwrap_or(name).to_owned();
                Ok(Self {
                    name: canonical,
                    time_zone,
                })
            }
            Err(_) => Err(ZoneError(name.to_owned())),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// All names of the bundled data.
pub fn zone_names() -> Vec<String> {
    BUNDLED.available().map(|name| name.as_str().to_owned()).collect()
}
