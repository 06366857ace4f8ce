//! The dispatches that are there from the first moment.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use crate::world::World;
use crate::world::inventory::Site;

/// How many dispatches there are.
const COUNT: usize = 15;
const STATUSES: [&str; 5] = ["New Dispatch", "Request Confirmed", "Tech Arrived", "Close Out", "Cancelled"];
const FIRST_TICKET: usize = 4_000_001;

/// Dispatches at the first sites, in every status.
pub(super) fn dispatches(world: &World) -> Vec<Map<String, Value>> {
    let now = world.now();
    world.inventory(|inventory| {
        let mut sites: Vec<&Site> = inventory.sites.values().collect();
        sites.sort_by_key(|site| site.id);
        let made = sites.iter().take(COUNT).zip(STATUSES.iter().cycle()).enumerate();
        made.map(|(place, (site, status))| {
            let days = TimeDelta::days(i64::try_from(place).unwrap_or_default());
            let date = (now - days + TimeDelta::days(2)).date_naive();
            let confirmed = !matches!(*status, "New Dispatch" | "Cancelled");
            let arrived = matches!(*status, "Tech Arrived" | "Close Out");
            let zone = if site.time_zone.is_empty() { "Eastern" } else { site.time_zone };
            let fields = json!({
                "Dispatch_Status": status,
                "Date_of_Dispatch": date.to_string(),
                "Local_Time_of_Dispatch": "4PM-6PM",
                "Hard_Time_of_Dispatch_Local": "4PM-6PM",
                "Time_Zone_Local": format!("{zone} Time"),
                "Hard_Time_of_Dispatch_Time_Zone_Local": format!("{zone} Time"),
                "MetTel_Bruin_TicketID": (FIRST_TICKET + place).to_string(),
                "Job_Site": site.label,
                "Job_Site_Street": site.address,
                "Job_Site_City": site.city,
                "Job_Site_State": site.state,
                "Job_Site_Zip_Code": site.zip,
                "Job_Site_Contact_Name_and_Phone_Number": format!("{} {}", site.contact_name, site.contact_phone),
                "Scope_of_Work": "Device is not reachable",
                "Site_Survey_Quote_Required": false,
                "Name_of_MetTel_Requester": "Sandbox Requester",
                "MetTel_Department": "Customer Care",
                "Tech_First_Name": confirmed.then_some("Robin"),
                "Tech_Mobile_Number": confirmed.then_some("+1 212 555 0198"),
                "Tech_Arrived_On_Site": arrived,
                "Time_of_Check_In": arrived.then_some("4:05"),
                "Tech_Off_Site": *status == "Close Out",
            });
            fields.as_object().cloned().unwrap_or_default()
        })
        .collect()
    })
}
