//! The dispatches that are there from the first moment.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::records::time;
use crate::world::World;
use crate::world::inventory::Site;

/// How many dispatches there are.
const COUNT: usize = 14;
const STATUSES: [&str; 7] =
    ["Open", "Scheduled", "On Site", "Completed", "Complete Pending Collateral", "Canceled", "Invoiced"];
const FIRST_TICKET: usize = 4_100_001;

/// Dispatches at the first sites, in every status. Every other one was ordered through the portal.
pub(super) fn records(world: &World) -> Vec<Map<String, Value>> {
    let now = world.now();
    world.inventory(|inventory| {
        let mut sites: Vec<&Site> = inventory.sites.values().collect();
        sites.sort_by_key(|site| site.id);
        let made = sites.iter().take(COUNT).zip(STATUSES.iter().cycle()).enumerate();
        made.map(|(place, (site, status))| {
            let days = TimeDelta::days(i64::try_from(place).unwrap_or_default());
            let (opened, on_site) = (now - days - TimeDelta::days(1), now - days + TimeDelta::days(2));
            let assigned = !matches!(*status, "Open" | "Canceled");
            let arrived = !matches!(*status, "Open" | "Scheduled" | "Canceled");
            let zone = if site.time_zone.is_empty() { "Eastern" } else { site.time_zone };
            let mut description = vec![
                format!("Onsite Time Needed: {}", on_site.format("%Y-%m-%d %-I.%M%p")),
                format!("Onsite Timezone: {zone} Time"),
                format!("Location: {}, {}, {} {}", site.address, site.city, site.state, site.zip),
                format!("Site Contact: {}", site.contact_name),
                format!("Contact #: {}", site.contact_phone),
            ];
            if place % 2 == 0 {
                description.push(format!("IGZ Dispatch Number: IGZ{:0>22}", place + 2));
            }
            let fields = json!({
                "Status__c": status,
                "Open_Date__c": time(opened),
                "Ext_Ref_Num__c": (FIRST_TICKET + place).to_string(),
                "Local_Site_Time__c": time(on_site),
                "Lookup_Location_Owner__c": site.label,
                "Street__c": site.address,
                "City__c": site.city,
                "State__c": site.state,
                "Zip__c": site.zip,
                "Country__c": "United States",
                "Service_Type__c": "Troubleshooting",
                "Issue_Summary__c": "Device is not reachable",
                "Description__c": description.join("\r\n"),
                "API_Resource_Name__c": assigned.then_some("Terry Tech"),
                "Resource_Phone_Number__c": assigned.then_some("+1 212 555 0199"),
                "Check_In_Date__c": arrived.then(|| time(on_site)),
            });
            fields.as_object().cloned().unwrap_or_default()
        })
        .collect()
    })
}
