//! What is asked of CTS: the queries in Salesforce's language (spec, "Calls" and "Formats"). Pure.

use std::fmt::Write;

/// The fields of a record that are asked for in production, in order.
pub const FIELDS: [&str; 69] = [
    "Id",
    "Name",
    PRODUCTION_ONLY,
    "Billing_Invoice_Date__c",
    "Billing_Invoice_Number__c",
    "Billing_Total__c",
    "Carrier__c",
    "Carrier_ID_Num__c",
    "Check_In_Date__c",
    "Check_Out_Date__c",
    "City__c",
    "Confirmed__c",
    "Country__c",
    "Description__c",
    "Duration_Onsite__c",
    "Early_Start__c",
    "Ext_Ref_Num__c",
    "Finance_Notes__c",
    "Issue_Summary__c",
    "Lift_Delivery_Date__c",
    "Lift_Release_Date__c",
    "Lift_Vendor__c",
    "Local_Site_Time__c",
    "Account__c",
    "Lookup_Location_Owner__c",
    "On_Site_Elapsed_Time__c",
    "On_Time_Auto__c",
    "Open_Date__c",
    "P1__c",
    "P10__c",
    "P10A__c",
    "P11__c",
    "P11A__c",
    "P12__c",
    "P12A__c",
    "P13__c",
    "P13A__c",
    "P14__c",
    "P14A__c",
    "P15__c",
    "P15A__c",
    "P1A__c",
    "P2__c",
    "P2A__c",
    "P3__c",
    "P3A__c",
    "P4__c",
    "P4A__c",
    "P5__c",
    "P5A__c",
    "P6__c",
    "P6A__c",
    "P7__c",
    "P7A__c",
    "P8__c",
    "P8A__c",
    "P9__c",
    "P9A__c",
    "Resource_Assigned_Timestamp__c",
    "Resource_Email__c",
    "Resource_Phone_Number__c",
    "Site_Notes__c",
    "Site_Status__c",
    "Special_Shipping_Instructions__c",
    "Street__c",
    "Status__c",
    "Resource_Trained__c",
    "Service_Type__c",
    "Zip__c",
];
/// Only CTS's production organisation has this field.
const PRODUCTION_ONLY: &str = "API_Resource_Name__c";

/// Writes the queries for one organisation.
#[derive(Debug)]
pub struct Soql {
    fields: String,
}

impl Soql {
    /// For CTS's production organisation, or for another one.
    pub fn new(production: bool) -> Self {
        let fields: Vec<&str> =
            FIELDS.into_iter().filter(|field| production || *field != PRODUCTION_ONLY).collect();
        Self { fields: fields.join(",") }
    }

    /// The dispatch with this number.
    pub fn one(&self, number: &str) -> String {
        format!("SELECT {} FROM Service__c WHERE Name = '{}'", self.fields, Literal(number))
    }

    /// All dispatches that matter, from the first day of the previous month on.
    pub fn all(&self) -> String {
        format!(
            "SELECT {} FROM Service__c WHERE Status__c IN ('Open','Scheduled','On Site','Completed',\
             'Complete Pending Collateral','Canceled') AND Open_Date__c >= LAST_MONTH",
            self.fields
        )
    }
}

/// A text between quotes (Improve): nothing in it ends the quotation.
struct Literal<'a>(&'a str);

impl std::fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\'' | '\\' => write!(f, "\\{letter}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_specification() {
        let fields = Soql::new(true).fields;
        assert!(fields.starts_with("Id,Name,API_Resource_Name__c,Billing_Invoice_Date__c,"), "{fields}");
        assert!(fields.contains(",Open_Date__c,P1__c,P10__c,P10A__c,"), "{fields}");
        assert!(fields.contains(",P9A__c,Resource_Assigned_Timestamp__c,"), "{fields}");
        assert!(fields.ends_with(",Service_Type__c,Zip__c"), "{fields}");
        let numbered = FIELDS.iter().filter(|field| field.starts_with('P') && field.ends_with("__c"));
        assert_eq!(numbered.count(), 30);
        for kept_out in ["Trained_3rd_Party__c", "Service_Order__c", "Resource__c", "State__c"] {
            assert!(!FIELDS.contains(&kept_out), "{kept_out}");
        }
        let elsewhere = Soql::new(false).fields;
        assert_eq!(elsewhere.split(',').count(), 68);
        assert_eq!(elsewhere, fields.replace("API_Resource_Name__c,", ""));
    }

    #[test]
    fn queries_are_as_specified() {
        let soql = Soql::new(false);
        let one = soql.one("S-123456");
        assert!(one.starts_with("SELECT Id,Name,Billing_Invoice_Date__c,"), "{one}");
        assert!(one.ends_with(",Zip__c FROM Service__c WHERE Name = 'S-123456'"), "{one}");
        let all = soql.all();
        assert!(
            all.ends_with(
                " FROM Service__c WHERE Status__c IN ('Open','Scheduled','On Site','Completed',\
                 'Complete Pending Collateral','Canceled') AND Open_Date__c >= LAST_MONTH"
            ),
            "{all}"
        );
    }

    #[test]
    fn a_number_cannot_leave_its_quotes() {
        for (number, quoted) in [
            ("", ""),
            ("' OR Name != '", r"\' OR Name != \'"),
            (r"\' OR Id != null --", r"\\\' OR Id != null --"),
            ("a\nb\r\t", r"a\nb\r\t"),
            ("é%", "é%"),
        ] {
            let query = Soql::new(true).one(number);
            assert!(query.ends_with(&format!(" WHERE Name = '{quoted}'")), "{query}");
        }
    }
}
