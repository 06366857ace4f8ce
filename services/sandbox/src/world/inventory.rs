//! What Bruin knows of clients, their sites and their assets.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

/// A customer.
#[derive(Debug, Clone)]
pub struct Client {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
}

/// A customer's site.
#[derive(Debug, Clone)]
pub struct Site {
    /// Id.
    pub id: i64,
    /// Its client.
    pub client: i64,
    /// Label.
    pub label: String,
    /// Street and number.
    pub address: String,
    /// City.
    pub city: &'static str,
    /// State, two letters.
    pub state: &'static str,
    /// Postal code.
    pub zip: String,
    /// Name of a US zone without `US/` (`Eastern`, ...); empty at some sites.
    pub time_zone: &'static str,
    /// Degrees.
    pub latitude: f32,
    /// Degrees.
    pub longitude: f32,
    /// Contact on site.
    pub contact_name: String,
    /// Its phone.
    pub contact_phone: String,
    /// Its e-mail address.
    pub contact_email: String,
}

/// An inventory item: a service number at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Asset {
    /// Id of the item.
    pub inventory: i64,
    /// Its client.
    pub client: i64,
    /// Its site.
    pub site: i64,
    /// `true`: status `A`; `false`: status `D` (disconnected).
    pub active: bool,
    /// The attribute `Management Status`; `None`: the item has no such attribute.
    pub management_status: Option<String>,
}

/// Clients, sites and assets.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Clients by id.
    pub clients: BTreeMap<i64, Client>,
    /// Sites by id.
    pub sites: HashMap<i64, Site>,
    assets: HashMap<String, Vec<Asset>>,
}

impl Inventory {
    /// Adds an item for a service number.
    pub fn add(&mut self, serial: &str, asset: Asset) {
        self.assets.entry(serial.to_owned()).or_default().push(asset);
    }

    /// The items of a service number, in order.
    pub fn assets(&self, serial: &str) -> &[Asset] {
        self.assets.get(serial).map_or(&[], Vec::as_slice)
    }

    /// The items of a service number, to change them.
    pub fn assets_mut(&mut self, serial: &str) -> Option<&mut Vec<Asset>> {
        self.assets.get_mut(serial)
    }

    /// The first active item of a service number with this client.
    pub fn asset_of(&self, serial: &str, client: i64) -> Option<&Asset> {
        self.assets(serial).iter().find(|asset| asset.active && asset.client == client)
    }

    /// Every service number with its items, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[Asset])> {
        self.assets.iter().map(|(serial, assets)| (serial.as_str(), assets.as_slice()))
    }

    /// How many service numbers there are.
    pub fn len(&self) -> usize {
        self.assets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.assets.is_empty()
    }

    /// The name of a client, empty when unknown.
    pub fn client_name(&self, client: i64) -> &str {
        self.clients.get(&client).map_or("", |client| client.name.as_str())
    }

    /// The site with this id, whatever zone it has.
    pub fn site(&self, id: i64) -> Option<&Site> {
        self.sites.get(&id)
    }
}
