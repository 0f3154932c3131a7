//! Decoding and encoding of what the driver does not know: jiff's times, and domain words as text.

use std::str::FromStr;

use jiff::{Span, Timestamp, civil::Date};
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef},
};

use crate::error::StoreError;

/// Microseconds from 1970 to 2000, where PostgreSQL's clock begins.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// `timestamptz`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Stamp(pub Timestamp);

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_timestamptz")
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Postgres>>::encode_by_ref(&(self.0.as_microsecond() - EPOCH_2000_US), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Stamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("timestamps are read in binary form".into());
        }
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        // `infinity` is the greatest number: no time of ours, and an error
        Ok(Self(Timestamp::from_microsecond(
            micros.saturating_add(EPOCH_2000_US),
        )?))
    }
}

/// `date`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Day(pub Date);

impl PgHasArrayType for Day {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_date")
    }
}

const YEAR_2000: Date = Date::constant(2000, 1, 1);

impl Type<Postgres> for Day {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("date")
    }
}

impl Encode<'_, Postgres> for Day {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let days = YEAR_2000.until(self.0)?.get_days();
        <i32 as Encode<Postgres>>::encode_by_ref(&days, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Day {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let days = <i32 as Decode<Postgres>>::decode(value)?;
        Ok(Self(YEAR_2000.checked_add(Span::new().try_days(days)?)?))
    }
}

/// One column of rows that a statement takes as arrays.
pub(crate) fn column<'a, R, T>(rows: &'a [R], cell: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(cell).collect()
}

/// Reads a domain word from a text column, or names table and column.
pub(crate) fn word<T>(table: &'static str, column: &'static str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::Decode {
        table,
        column,
        reason: error.to_string(),
    })
}
