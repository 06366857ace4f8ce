//! CTS's records, and the cursors of results that have more than one page.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;
use utoipa::ToSchema;

use super::generate;
use super::schema::{DESCRIBED, FIELDS, ORDERED, READ_ONLY};
use super::soql::Query;
use crate::world::World;

/// Records on one page of a result.
const PAGE: usize = 2_000;
/// Results that are kept for further pages; the oldest goes first, as in Salesforce.
const CURSORS: usize = 10;
/// Records that are kept; the oldest go first, so that who orders without end does not fill the list.
const RECORDS_KEPT: usize = 250;
const FIRST_NUMBER: usize = 100_001;

/// A `Service__c` record: every field there is, most of them null.
#[derive(Debug, Clone, PartialEq)]
pub struct Record(pub Map<String, Value>);

impl Record {
    /// Text of a field; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        self.text("Id")
    }

    /// The dispatch number.
    pub fn number(&self) -> &str {
        self.text("Name")
    }

    /// The record with these fields only, as the answer to a query has it.
    fn selected(&self, fields: &[&str]) -> Value {
        let url = format!("/services/data/v42.0/sobjects/Service__c/{}", self.id());
        let attributes = ("attributes".to_owned(), json!({"type": "Service__c", "url": url}));
        let value = |field: &&str| ((*field).to_owned(), self.0.get(*field).cloned().unwrap_or_default());
        std::iter::once(attributes).chain(fields.iter().map(value)).collect()
    }
}

/// Why something is refused, as Salesforce words it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// No such record.
    #[error("The requested resource does not exist")]
    Unknown,
    /// No such field.
    #[error("No such column '{0}' on sobject of type Service__c")]
    NoSuchField(String),
    /// A field that cannot be set.
    #[error("Unable to create/update fields: {0}. Please check the security settings of this field.")]
    ReadOnly(String),
    /// Not a query.
    #[error("{0}")]
    Malformed(String),
    /// No such kind of records.
    #[error("sObject type '{0}' is not supported.")]
    NoSuchObject(String),
    /// The further pages of a result are gone.
    #[error("invalid query locator")]
    NoSuchCursor,
}

/// What happens to a dispatch at CTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A technician is assigned: `Scheduled`.
    Schedule,
    /// The technician checks in: `On Site`.
    Arrive,
    /// The technician checks out: `Completed`.
    Complete,
    /// `Canceled`.
    Cancel,
}

/// All records. Clones share them.
#[derive(Clone)]
pub struct Records(Arc<Mutex<Inner>>);

struct Inner {
    records: Vec<Record>,
    page: usize,
    cursors: VecDeque<(String, Vec<Value>)>,
    opened: usize,
    numbered: usize,
}

impl Records {
    /// Some dispatches at the sites of this world, in every state.
    pub fn new(world: &World) -> Self {
        let inner = Inner {
            records: Vec::new(),
            page: PAGE,
            cursors: VecDeque::new(),
            opened: 0,
            numbered: FIRST_NUMBER,
        };
        let records = Self(Arc::new(Mutex::new(inner)));
        for fields in generate::records(world) {
            records.0.lock().add(fields);
        }
        records
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Record> {
        self.0.lock().records.clone()
    }

    /// The one with this number.
    pub fn named(&self, number: &str) -> Option<Record> {
        self.0.lock().records.iter().find(|record| record.number() == number).cloned()
    }

    /// Adds a record with these fields, which must exist.
    pub fn add(&self, fields: Map<String, Value>) -> Result<Record, RecordError> {
        check(&fields)?;
        Ok(self.0.lock().add(fields))
    }

    /// Changes a record by its number; `None`: there is none.
    pub fn change(&self, number: &str, fields: &Map<String, Value>) -> Result<Record, RecordError> {
        check(fields)?;
        self.0.lock().change(|record| record.number() == number, fields)
    }

    /// Removes a record by its number; false: there is none.
    pub fn remove(&self, number: &str) -> bool {
        let mut inner = self.0.lock();
        let before = inner.records.len();
        inner.records.retain(|record| record.number() != number);
        inner.records.len() != before
    }

    /// Takes a dispatch a step further.
    pub fn step(&self, number: &str, step: Step, now: DateTime<Utc>) -> Result<Record, RecordError> {
        let fields = match step {
            Step::Schedule => json!({
                "Status__c": "Scheduled", "API_Resource_Name__c": "Terry Tech",
                "Resource_Phone_Number__c": "+1 212 555 0199", "Resource_Email__c": "terry@cts.sandbox.example",
                "Resource_Assigned_Timestamp__c": time(now), "Confirmed__c": true,
            }),
            Step::Arrive => json!({"Status__c": "On Site", "Check_In_Date__c": time(now)}),
            Step::Complete => json!({"Status__c": "Completed", "Check_Out_Date__c": time(now)}),
            Step::Cancel => json!({"Status__c": "Canceled"}),
        };
        let fields = fields.as_object().cloned().unwrap_or_default();
        self.change(number, &fields)
    }

    /// How many records a page has from now on.
    pub fn set_page(&self, records: usize) {
        self.0.lock().page = records.max(1);
    }

    /// Creates a record from an order; `None` when it names no ticket, which CTS does not save.
    pub(super) fn create(
        &self,
        order: &Map<String, Value>,
        now: DateTime<Utc>,
    ) -> Result<Option<Record>, RecordError> {
        let mut fields = Map::new();
        let mut description = Vec::new();
        for (key, value) in order {
            if key.ends_with("__c") || READ_ONLY.contains(&key.as_str()) {
                check_field(key)?;
                fields.insert(key.clone(), value.clone());
            }
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some((_, field)) = ORDERED.iter().find(|(ordered, _)| ordered == key) {
                fields.insert((*field).to_owned(), json!(value));
            }
            if let Some((_, label)) = DESCRIBED.iter().find(|(described, _)| described == key) {
                description.push(format!("{label}: {value}"));
            }
        }
        let ticket = fields.get("Ext_Ref_Num__c").and_then(Value::as_str).unwrap_or_default();
        if ticket.is_empty() || ticket == "null" {
            return Ok(None);
        }
        fields.insert("Status__c".to_owned(), json!("Open"));
        fields.insert("Open_Date__c".to_owned(), json!(time(now)));
        fields.insert("Description__c".to_owned(), json!(description.join("\r\n")));
        Ok(Some(self.0.lock().add(fields)))
    }

    /// Changes a record by its id.
    pub(super) fn update(&self, id: &str, fields: &Map<String, Value>) -> Result<(), RecordError> {
        check(fields)?;
        self.0.lock().change(|record| record.id() == id, fields).map(drop)
    }

    /// The first page of a query's result.
    pub(super) fn query(&self, soql: &str, now: DateTime<Utc>) -> Result<Value, RecordError> {
        let query = Query::parse(soql)?;
        let mut inner = self.0.lock();
        let found = inner.records.iter().filter(|record| query.fits(record, now));
        let found: Vec<Value> = found.map(|record| record.selected(&query.fields)).collect();
        inner.opened += 1;
        let cursor = format!("01g0000000SANDBOX{:04}", inner.opened);
        let page = page(&cursor, &found, 0, inner.page);
        if found.len() > inner.page {
            if inner.cursors.len() >= CURSORS {
                inner.cursors.pop_front();
            }
            inner.cursors.push_back((cursor, found));
        }
        Ok(page)
    }

    /// A further page, by what follows `/query/` in `nextRecordsUrl`.
    pub(super) fn next_page(&self, locator: &str) -> Result<Value, RecordError> {
        let (cursor, from) = locator.rsplit_once('-').ok_or(RecordError::NoSuchCursor)?;
        let from: usize = from.parse().map_err(|_| RecordError::NoSuchCursor)?;
        let inner = self.0.lock();
        let (_, found) =
            inner.cursors.iter().find(|(known, _)| known == cursor).ok_or(RecordError::NoSuchCursor)?;
        Ok(page(cursor, found, from, inner.page))
    }
}

fn page(cursor: &str, found: &[Value], from: usize, size: usize) -> Value {
    let records: Vec<&Value> = found.iter().skip(from).take(size).collect();
    let (total, next) = (found.len(), from.saturating_add(size));
    if next >= total {
        return json!({"totalSize": total, "done": true, "records": records});
    }
    let url = format!("/services/data/v42.0/query/{cursor}-{next}");
    json!({"totalSize": total, "done": false, "nextRecordsUrl": url, "records": records})
}

impl Inner {
    fn add(&mut self, fields: Map<String, Value>) -> Record {
        let mut record = Record(FIELDS.iter().map(|field| ((*field).to_owned(), Value::Null)).collect());
        record.0.extend(fields);
        record.0.insert("Id".to_owned(), json!(format!("a26000000{:06}AAA", self.numbered)));
        record.0.insert("Name".to_owned(), json!(format!("S-{}", self.numbered)));
        self.numbered += 1;
        if self.records.len() >= RECORDS_KEPT {
            self.records.remove(0);
        }
        self.records.push(record.clone());
        record
    }

    fn change(
        &mut self,
        which: impl Fn(&Record) -> bool,
        fields: &Map<String, Value>,
    ) -> Result<Record, RecordError> {
        let record = self.records.iter_mut().find(|record| which(record)).ok_or(RecordError::Unknown)?;
        record.0.extend(fields.clone());
        Ok(record.clone())
    }
}

fn check(fields: &Map<String, Value>) -> Result<(), RecordError> {
    fields.keys().try_for_each(|field| check_field(field))
}

fn check_field(field: &str) -> Result<(), RecordError> {
    if READ_ONLY.contains(&field) {
        return Err(RecordError::ReadOnly(field.to_owned()));
    }
    if FIELDS.contains(&field) { Ok(()) } else { Err(RecordError::NoSuchField(field.to_owned())) }
}

/// As Salesforce writes an instant.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}
