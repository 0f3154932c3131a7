//! The words of a query: names, texts, numbers, times and signs, each with its place.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::SoqlError;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Word {
    /// A name, a dotted path or a word of the language.
    Name(String),
    Text(String),
    Number(f64),
    Time(Timestamp),
    Sign(&'static str),
}

const SIGNS: [&str; 10] = ["!=", "<>", "<=", ">=", "(", ")", ",", "=", "<", ">"];

/// Cuts a query into words; the places are offsets in bytes.
pub(super) fn words(soql: &str) -> Result<Vec<(usize, Word)>, SoqlError> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = soql.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (length, word) = if first == '\'' {
            text(rest).ok_or_else(|| unexpected(at, rest))?
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (sign.len(), Word::Sign(sign))
        } else if first.is_ascii_digit() || matches!(first, '-' | '+') {
            let length = length_of(rest, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | ':' | '.')
            });
            let word = number_or_time(&rest[..length]).ok_or_else(|| unexpected(at, rest))?;
            (length, word)
        } else if first.is_ascii_alphabetic() {
            let length = length_of(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
            (length, Word::Name(rest[..length].to_owned()))
        } else {
            return Err(unexpected(at, rest));
        };
        words.push((at, word));
        at += length;
    }
    Ok(words)
}

fn length_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn unexpected(at: usize, rest: &str) -> SoqlError {
    let shown = length_of(rest, |c| !c.is_whitespace()).max(1);
    let shown = rest.get(..shown).unwrap_or(rest);
    SoqlError::at("MALFORMED_QUERY", at, format!("unexpected token: '{shown}'"))
}

/// A text in quotes with its backslashes taken away; its length in the query.
fn text(rest: &str) -> Option<(usize, Word)> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Some((at + 1, Word::Text(out))),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                // In a pattern these stand for themselves, which the pattern has to know.
                c @ ('%' | '_') => out.extend(['\\', c]),
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
    None
}

fn number_or_time(text: &str) -> Option<Word> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(Word::Number(number));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(Word::Time(time));
    }
    let midnight = text.parse::<Date>().ok()?.at(0, 0, 0, 0);
    TimeZone::UTC.to_timestamp(midnight).ok().map(Word::Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_cut_into_words_with_their_places() {
        let found = words("a.B != 'it\\'s' ,-1.5").unwrap();
        let wanted = [
            (0, Word::Name("a.B".into())),
            (4, Word::Sign("!=")),
            (7, Word::Text("it's".into())),
            (15, Word::Sign(",")),
            (16, Word::Number(-1.5)),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn times_are_read_with_and_without_a_clock() {
        let first = |text: &str| words(text).unwrap()[0].1.clone();
        let midnight = Word::Time("2026-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(first("2026-01-02T00:00:00Z"), midnight);
        assert_eq!(first("2026-01-02"), midnight);
        assert_eq!(first("2026-01-02T02:00:00+02:00"), midnight);
    }

    #[test]
    fn what_is_no_word_is_refused_at_its_place() {
        for (soql, at) in [("a ; b", 2), ("a 'open", 2), ("1x", 0), ("é", 0)] {
            let error = words(soql).unwrap_err();
            assert_eq!((error.code, error.at), ("MALFORMED_QUERY", Some(at)), "{soql}");
        }
    }
}
