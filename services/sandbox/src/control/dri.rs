//! Devices at DRI: their parameters, what becomes of their tasks, and the tasks.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Body, Problem};
use crate::Simulation;
use crate::world::World;
use crate::world::dri::{DriDevice, DriTask};

/// A device at DRI.
#[derive(Serialize, ToSchema)]
pub(super) struct DriDeviceView {
    /// Serial number.
    serial: String,
    /// The device; null: DRI knows none with this serial number.
    device: Option<DriDevice>,
    /// Its tasks, oldest first.
    tasks: Vec<DriTask>,
    /// The ids of those which are not done.
    pending: Vec<i64>,
}

impl DriDeviceView {
    fn of(world: &World, serial: String) -> Self {
        let device = world.dri_device(&serial);
        let tasks = world.dri_tasks(&serial);
        let pending = world.pending_dri_tasks(&serial).unwrap_or_default();
        Self { serial, device, tasks, pending }
    }
}

/// Lists the devices at DRI that were set or have tasks. DRI also knows one for every service number of the inventory.
#[utoipa::path(get, path = "/control/dri/devices", tag = "dri", responses((status = 200, body = Vec<DriDeviceView>)))]
pub(super) async fn list(State(simulation): State<Simulation>) -> Json<Vec<DriDeviceView>> {
    let world = &simulation.world;
    Json(world.dri_serials().into_iter().map(|serial| DriDeviceView::of(world, serial)).collect())
}

/// A device at DRI with its tasks.
#[utoipa::path(
    get, path = "/control/dri/devices/{serial}", tag = "dri", responses((status = 200, body = DriDeviceView)),
)]
pub(super) async fn one(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
) -> Json<DriDeviceView> {
    Json(DriDeviceView::of(&simulation.world, serial))
}

/// Adds or changes a device at DRI, e.g. `{"outcome": "rejected"}` or `{"takes": 20, "parameters": {"a.b": "ATT"}}`.
/// `parameters` replaces all of them; without any they stay.
#[utoipa::path(
    put, path = "/control/dri/devices/{serial}", tag = "dri", request_body = DriDevice,
    responses((status = 200, body = DriDeviceView), (status = 400, body = Problem)),
)]
pub(super) async fn set(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
    Body(device): Body<DriDevice>,
) -> Result<Json<DriDeviceView>, Problem> {
    let world = &simulation.world;
    world.set_dri_device(&serial, device);
    Ok(Json(DriDeviceView::of(world, serial)))
}
