//! bruin-bridge: the only service that talks to Bruin, MetTel's ticketing, inventory and e-mail system.
//!
//! It answers 25 NATS subjects, and nine of a later revision for newer peers. Most are one REST call each and are
//! *described* rather than programmed: an implementation of `subject::OneCall` names the call, what Bruin's failures
//! mean and how a success is reshaped. Reading and refusing requests is the business of `contracts::bruin`. Three
//! subjects make several calls and are written out: in `ticket_lists` (fan-out by status, paging) and `work_queues`
//! (look-up, then move).
//!
//! | file | what |
//! | --- | --- |
//! | `config`, `login` | settings, OAuth login |
//! | `subject` | what a subject is, and how all are served |
//! | `bruin` | sending to Bruin: headers, dry-run, shared reads, metrics |
//! | `outcome` | what Bruin's statuses and bodies mean |
//! | `query`, `rendering` | query parameters; values inside texts |
//! | `tickets`, `ticket_lists`, `notes`, `outage`, `work_queues`, `inventory`, `email`, `later` | the subjects |

mod bruin;
mod config;
mod email;
mod inventory;
mod later;
mod login;
mod notes;
mod objects;
mod outage;
mod outcome;
mod query;
mod rendering;
mod subject;
mod ticket_lists;
mod tickets;
mod work_queues;

pub use config::Config;

use bus::{Bus, ServeError};
use contracts::bruin::{
    AppendNote, AppendNotes, AssetTopics, BasicTickets, ChangeWorkQueue, CircuitId, ClientInfo,
    ClientInfoByDid, CloseTicket, EmailMilestone, EmailReply, EmailStatus, InventoryAttributes,
    LinkTicketEmail, ManagementStatus, MarkEmailDone, NextResults, OpenTicket, OutageTicketCreation,
    ResolveTicket, SerialAttribute, SingleBasicTicket, SiteDetails, SubscribeUser, TagEmail, TaskHistory,
    TicketContacts, TicketCreation, TicketDetailIds, TicketDetails, TicketOverview, TicketSeverity, Tickets,
    UnpauseTicket,
};
use runtime::{Context, Service};

use crate::bruin::Bruin;
use crate::subject::serve;

/// The service.
pub struct BruinBridge;

runtime::service!(BruinBridge);

impl Service for BruinBridge {
    const NAME: &'static str = "bruin-bridge";
    const ABOUT: &'static str = "Answers the bruin.* subjects by calls to Bruin";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let bruin = Bruin::new(&ctx, config)?;
        ctx.spawn("bruin login", bruin.login_in_background(ctx.stop.clone()));
        // Without a token the subjects are served all the same: each call tries a login of its own.
        bruin.first_login().await;
        let held = bruin.clone();
        ctx.ready_when("token of Bruin held", move || held.logged_in());
        serve_all(&bus, &bruin).await?;
        Ok(())
    }
}

async fn serve_all(bus: &Bus, bruin: &Bruin) -> Result<(), ServeError> {
    serve::<Tickets>(bus, bruin).await?;
    serve::<BasicTickets>(bus, bruin).await?;
    serve::<SingleBasicTicket>(bus, bruin).await?;
    serve::<TicketDetails>(bus, bruin).await?;
    serve::<TicketOverview>(bus, bruin).await?;
    serve::<TaskHistory>(bus, bruin).await?;
    serve::<AppendNote>(bus, bruin).await?;
    serve::<AppendNotes>(bus, bruin).await?;
    serve::<TicketCreation>(bus, bruin).await?;
    serve::<OutageTicketCreation>(bus, bruin).await?;
    serve::<OpenTicket>(bus, bruin).await?;
    serve::<ResolveTicket>(bus, bruin).await?;
    serve::<UnpauseTicket>(bus, bruin).await?;
    serve::<TicketSeverity>(bus, bruin).await?;
    serve::<ChangeWorkQueue>(bus, bruin).await?;
    serve::<NextResults>(bus, bruin).await?;
    serve::<SerialAttribute>(bus, bruin).await?;
    serve::<ManagementStatus>(bus, bruin).await?;
    serve::<ClientInfo>(bus, bruin).await?;
    serve::<ClientInfoByDid>(bus, bruin).await?;
    serve::<CircuitId>(bus, bruin).await?;
    serve::<SiteDetails>(bus, bruin).await?;
    serve::<TagEmail>(bus, bruin).await?;
    serve::<MarkEmailDone>(bus, bruin).await?;
    serve::<LinkTicketEmail>(bus, bruin).await?;
    // For newer peers.
    serve::<InventoryAttributes>(bus, bruin).await?;
    serve::<TicketContacts>(bus, bruin).await?;
    serve::<AssetTopics>(bus, bruin).await?;
    serve::<EmailMilestone>(bus, bruin).await?;
    serve::<SubscribeUser>(bus, bruin).await?;
    serve::<EmailStatus>(bus, bruin).await?;
    serve::<EmailReply>(bus, bruin).await?;
    serve::<TicketDetailIds>(bus, bruin).await?;
    serve::<CloseTicket>(bus, bruin).await
}
