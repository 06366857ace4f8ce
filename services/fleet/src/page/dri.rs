//! The devices at DRI: what becomes of their tasks, as a person chooses it, and the tasks: pending, then complete.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    routing::post,
};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use sandbox::{
    Simulation,
    world::{
        World,
        dri::{DriDevice, TaskOutcome, TaskState},
    },
};
use serde::Deserialize;

use super::{
    Page,
    actions::{Done, Problem, back, unknown, world},
    times::Now,
};

/// Devices shown.
const DEVICES: usize = 30;
/// Tasks of a device shown.
const TASKS: usize = 4;

/// What can become of a device's tasks.
pub(super) struct Fate {
    outcome: TaskOutcome,
    /// Its name in addresses.
    pub(super) name: &'static str,
    /// What a button says.
    pub(super) title: &'static str,
}

pub(super) static FATES: [Fate; 5] = [
    Fate { outcome: TaskOutcome::Completes, name: "completes", title: "complete" },
    Fate { outcome: TaskOutcome::Rejected, name: "rejected", title: "are rejected" },
    Fate { outcome: TaskOutcome::StaysPending, name: "stays-pending", title: "stay pending" },
    Fate {
        outcome: TaskOutcome::CreationTimesOut,
        name: "creation-times-out",
        title: "time out at creation",
    },
    Fate { outcome: TaskOutcome::UnknownDevice, name: "unknown-device", title: "find no device" },
];

struct TaskRow {
    id: i64,
    names: usize,
    created: DateTime<Utc>,
    word: &'static str,
    class: &'static str,
    /// When it was done, or will be.
    done: Option<DateTime<Utc>>,
    over: bool,
}

struct FateView {
    name: &'static str,
    title: &'static str,
    on: bool,
}

struct DeviceRow {
    serial: String,
    fates: Vec<FateView>,
    tasks: Vec<TaskRow>,
    takes: Option<u32>,
}

/// The devices.
#[derive(Template)]
#[template(path = "dri.html")]
pub(super) struct Devices {
    now: Now,
    total: usize,
    rows: Vec<DeviceRow>,
}

impl Devices {
    pub(super) fn new(simulation: &Simulation, now: Now) -> Self {
        let world = &simulation.world;
        let serials = world.dri_serials();
        let rows = serials.iter().take(DEVICES).map(|serial| row(world, serial, now)).collect();
        Self { now, total: serials.len(), rows }
    }
}

fn row(world: &World, serial: &str, now: Now) -> DeviceRow {
    let device = world.dri_device(serial);
    let outcome = device.as_ref().map_or(TaskOutcome::UnknownDevice, |device| device.outcome);
    let task = |task: sandbox::world::dri::DriTask| {
        let (word, class) = match world.dri_task_state(serial, task.id) {
            TaskState::Pending => ("pending", "open"),
            TaskState::Done(_) => ("complete", "done"),
            TaskState::Rejected => ("rejected", "bad"),
            TaskState::Unknown => ("not known to DRI", "bad"),
        };
        let ends = outcome != TaskOutcome::StaysPending && outcome != TaskOutcome::UnknownDevice;
        TaskRow {
            id: task.id,
            names: task.names.len(),
            created: task.created,
            word,
            class,
            done: ends.then_some(task.done),
            over: task.done <= now.at,
        }
    };
    DeviceRow {
        serial: serial.to_owned(),
        fates: FATES
            .iter()
            .map(|fate| FateView { name: fate.name, title: fate.title, on: fate.outcome == outcome })
            .collect(),
        tasks: world.dri_tasks(serial).into_iter().rev().take(TASKS).map(task).collect(),
        takes: device.and_then(|device| device.takes),
    }
}

pub(super) fn router() -> Router<Page> {
    Router::new().route("/do/dri", post(set)).route("/do/dri/{serial}/{fate}", post(choose))
}

fn named(fate: &str) -> Result<TaskOutcome, Problem> {
    let fate = FATES.iter().find(|known| known.name == fate);
    fate.map(|fate| fate.outcome).ok_or_else(|| unknown("such button"))
}

#[derive(Deserialize)]
struct DeviceForm {
    serial: String,
    fate: String,
    /// Seconds; empty: as ever.
    takes: String,
}

/// Sets any device, also one that DRI did not know.
async fn set(State(page): State<Page>, headers: HeaderMap, Form(form): Form<DeviceForm>) -> Done {
    let (simulation, outcome) = (world(&page)?, named(&form.fate)?);
    let serial = form.serial.trim();
    if serial.is_empty() {
        return Err(Problem::refused("say which serial number"));
    }
    let takes = match form.takes.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| Problem::refused("a task takes a number of seconds"))?),
    };
    simulation.world.set_dri_device(serial, DriDevice { outcome, takes, parameters: BTreeMap::new() });
    Ok(back(&page, &headers, "dri"))
}

/// Chooses what becomes of a device's tasks.
async fn choose(
    State(page): State<Page>,
    Path((serial, fate)): Path<(String, String)>,
    headers: HeaderMap,
) -> Done {
    let (simulation, outcome) = (world(&page)?, named(&fate)?);
    let takes = simulation.world.dri_device(&serial).and_then(|device| device.takes);
    simulation.world.set_dri_device(&serial, DriDevice { outcome, takes, parameters: BTreeMap::new() });
    Ok(back(&page, &headers, "dri"))
}
