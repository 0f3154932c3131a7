//! From the words of a query to what it asks.

use super::{
    Condition, Literal, Name, Operator, Order, Query, Select, SoqlError,
    words::{Word, words},
};

/// Deepest nesting of parentheses; recursion must end somewhere.
const DEEPEST: usize = 50;

pub(super) fn query(soql: &str) -> Result<Query, SoqlError> {
    let mut reader = Reader {
        words: words(soql)?,
        at: 0,
    };
    reader.keyword("SELECT")?;
    let select = reader.select()?;
    reader.keyword("FROM")?;
    let object = reader.name()?;
    let filter = if reader.accept("WHERE") {
        Some(reader.condition(0)?)
    } else {
        None
    };
    let order = if reader.accept("ORDER") {
        reader.order()?
    } else {
        Vec::new()
    };
    let limit = if reader.accept("LIMIT") {
        Some(reader.count()?)
    } else {
        None
    };
    let offset = if reader.accept("OFFSET") {
        reader.count()?
    } else {
        0
    };
    match reader.peek() {
        None => Ok(Query {
            select,
            object,
            filter,
            order,
            limit,
            offset,
        }),
        Some(_) => Err(reader.unexpected()),
    }
}

struct Reader {
    words: Vec<(usize, Word)>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at).map(|(_, word)| word)
    }

    fn place(&self) -> usize {
        self.words.get(self.at).map_or(0, |(at, _)| *at)
    }

    /// What is wrong with the word that comes next.
    fn unexpected(&self) -> SoqlError {
        let shown = match self.peek() {
            None => {
                return SoqlError {
                    code: "MALFORMED_QUERY",
                    at: None,
                    text: "unexpected token: '<EOF>'".to_owned(),
                };
            }
            Some(Word::Name(text) | Word::Text(text)) => text.clone(),
            Some(Word::Number(number)) => number.to_string(),
            Some(Word::Time(time)) => time.to_string(),
            Some(Word::Sign(sign)) => (*sign).to_owned(),
        };
        SoqlError::at(
            "MALFORMED_QUERY",
            self.place(),
            format!("unexpected token: '{shown}'"),
        )
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Word::Name(text)) if text.eq_ignore_ascii_case(keyword))
    }

    /// Takes the word of the language, if it comes next.
    fn accept(&mut self, keyword: &str) -> bool {
        let found = self.is(keyword);
        self.at += usize::from(found);
        found
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), SoqlError> {
        if self.accept(keyword) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn accept_sign(&mut self, sign: &str) -> bool {
        let found = self.peek()
            == Some(&Word::Sign(match sign {
                "(" => "(",
                ")" => ")",
                _ => ",",
            }));
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> Result<(), SoqlError> {
        if self.accept_sign(sign) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn name(&mut self) -> Result<Name, SoqlError> {
        match self.peek() {
            Some(Word::Name(text)) => {
                let name = Name {
                    text: text.clone(),
                    at: self.place(),
                };
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn select(&mut self) -> Result<Select, SoqlError> {
        let mut fields = vec![self.name()?];
        if fields[0].text.eq_ignore_ascii_case("COUNT") && self.accept_sign("(") {
            self.sign(")")?;
            return Ok(Select::Count);
        }
        while self.accept_sign(",") {
            fields.push(self.name()?);
        }
        Ok(Select::Fields(fields))
    }

    /// Conditions under one `AND` or one `OR`; who mixes them must set parentheses.
    fn condition(&mut self, depth: usize) -> Result<Condition, SoqlError> {
        let first = self.single(depth)?;
        for (keyword, whole) in [
            ("AND", Condition::All as fn(Vec<Condition>) -> Condition),
            ("OR", Condition::Any),
        ] {
            if self.is(keyword) {
                let mut parts = vec![first];
                while self.accept(keyword) {
                    parts.push(self.single(depth)?);
                }
                if self.is("AND") || self.is("OR") {
                    return Err(self.unexpected());
                }
                return Ok(whole(parts));
            }
        }
        Ok(first)
    }

    fn single(&mut self, depth: usize) -> Result<Condition, SoqlError> {
        if depth > DEEPEST {
            return Err(self.unexpected());
        }
        if self.accept("NOT") {
            return Ok(Condition::Not(Box::new(self.single(depth + 1)?)));
        }
        if self.accept_sign("(") {
            let inner = self.condition(depth + 1)?;
            self.sign(")")?;
            return Ok(inner);
        }
        let field = self.name()?;
        if self.accept("IN") {
            let values = self.literals()?;
            return Ok(Condition::In { field, values });
        }
        if self.accept("NOT") {
            self.keyword("IN")?;
            let values = self.literals()?;
            return Ok(Condition::Not(Box::new(Condition::In { field, values })));
        }
        let operator = self.operator()?;
        let value = self.literal()?;
        Ok(Condition::Compare {
            field,
            operator,
            value,
        })
    }

    fn operator(&mut self) -> Result<Operator, SoqlError> {
        let operator = match self.peek() {
            Some(Word::Sign("=")) => Operator::Equal,
            Some(Word::Sign("!=" | "<>")) => Operator::Unequal,
            Some(Word::Sign("<")) => Operator::Less,
            Some(Word::Sign("<=")) => Operator::AtMost,
            Some(Word::Sign(">")) => Operator::Greater,
            Some(Word::Sign(">=")) => Operator::AtLeast,
            Some(Word::Name(word)) if word.eq_ignore_ascii_case("LIKE") => Operator::Like,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(operator)
    }

    fn literals(&mut self) -> Result<Vec<Literal>, SoqlError> {
        self.sign("(")?;
        let mut values = vec![self.literal()?];
        while self.accept_sign(",") {
            values.push(self.literal()?);
        }
        self.sign(")")?;
        Ok(values)
    }

    fn literal(&mut self) -> Result<Literal, SoqlError> {
        let literal = match self.peek() {
            Some(Word::Text(text)) => Literal::Text(text.clone()),
            Some(Word::Number(number)) => Literal::Number(*number),
            Some(Word::Time(time)) => Literal::Time(*time),
            Some(Word::Name(word)) if word.eq_ignore_ascii_case("null") => Literal::Null,
            Some(Word::Name(word)) if word.eq_ignore_ascii_case("true") => Literal::Boolean(true),
            Some(Word::Name(word)) if word.eq_ignore_ascii_case("false") => Literal::Boolean(false),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(literal)
    }

    fn order(&mut self) -> Result<Vec<Order>, SoqlError> {
        self.keyword("BY")?;
        let mut orders = Vec::new();
        loop {
            let field = self.name()?;
            let descending = !self.accept("ASC") && self.accept("DESC");
            let nulls_last = self.accept("NULLS") && !self.accept("FIRST") && {
                self.keyword("LAST")?;
                true
            };
            orders.push(Order {
                field,
                descending,
                nulls_last,
            });
            if !self.accept_sign(",") {
                return Ok(orders);
            }
        }
    }

    fn count(&mut self) -> Result<usize, SoqlError> {
        match self.peek() {
            Some(Word::Number(number)) if *number >= 0.0 && number.fract() == 0.0 => {
                let count = *number as usize;
                self.at += 1;
                Ok(count)
            }
            _ => Err(self.unexpected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(soql: &str, word: &str) {
        let error = query(soql).unwrap_err();
        assert_eq!(error.code, "MALFORMED_QUERY", "{soql}");
        assert_eq!(error.text, format!("unexpected token: '{word}'"), "{soql}");
    }

    #[test]
    fn a_whole_query_is_read() {
        let read = query(
            "select Id, CreatedBy.Name from ApexClass where (Name like 'A%' or IsValid = true) and not Id in ('x','y') \
             order by Name desc nulls last, Id limit 10 offset 5",
        )
        .unwrap();
        let Select::Fields(fields) = &read.select else {
            panic!("{read:?}")
        };
        assert_eq!(fields[1].text, "CreatedBy.Name");
        assert_eq!(
            (read.object.text.as_str(), read.limit, read.offset),
            ("ApexClass", Some(10), 5)
        );
        assert!(matches!(&read.filter, Some(Condition::All(parts))
            if matches!(parts[..], [Condition::Any(_), Condition::Not(_)])));
        assert_eq!(read.order.len(), 2);
        assert!(read.order[0].descending && read.order[0].nulls_last && !read.order[1].descending);
        let deciding: Vec<&str> = read.deciding().iter().map(|name| name.text.as_str()).collect();
        assert_eq!(deciding, ["Name", "IsValid", "Id", "Name", "Id"]);
    }

    #[test]
    fn a_count_has_no_fields() {
        assert_eq!(
            query("SELECT COUNT() FROM Account").unwrap().select,
            Select::Count
        );
        refused("SELECT COUNT(Id) FROM Account", "Id");
    }

    #[test]
    fn the_first_word_that_does_not_fit_is_named() {
        refused("DELETE Id FROM Account", "DELETE");
        refused("SELECT Id", "<EOF>");
        refused("SELECT Id FROM Account WHERE a = 1 AND b = 2 OR c = 3", "OR");
        refused("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "(");
        refused("SELECT Id FROM Account GROUP BY Id", "GROUP");
        refused("SELECT Id FROM Account LIMIT -1", "-1");
        refused("SELECT Id FROM Account WHERE Id IN ()", ")");
    }

    #[test]
    fn parentheses_without_end_are_refused_and_not_followed() {
        let deep = format!("SELECT Id FROM A WHERE {}a = 1", "(".repeat(100_000));
        refused(&deep, "(");
    }
}
