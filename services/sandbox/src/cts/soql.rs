//! Salesforce's query language, as far as `cts-bridge` speaks it:
//! `SELECT a,b FROM Service__c WHERE x = '..' AND y IN ('..','..') AND z >= LAST_MONTH`.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use serde_json::Value;

use super::records::{Record, RecordError};
use super::schema::FIELDS;

/// A query.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    /// The fields that are wanted, in order.
    pub fields: Vec<&'static str>,
    conditions: Vec<(&'static str, Condition)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    /// `= '..'` or `IN ('..')`; `None` is null.
    OneOf(Vec<Option<String>>),
    /// `!= '..'`
    Not(Option<String>),
    /// `>= LAST_MONTH`
    SinceLastMonth,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// As Salesforce: malformed, or a field or object that there is not.
    pub fn parse(soql: &str) -> Result<Self, RecordError> {
        let mut tokens = Tokens(tokens(soql)?.into_iter().peekable());
        tokens.keyword("SELECT")?;
        let mut fields = vec![field(&tokens.word()?)?];
        while tokens.accept(&Token::Sign(",")) {
            fields.push(field(&tokens.word()?)?);
        }
        tokens.keyword("FROM")?;
        let object = tokens.word()?;
        if object != "Service__c" {
            return Err(RecordError::NoSuchObject(object));
        }
        let mut conditions = Vec::new();
        if !tokens.at_end() {
            tokens.keyword("WHERE")?;
            conditions.push(tokens.condition()?);
            while !tokens.at_end() {
                tokens.keyword("AND")?;
                conditions.push(tokens.condition()?);
            }
        }
        Ok(Self { fields, conditions })
    }

    /// Whether a record fits.
    pub fn fits(&self, record: &Record, now: DateTime<Utc>) -> bool {
        self.conditions.iter().all(|(field, condition)| {
            let value = record.0.get(*field).and_then(Value::as_str);
            match condition {
                Condition::OneOf(texts) => texts.iter().any(|text| text.as_deref() == value),
                Condition::Not(text) => text.as_deref() != value,
                Condition::SinceLastMonth => {
                    let date = value.and_then(|value| value.get(..10)?.parse::<NaiveDate>().ok());
                    date.is_some_and(|date| date >= last_month(now))
                }
            }
        })
    }
}

/// The first day of the previous month.
fn last_month(now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    today.with_day(1).and_then(|first| first.checked_sub_months(Months::new(1))).unwrap_or(today)
}

fn field(name: &str) -> Result<&'static str, RecordError> {
    FIELDS.into_iter().find(|field| *field == name).ok_or_else(|| RecordError::NoSuchField(name.to_owned()))
}

fn malformed(what: impl Into<String>) -> RecordError {
    RecordError::Malformed(what.into())
}

struct Tokens(std::iter::Peekable<std::vec::IntoIter<Token>>);

impl Tokens {
    fn at_end(&mut self) -> bool {
        self.0.peek().is_none()
    }

    fn accept(&mut self, token: &Token) -> bool {
        self.0.next_if_eq(token).is_some()
    }

    fn word(&mut self) -> Result<String, RecordError> {
        match self.0.next() {
            Some(Token::Word(word)) => Ok(word),
            Some(other) => Err(malformed(format!("unexpected token: {other:?}"))),
            None => Err(malformed("unexpected end of query")),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), RecordError> {
        let word = self.word()?;
        if word.eq_ignore_ascii_case(keyword) {
            Ok(())
        } else {
            Err(malformed(format!("unexpected token: {word}")))
        }
    }

    fn literal(&mut self) -> Result<Option<String>, RecordError> {
        match self.0.next() {
            Some(Token::Text(text)) => Ok(Some(text)),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => Ok(None),
            other => Err(malformed(format!("unexpected token: {other:?}"))),
        }
    }

    fn condition(&mut self) -> Result<(&'static str, Condition), RecordError> {
        let field = field(&self.word()?)?;
        let condition = if self.accept(&Token::Sign("=")) {
            Condition::OneOf(vec![self.literal()?])
        } else if self.accept(&Token::Sign("!=")) {
            Condition::Not(self.literal()?)
        } else if self.accept(&Token::Sign(">=")) {
            self.keyword("LAST_MONTH")?;
            Condition::SinceLastMonth
        } else {
            self.keyword("IN")?;
            self.sign("(")?;
            let mut texts = vec![self.literal()?];
            while self.accept(&Token::Sign(",")) {
                texts.push(self.literal()?);
            }
            self.sign(")")?;
            Condition::OneOf(texts)
        };
        Ok((field, condition))
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), RecordError> {
        if self.accept(&Token::Sign(sign)) { Ok(()) } else { Err(malformed(format!("expecting {sign}"))) }
    }
}

fn tokens(soql: &str) -> Result<Vec<Token>, RecordError> {
    let mut tokens = Vec::new();
    let mut letters = soql.chars().peekable();
    while let Some(letter) = letters.next() {
        let token = match letter {
            letter if letter.is_whitespace() => continue,
            '\'' => Token::Text(quoted(&mut letters)?),
            ',' => Token::Sign(","),
            '(' => Token::Sign("("),
            ')' => Token::Sign(")"),
            '=' => Token::Sign("="),
            '>' if letters.next_if_eq(&'=').is_some() => Token::Sign(">="),
            '!' if letters.next_if_eq(&'=').is_some() => Token::Sign("!="),
            letter if letter.is_ascii_alphanumeric() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                Token::Word(word)
            }
            letter => {
                return Err(malformed(format!("line 1: no viable alternative at character '{letter}'")));
            }
        };
        tokens.push(token);
    }
    Ok(tokens)
}

fn quoted(letters: &mut impl Iterator<Item = char>) -> Result<String, RecordError> {
    let mut text = String::new();
    loop {
        match letters.next() {
            Some('\'') => return Ok(text),
            Some('\\') => match letters.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some(letter @ ('\'' | '"' | '\\')) => text.push(letter),
                _ => return Err(malformed("Illegal string literal. Invalid string escape")),
            },
            Some(letter) => text.push(letter),
            None => return Err(malformed("unterminated string literal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(condition: &str, record: &Value) -> bool {
        let query = Query::parse(&format!("SELECT Id FROM Service__c WHERE {condition}")).unwrap();
        let record = Record(record.as_object().unwrap().clone());
        query.fits(&record, "2021-03-31T23:00:00Z".parse().unwrap())
    }

    #[test]
    fn conditions_choose_records() {
        let record = json!({"Name": "S-1", "Status__c": "On Site", "City__c": null, "Open_Date__c": "2021-02-01T00:00:00.000+0000"});
        for (condition, expected) in [
            ("Name = 'S-1'", true),
            ("Name = 's-1'", false),
            ("Name = ''", false),
            ("City__c = null", true),
            ("Name != null AND Status__c IN ('Open', 'On Site')", true),
            ("Status__c IN ('Open')", false),
            ("Open_Date__c >= LAST_MONTH", true),
            ("Name = 'S-1' AND Status__c = 'Open'", false),
            (r"Name = 'x\' OR Name != \''", false),
        ] {
            assert_eq!(fits(condition, &record), expected, "{condition}");
        }
        let old = json!({"Open_Date__c": "2021-01-31T23:59:59.000+0000"});
        assert!(!fits("Open_Date__c >= LAST_MONTH", &old));
        assert!(!fits("Open_Date__c >= LAST_MONTH", &json!({"Open_Date__c": null})));
    }

    #[test]
    fn what_salesforce_refuses_is_refused() {
        for soql in [
            "",
            "SELECT",
            "SELECT Id",
            "SELECT Id FROM Service__c WHERE",
            "SELECT Id FROM Service__c WHERE Name",
            "SELECT Id FROM Service__c WHERE Name = 'S-1",
            "SELECT Id FROM Service__c WHERE Name = 'S-1' OR Name != ''",
            r"SELECT Id FROM Service__c WHERE Name = '\x'",
            "SELECT Id FROM Service__c WHERE Name IN ()",
            "SELECT Id FROM Service__c; --",
        ] {
            assert!(matches!(Query::parse(soql), Err(RecordError::Malformed(_))), "{soql}");
        }
        let unknown = Query::parse("SELECT Nope__c FROM Service__c");
        assert_eq!(unknown, Err(RecordError::NoSuchField("Nope__c".to_owned())));
        let object = Query::parse("SELECT Id FROM Account");
        assert_eq!(object, Err(RecordError::NoSuchObject("Account".to_owned())));
    }
}
