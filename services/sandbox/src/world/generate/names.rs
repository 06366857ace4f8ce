//! Invented names, and towns with real time zones and postal codes.

/// A town.
#[derive(Debug, Clone, Copy)]
pub(super) struct Town {
    pub(super) city: &'static str,
    pub(super) state: &'static str,
    pub(super) zip: &'static str,
    pub(super) time_zone: &'static str,
    pub(super) latitude: f32,
    pub(super) longitude: f32,
}

const fn town(
    city: &'static str,
    state: &'static str,
    zip: &'static str,
    time_zone: &'static str,
    latitude: f32,
    longitude: f32,
) -> Town {
    Town { city, state, zip, time_zone, latitude, longitude }
}

pub(super) const SPRINGFIELD: Town = town("Springfield", "NJ", "07081", "Eastern", 40.70, -74.31);

pub(super) const TOWNS: [Town; 12] = [
    SPRINGFIELD,
    town("New York", "NY", "10001", "Eastern", 40.75, -73.99),
    town("Boston", "MA", "02108", "Eastern", 42.36, -71.06),
    town("Atlanta", "GA", "30303", "Eastern", 33.75, -84.39),
    town("Chicago", "IL", "60601", "Central", 41.88, -87.63),
    town("Dallas", "TX", "75201", "Central", 32.78, -96.80),
    town("Memphis", "TN", "38103", "Central", 35.15, -90.05),
    town("Denver", "CO", "80202", "Mountain", 39.75, -104.99),
    town("Salt Lake City", "UT", "84101", "Mountain", 40.76, -111.90),
    town("Seattle", "WA", "98101", "Pacific", 47.61, -122.33),
    town("Fairfield", "CA", "94533", "Pacific", 38.25, -122.04),
    town("Anchorage", "AK", "99501", "Alaska", 61.22, -149.90),
];

pub(super) const COMPANIES: [&str; 24] = [
    "Maple",
    "Cedar",
    "Blue Ridge",
    "Harbor",
    "Summit",
    "Prairie",
    "Golden",
    "River",
    "Granite",
    "Sunrise",
    "Lakeside",
    "Copper",
    "Evergreen",
    "Redwood",
    "Silver",
    "Canyon",
    "Northgate",
    "Old Mill",
    "Pioneer",
    "Union",
    "Willow",
    "Stone",
    "Café",
    "Meadow",
];

pub(super) const BUSINESSES: [&str; 16] = [
    "Foods",
    "Hardware",
    "Clinics",
    "Credit Union",
    "Logistics",
    "Pharmacy",
    "Hotels",
    "Fitness",
    "Books",
    "Dental",
    "Auto Parts",
    "Bakeries",
    "Furniture",
    "Insurance",
    "Outfitters",
    "Schools",
];

pub(super) const STREETS: [&str; 10] = [
    "Main St",
    "Oak Ave",
    "Market St",
    "Second St",
    "Park Rd",
    "Mill Ln",
    "Highland Ave",
    "Station Rd",
    "Elm St",
    "Lake Dr",
];

pub(super) const PEOPLE: [&str; 12] = [
    "Alex Doe",
    "Robin Poe",
    "Sam Roe",
    "Jamie Low",
    "Casey Moe",
    "Jordan Fox",
    "Taylor Ray",
    "Morgan Lee",
    "Chris Day",
    "Pat Kim",
    "Dana Cruz",
    "Lee Park",
];

pub(super) const CARRIERS: [&str; 8] = [
    "Northern Cable",
    "Metro Fiber",
    "Blue Ridge Telecom",
    "Lakes Broadband",
    "Union Telephone",
    "Prairie Net",
    "Harbor Communications",
    "Summit Internet",
];

pub(super) const MOBILE_CARRIERS: [&str; 3] = ["Coastal Mobile", "Highland Wireless", "Continental Cellular"];
