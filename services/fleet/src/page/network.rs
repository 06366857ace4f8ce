//! The network by customer: a cell for each edge, or counts where there are too many to show.

use askama::Template;
use sandbox::world::network::{Edge, Enterprise, Health, Network};

use super::view::View;

/// Networks up to this size show every edge; larger ones fold their customers.
const UNFOLDED: usize = 1_000;
/// Cells which a search shows at most.
const FOUND: usize = 400;
/// Edges in trouble which a folded customer shows at most.
const TROUBLED: usize = 24;

/// The class of a state, for colour and shape.
pub(super) fn class(health: Health) -> &'static str {
    match health {
        Health::Up => "up",
        Health::Degraded => "degraded",
        Health::Down => "down",
        Health::StandbyDown => "standby",
        Health::NeverActivated => "never",
    }
}

/// How many edges are in a state.
pub(super) struct Count {
    class: &'static str,
    title: &'static str,
    count: usize,
}

/// The search and the counts of the whole network.
#[derive(Template)]
#[template(path = "network.html")]
pub(super) struct NetworkHead {
    counts: Vec<Count>,
    total: usize,
    search: String,
    /// The address without the search.
    all: String,
    found: usize,
    shown: usize,
    /// Where Enter leads: the first edge that is found.
    pub(super) first: Option<String>,
}

/// One customer.
#[derive(Template)]
#[template(path = "customer.html")]
pub(super) struct Customer {
    /// Its number in the network.
    pub(super) number: usize,
    name: String,
    host: String,
    total: usize,
    troubled: Vec<Count>,
    foldable: bool,
    open: bool,
    toggle: String,
    cells: Vec<Cell>,
    more: usize,
}

struct Cell {
    serial: String,
    name: String,
    class: &'static str,
    title: &'static str,
    address: String,
    chosen: bool,
}

/// The network as the view asks for it.
pub(super) fn show(network: &Network, view: &View) -> (NetworkHead, Vec<Customer>) {
    let search = view.search.trim().to_lowercase();
    let foldable = network.edges.len() > UNFOLDED;
    let (mut found, mut shown, mut first) = (0, 0, None);
    let mut customers = Vec::new();
    for (number, enterprise) in network.enterprises.iter().enumerate() {
        let edges: Vec<&Edge> = if search.is_empty() || enterprise.name.to_lowercase().contains(&search) {
            network.edges_of(enterprise).collect()
        } else {
            network.edges_of(enterprise).filter(|edge| matches(edge, &search)).collect()
        };
        if edges.is_empty() {
            continue;
        }
        found += edges.len();
        first = first.or_else(|| edges.first().map(|edge| edge.serial.clone()));
        let open = view.is_open(number) || !search.is_empty() || !foldable;
        let mut cells: Vec<&Edge> = edges.clone();
        let most = if search.is_empty() { usize::MAX } else { FOUND.saturating_sub(shown) };
        if !open {
            cells.retain(|edge| is_troubled(edge.health()));
        }
        cells.truncate(if open { most } else { TROUBLED });
        shown += cells.len();
        let hidden = if open { edges.len() - cells.len() } else { 0 };
        customers.push(customer(network, number, enterprise, &edges, view, foldable, open, &cells, hidden));
    }
    let counts = network.census().into_iter().map(|(health, count)| Count {
        class: class(health),
        title: health.title(),
        count,
    });
    let head = NetworkHead {
        counts: counts.collect(),
        total: network.edges.len(),
        search: view.search.clone(),
        all: View { search: String::new(), ..view.clone() }.address(""),
        found,
        shown,
        first,
    };
    (head, customers)
}

fn matches(edge: &Edge, search: &str) -> bool {
    edge.serial.to_lowercase().contains(search)
        || edge.name.to_lowercase().contains(search)
        || edge.ha_serial().is_some_and(|serial| serial.to_lowercase().contains(search))
}

fn is_troubled(health: Health) -> bool {
    matches!(health, Health::Down | Health::Degraded | Health::StandbyDown)
}

#[allow(clippy::too_many_arguments, reason = "the parts of one customer")]
fn customer(
    network: &Network,
    number: usize,
    enterprise: &Enterprise,
    edges: &[&Edge],
    view: &View,
    foldable: bool,
    open: bool,
    cells: &[&Edge],
    more: usize,
) -> Customer {
    let troubled = Health::ALL.into_iter().filter(|health| is_troubled(*health)).filter_map(|health| {
        let count = edges.iter().filter(|edge| edge.health() == health).count();
        (count > 0).then_some(Count { class: class(health), title: health.title(), count })
    });
    // A cell leads to the device and keeps what is searched for and unfolded.
    let keep = View { search: view.search.clone(), open: view.open.clone(), ..View::default() };
    let cell = |edge: &&Edge| Cell {
        serial: edge.serial.clone(),
        name: edge.name.clone(),
        class: class(edge.health()),
        title: edge.health().title(),
        address: keep.device(&edge.serial).address("device"),
        chosen: edge.serial == view.device
            || (!view.device.is_empty() && edge.ha_serial() == Some(&view.device)),
    };
    let host = network.hosts.get(enterprise.host).map_or("", |host| host.name.as_str());
    Customer {
        number,
        name: enterprise.name.split('|').next().unwrap_or_default().to_owned(),
        host: host.split('.').next().unwrap_or_default().to_owned(),
        total: edges.len(),
        troubled: troubled.collect(),
        foldable: foldable && view.search.is_empty(),
        open,
        toggle: view.toggled(number).address(&format!("customer-{number}")),
        cells: cells.iter().map(cell).collect(),
        more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Clock;
    use sandbox::{SandboxOptions, World};

    fn world(edges: usize) -> World {
        World::new(Clock::system(), &SandboxOptions { edges, ..SandboxOptions::default() }.plan())
    }

    fn cells(customers: &[Customer]) -> usize {
        customers.iter().map(|customer| customer.cells.len()).sum()
    }

    #[test]
    fn a_small_network_shows_every_edge() {
        world(200).network(|network| {
            let (head, customers) = show(network, &View::default());
            assert_eq!((head.total, cells(&customers)), (200, 200));
            assert!(customers.iter().all(|customer| customer.open && !customer.foldable));
        });
    }

    #[test]
    fn a_large_network_shows_trouble_and_what_is_unfolded() {
        let world = world(3_000);
        let serial = world.network(|network| network.edges[0].serial.clone());
        world.break_edge(&serial).unwrap();
        world.network(|network| {
            let (_, customers) = show(network, &View::default());
            assert_eq!(cells(&customers), 1);
            let (_, customers) = show(network, &View::default().toggled(3));
            assert_eq!(cells(&customers), 1 + network.enterprises[3].edges.len());
        });
    }

    #[test]
    fn a_search_finds_serials_names_and_customers() {
        world(200).network(|network| {
            let edge = &network.edges[17];
            let name = network.enterprises[2].name.split('|').next().unwrap().to_owned();
            let find = |text: &str| show(network, &View { search: text.to_owned(), ..View::default() }).0;
            assert_eq!(find(&edge.serial.to_lowercase()).first, Some(edge.serial.clone()));
            assert!(find(&edge.name).found >= 1);
            assert!(find(&name).found >= network.enterprises[2].edges.len());
            assert_eq!(find("no such thing").found, 0);
        });
    }
}
