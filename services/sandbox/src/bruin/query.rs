//! Query parameters: names in any case, values possibly repeated.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use http::request::Parts;

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// All values of a parameter.
    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter; empty counts as absent.
    pub(super) fn first<'q>(&'q self, name: &'q str) -> Option<&'q str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// A number. `Some(Err)`: present but no number, which matches nothing.
    pub(super) fn number(&self, name: &str) -> Option<Result<i64, ()>> {
        self.first(name).map(|text| text.trim().parse().map_err(drop))
    }

    /// An instant.
    pub(super) fn instant(&self, name: &str) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(self.first(name)?).ok().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_values_repeat() {
        let query = Query::parse("TicketStatus=New&ticketstatus=In%20Progress&ClientId=30000&SiteId=x&A=");
        assert_eq!(query.all("TicketStatus").collect::<Vec<_>>(), ["New", "In Progress"]);
        assert_eq!(query.number("clientid"), Some(Ok(30_000)));
        assert_eq!(query.number("SiteId"), Some(Err(())));
        assert_eq!(query.number("Nothing"), None);
        assert_eq!(query.first("A"), None);
    }
}
