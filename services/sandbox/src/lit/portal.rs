//! LIT's dispatches and the files that are attached to them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;
use utoipa::ToSchema;

use super::generate;
use crate::world::World;

/// The largest file in bytes that LIT takes.
pub const LARGEST_FILE: usize = 5 << 20;
/// Files that are kept, for all dispatches together; the oldest go first.
const FILES_KEPT: usize = 50;
/// Dispatches that are kept; the oldest go first, so that who orders without end does not fill the list of the open ones.
const DISPATCHES_KEPT: usize = 250;
const FIRST_NUMBER: usize = 10_001;

/// The fields of a dispatch, in order.
pub const FIELDS: [&str; 35] = [
    "turn_up",
    "Time_Zone_Local",
    "Time_of_Check_Out",
    "Time_of_Check_In",
    "Tech_Off_Site",
    "Tech_Mobile_Number",
    "Tech_First_Name",
    "Tech_Arrived_On_Site",
    "Special_Materials_Needed_for_Dispatch",
    "Special_Dispatch_Notes",
    "Site_Survey_Quote_Required",
    "Scope_of_Work",
    "Name_of_MetTel_Requester",
    "MetTel_Tech_Call_In_Instructions",
    "MetTel_Requester_Email",
    "MetTel_Note_Updates",
    "MetTel_Group_Email",
    "MetTel_Department_Phone_Number",
    "MetTel_Department",
    "MetTel_Bruin_TicketID",
    "Local_Time_of_Dispatch",
    "Job_Site_Zip_Code",
    "Job_Site_Street",
    "Job_Site_State",
    "Job_Site_Contact_Name_and_Phone_Number",
    "Job_Site_City",
    "Job_Site",
    "Information_for_Tech",
    "Hard_Time_of_Dispatch_Time_Zone_Local",
    "Hard_Time_of_Dispatch_Local",
    "Dispatch_Status",
    "Dispatch_Number",
    "Date_of_Dispatch",
    "Close_Out_Notes",
    "Backup_MetTel_Department_Phone_Number",
];
/// What LIT itself decides.
const READ_ONLY: [&str; 2] = ["Dispatch_Status", "Dispatch_Number"];

/// A dispatch: every field there is, many of them null.
#[derive(Debug, Clone, PartialEq)]
pub struct LitDispatch(pub Map<String, Value>);

impl LitDispatch {
    /// Text of a field; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// The dispatch's number.
    pub fn number(&self) -> &str {
        self.text("Dispatch_Number")
    }
}

/// A file attached to a dispatch.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct File {
    /// Its id.
    pub id: String,
    /// The dispatch's number.
    pub dispatch: String,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// The content as it was sent.
    #[serde(skip)]
    pub content: Bytes,
}

/// A refusal, as LIT words it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PortalError {
    /// No such dispatch.
    #[error("List has no rows for assignment to SObject")]
    Unknown,
    /// A date that is none.
    #[error("Invalid date: {0}")]
    InvalidDate(String),
    /// A field without which LIT does nothing.
    #[error("Required fields are missing: [{0}]")]
    Missing(&'static str),
    /// A file that is too large.
    #[error(
        "Insert failed. First exception on row 0; first error: MAXIMUM_SIZE_OF_ATTACHMENT, the file exceeds {0} bytes"
    )]
    TooLarge(usize),
    /// A field that there is not; people at LIT only.
    #[error("no field {0}")]
    NoSuchField(String),
}

/// What happens to a dispatch at LIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A technician is assigned: `Request Confirmed`.
    Confirm,
    /// The technician checks in: `Tech Arrived`.
    Arrive,
    /// The technician checks out: `Close Out`.
    Close,
    /// `Cancelled`.
    Cancel,
}

/// All dispatches and files. Clones share them.
#[derive(Clone)]
pub struct Portal(Arc<Mutex<Inner>>);

struct Inner {
    dispatches: Vec<LitDispatch>,
    files: VecDeque<File>,
    numbered: usize,
    attached: usize,
    calls: usize,
}

impl Portal {
    /// Some dispatches at the sites of this world, in every state.
    pub fn new(world: &World) -> Self {
        let inner = Inner {
            dispatches: Vec::new(),
            files: VecDeque::new(),
            numbered: FIRST_NUMBER,
            attached: 0,
            calls: 0,
        };
        let portal = Self(Arc::new(Mutex::new(inner)));
        for fields in generate::dispatches(world) {
            portal.0.lock().add(fields);
        }
        portal
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<LitDispatch> {
        self.0.lock().dispatches.clone()
    }

    /// Those that LIT lists: all but the closed ones.
    pub fn open(&self) -> Vec<LitDispatch> {
        let open = |dispatch: &&LitDispatch| dispatch.text("Dispatch_Status") != "Close Out";
        self.0.lock().dispatches.iter().filter(open).cloned().collect()
    }

    /// The one with this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(&self, number: &str) -> Result<LitDispatch, PortalError> {
        let inner = self.0.lock();
        inner.dispatches.iter().find(|one| one.number() == number).cloned().ok_or(PortalError::Unknown)
    }

    /// Changes any field by its exact name, as people at LIT do.
    ///
    /// # Errors
    /// When there is no such dispatch or field.
    pub fn change(&self, number: &str, fields: Map<String, Value>) -> Result<LitDispatch, PortalError> {
        if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(PortalError::NoSuchField(unknown.clone()));
        }
        self.0.lock().change(number, fields)
    }

    /// Removes a dispatch; false: there is none.
    pub fn remove(&self, number: &str) -> bool {
        let mut inner = self.0.lock();
        let before = inner.dispatches.len();
        inner.dispatches.retain(|dispatch| dispatch.number() != number);
        inner.dispatches.len() != before
    }

    /// Takes a dispatch a step further.
    ///
    /// # Errors
    /// When there is none.
    pub fn step(&self, number: &str, step: Step, local_time: &str) -> Result<LitDispatch, PortalError> {
        let fields = match step {
            Step::Confirm => json!({
                "Dispatch_Status": "Request Confirmed", "Tech_First_Name": "Robin",
                "Tech_Mobile_Number": "+1 212 555 0198", "Tech_Arrived_On_Site": false, "Tech_Off_Site": false,
            }),
            Step::Arrive => json!({
                "Dispatch_Status": "Tech Arrived", "Tech_Arrived_On_Site": true, "Time_of_Check_In": local_time,
            }),
            Step::Close => json!({
                "Dispatch_Status": "Close Out", "Tech_Off_Site": true, "Time_of_Check_Out": local_time,
            }),
            Step::Cancel => json!({"Dispatch_Status": "Cancelled"}),
        };
        self.0.lock().change(number, fields.as_object().cloned().unwrap_or_default())
    }

    /// The files of a dispatch that are still kept, oldest first.
    pub fn files(&self, number: &str) -> Vec<File> {
        self.0.lock().files.iter().filter(|file| file.dispatch == number).cloned().collect()
    }

    /// Orders a dispatch. Keys may be in any case, what LIT does not know is ignored.
    ///
    /// # Errors
    /// When the ticket is missing or the date is none.
    pub fn create(&self, order: &Map<String, Value>) -> Result<LitDispatch, PortalError> {
        let mut fields = vendor_fields(order)?;
        let ticket = fields.get("MetTel_Bruin_TicketID");
        if ticket.is_none_or(|ticket| matches!(ticket, Value::Null) || ticket == "") {
            return Err(PortalError::Missing("MetTel_Bruin_TicketID"));
        }
        fields.insert("Dispatch_Status".to_owned(), json!("New Dispatch"));
        Ok(self.0.lock().add(fields))
    }

    /// Changes a dispatch as its customer; `dispatch_number` and the fields in any case.
    pub(super) fn update(&self, change: &Map<String, Value>) -> Result<LitDispatch, PortalError> {
        let number = change.iter().find(|(key, _)| key.eq_ignore_ascii_case("dispatch_number"));
        let number = number.and_then(|(_, number)| number.as_str()).ok_or(PortalError::Unknown)?;
        self.0.lock().change(number, vendor_fields(change)?)
    }

    /// Notes that the customer wants to cancel; people at LIT then do it. The number.
    pub(super) fn request_cancellation(&self, request: &Map<String, Value>) -> Result<String, PortalError> {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = text("Dispatch_Number");
        let note = format!(
            "Cancellation requested by {}: {}",
            text("Cancellation_Requested_By"),
            text("Cancellation_Reason")
        );
        let fields = Map::from_iter([("MetTel_Note_Updates".to_owned(), json!(note))]);
        self.0.lock().change(number, fields)?;
        Ok(number.to_owned())
    }

    /// Attaches a file.
    pub(super) fn attach(
        &self,
        number: &str,
        name: &str,
        content_type: &str,
        content: Bytes,
    ) -> Result<File, PortalError> {
        let mut inner = self.0.lock();
        if !inner.dispatches.iter().any(|dispatch| dispatch.number() == number) {
            return Err(PortalError::Unknown);
        }
        if name.is_empty() {
            return Err(PortalError::Missing("Name"));
        }
        if content.len() > LARGEST_FILE {
            return Err(PortalError::TooLarge(LARGEST_FILE));
        }
        inner.attached += 1;
        let file = File {
            id: format!("00P00000{:07}AAA", inner.attached),
            dispatch: number.to_owned(),
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            bytes: content.len(),
            content,
        };
        if inner.files.len() >= FILES_KEPT {
            inner.files.pop_front();
        }
        inner.files.push_back(file.clone());
        Ok(file)
    }

    /// The id of the next call.
    pub(super) fn next_call(&self) -> String {
        let mut inner = self.0.lock();
        inner.calls += 1;
        format!("a1300000{:07}AAA", inner.calls)
    }
}

impl Inner {
    fn add(&mut self, fields: Map<String, Value>) -> LitDispatch {
        let mut dispatch =
            LitDispatch(FIELDS.iter().map(|field| ((*field).to_owned(), Value::Null)).collect());
        dispatch.0.extend(fields);
        dispatch.0.insert("Dispatch_Number".to_owned(), json!(format!("DIS{}", self.numbered)));
        self.numbered += 1;
        if self.dispatches.len() >= DISPATCHES_KEPT {
            self.dispatches.remove(0);
        }
        self.dispatches.push(dispatch.clone());
        dispatch
    }

    fn change(&mut self, number: &str, fields: Map<String, Value>) -> Result<LitDispatch, PortalError> {
        let dispatch = self.dispatches.iter_mut().find(|dispatch| dispatch.number() == number);
        let dispatch = dispatch.ok_or(PortalError::Unknown)?;
        dispatch.0.extend(fields);
        Ok(dispatch.clone())
    }
}

/// The fields that a customer gives, spelled as LIT spells them.
fn vendor_fields(given: &Map<String, Value>) -> Result<Map<String, Value>, PortalError> {
    let mut fields = Map::new();
    for (key, value) in given {
        let Some(field) = FIELDS.into_iter().find(|field| field.eq_ignore_ascii_case(key)) else { continue };
        if READ_ONLY.contains(&field) {
            continue;
        }
        let date = value.as_str().filter(|_| field == "Date_of_Dispatch");
        if let Some(date) = date.filter(|date| date.parse::<chrono::NaiveDate>().is_err()) {
            return Err(PortalError::InvalidDate(date.to_owned()));
        }
        fields.insert(field.to_owned(), value.clone());
    }
    Ok(fields)
}
