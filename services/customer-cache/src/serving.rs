//! Answering `customer.cache.get` (spec `customer-cache`, "Serves" and Behaviour 7).
//!
//! Every answer is made from what Redis holds at that moment.

use std::sync::Arc;

use bus::{Reply, StoreError};
use caching::Entry as _;
use chrono::{DateTime, Utc};
use contracts::{customer_cache::CacheFilter, instant};
use serde_json::value::RawValue;

use crate::{entry::Entry, store::Store};

/// Answers requests for cached edges.
pub struct Serving {
    store: Store,
    hosts: Vec<String>,
}

impl Serving {
    /// Serves from `store`; `hosts` are what an empty filter means, in configuration order.
    pub fn new(store: Store, hosts: Vec<String>) -> Self {
        Self { store, hosts }
    }

    /// Answers one request. Status 503 when the store cannot be read.
    pub async fn answer(&self, wanted: CacheFilter) -> Reply {
        match self.edges(&wanted).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(%error, "the customer-cache Redis cannot be read: check REDIS_CUSTOMER_CACHE_HOSTNAME");
                Reply::text(503, "The cache's store cannot be read at the moment")
            }
        }
    }

    async fn edges(&self, wanted: &CacheFilter) -> Result<Reply, StoreError> {
        let all: Vec<i64> = Vec::new();
        let hosts: Vec<(&String, &Vec<i64>)> = if wanted.filter.is_empty() {
            self.hosts.iter().map(|host| (host, &all)).collect()
        } else {
            wanted.filter.iter().collect()
        };
        let mut lists = Vec::with_capacity(hosts.len());
        for (host, enterprises) in &hosts {
            lists.push((self.store.entries(host).await?, *enterprises));
        }
        let since = wanted.last_contact_filter.as_deref().and_then(instant::parse);
        let selected = select(&lists, since);
        let without: Vec<&str> = hosts
            .iter()
            .zip(&lists)
            .filter(|(_, (list, _))| list.is_empty())
            .map(|((host, _), _)| host.as_str())
            .collect();
        Ok(match selected {
            Selected::Edges(edges) => {
                if !without.is_empty() {
                    tracing::warn!(hosts = without.join(", "), "served without hosts that have no list");
                }
                Reply::json(200, &edges)
            }
            Selected::NothingStored => {
                let names: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
                Reply::text(202, &format!("Cache is still being built for host(s): {}", names.join(", ")))
            }
            Selected::NothingRecent => Reply::text(404, "No edges were found for the specified filters"),
        })
    }
}

/// What a request selects.
#[derive(Debug)]
enum Selected<'a> {
    /// The texts of the selected edges.
    Edges(Vec<&'a RawValue>),
    /// The lists are empty, or no edge is of the wanted enterprises: 202, on which callers depend.
    NothingStored,
    /// Nothing is left after the last-contact filter.
    NothingRecent,
}

/// Applies the filters, in the order which the specification gives.
fn select<'a>(lists: &'a [(Arc<Vec<Entry>>, &Vec<i64>)], since: Option<DateTime<Utc>>) -> Selected<'a> {
    let of_enterprises: Vec<&Entry> = lists
        .iter()
        .flat_map(|(list, ids)| {
            list.iter().filter(|entry| ids.is_empty() || ids.contains(&entry.edge.enterprise_id))
        })
        .collect();
    if of_enterprises.is_empty() {
        return Selected::NothingStored;
    }
    let recent: Vec<&RawValue> = of_enterprises
        .into_iter()
        .filter(|entry| since.is_none_or(|since| entry.last_contact.is_some_and(|contact| contact > since)))
        .map(Entry::text)
        .collect();
    if recent.is_empty() { Selected::NothingRecent } else { Selected::Edges(recent) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(edges: &[(&str, i64, Option<&str>)]) -> Arc<Vec<Entry>> {
        let entries = edges.iter().map(|(serial, enterprise, contact)| {
            let json = json!({
                "edge": {"host": "h", "enterprise_id": enterprise, "edge_id": 1},
                "serial_number": serial, "last_contact": contact
            });
            Entry::read(serde_json::value::to_raw_value(&json).unwrap()).unwrap()
        });
        Arc::new(entries.collect())
    }

    fn serials(selected: &Selected<'_>) -> Vec<String> {
        let Selected::Edges(edges) = selected else { return vec![format!("{selected:?}")] };
        edges.iter().map(|raw| Entry::read((*raw).to_owned()).unwrap().serial.0).collect()
    }

    #[test]
    fn hosts_and_enterprises_are_selected_in_order() {
        let (none, some) = (vec![], vec![2]);
        let lists = [
            (list(&[("A", 1, None), ("B", 2, None)]), &some),
            (list(&[("C", 1, None), ("D", 2, None)]), &none),
        ];
        assert_eq!(serials(&select(&lists, None)), ["B", "C", "D"]);
    }

    #[test]
    fn an_enterprise_without_edges_counts_as_not_built() {
        let ids = vec![99];
        assert!(matches!(select(&[(list(&[("A", 1, None)]), &ids)], None), Selected::NothingStored));
        assert!(matches!(select(&[], None), Selected::NothingStored));
    }

    #[test]
    fn only_strictly_later_contacts_are_recent_and_unreadable_ones_are_not() {
        let none = vec![];
        let lists = [(
            list(&[
                ("before", 1, Some("2022-01-24 11:59:59")),
                ("equal", 1, Some("2022-01-24T12:00:00Z")),
                ("after", 1, Some("2022-01-24T07:00:00.001-05:00")),
                ("null", 1, None),
                ("zero", 1, Some("0000-00-00 00:00:00")),
            ]),
            &none,
        )];
        assert_eq!(serials(&select(&lists, instant::parse("2022-01-24 12:00:00"))), ["after"]);
        assert!(matches!(select(&lists, instant::parse("2099-01-01")), Selected::NothingRecent));
    }
}
