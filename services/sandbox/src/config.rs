//! How a sandbox is started.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use runtime::{Clock, FromEnvironment, Invalid, Reader};

use crate::faults::ThirdParty;
use crate::world::Plan;

/// Settings of a sandbox; `SandboxOptions { edges: 40, ..Default::default() }` is what tests use.
#[derive(Clone)]
pub struct SandboxOptions {
    /// The world's clock. Default: the system's time, which the control API can shift.
    pub clock: Clock,
    /// `SANDBOX_ADDRESS` (`127.0.0.1`): where to listen. Whoever reaches it controls the world: leave it on loopback.
    pub address: IpAddr,
    /// `SANDBOX_PORT` (8070): port of simulators, control API and page; 0 (default of tests): any free one.
    pub port: u16,
    /// `SANDBOX_EDGES` (200): size of the network.
    pub edges: usize,
    /// `SANDBOX_SEED` (1): what the network is made from.
    pub seed: u64,
    /// `SANDBOX_HOSTS` (`vco1.sandbox.example,vco2.sandbox.example`): VeloCloud hosts.
    pub hosts: Vec<String>,
    /// `SANDBOX_BRUIN_TOKEN_TTL` (3600 s): life of Bruin's tokens.
    pub bruin_token_life: Duration,
    /// `SANDBOX_VELOCLOUD_SESSION_TTL` (86400 s): life of VeloCloud's sessions.
    pub velocloud_session_life: Duration,
    /// `SANDBOX_DIGI_TOKEN_TTL` (3600 s): life of DiGi's tokens.
    pub digi_token_life: Duration,
    /// `SANDBOX_HAWKEYE_SESSION_TTL` (1440 s): life of Hawkeye's sessions.
    pub hawkeye_session_life: Duration,
    /// `SANDBOX_DIGI_HEALS_AFTER` (30 s): how long the reboot of a DiGi unit takes.
    pub digi_heals_after: Duration,
    /// `SANDBOX_DRI_TOKEN_TTL` (3600 s): life of DRI's tokens.
    pub dri_token_life: Duration,
    /// `SANDBOX_DRI_TASK_TAKES` (6 s): how long DRI needs to fetch parameters from a device.
    pub dri_task_takes: Duration,
    /// `SANDBOX_SALESFORCE_SESSION_TTL` (7200 s): life of the sessions at CTS and LIT.
    pub salesforce_session_life: Duration,
    /// `SANDBOX_SMTP_PORT` (0: any): port of the outgoing mail server.
    pub smtp_port: u16,
    /// `SANDBOX_IMAP_PORT` (0: any): port of the mailbox server.
    pub imap_port: u16,
    /// `SANDBOX_T7_PORT` (0: any): port of the T7 model.
    pub t7_port: u16,
    /// `SANDBOX_EMAIL_TAGGER_PORT` (0: any): port of the Email Tagger model.
    pub email_tagger_port: u16,
    /// `SANDBOX_REPAIR_TICKETS_PORT` (0: any): port of the Repair Tickets model.
    pub repair_tickets_port: u16,
}

/// Port of a sandbox that runs as a process of its own.
const PORT: u16 = 8_070;

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            clock: Clock::shifted(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            edges: 200,
            seed: 1,
            hosts: vec!["vco1.sandbox.example".to_owned(), "vco2.sandbox.example".to_owned()],
            bruin_token_life: Duration::from_secs(3_600),
            velocloud_session_life: Duration::from_secs(86_400),
            digi_token_life: Duration::from_secs(3_600),
            hawkeye_session_life: Duration::from_secs(1_440),
            digi_heals_after: Duration::from_secs(30),
            dri_token_life: Duration::from_secs(3_600),
            dri_task_takes: Duration::from_secs(6),
            salesforce_session_life: Duration::from_secs(7_200),
            smtp_port: 0,
            imap_port: 0,
            t7_port: 0,
            email_tagger_port: 0,
            repair_tickets_port: 0,
        }
    }
}

impl SandboxOptions {
    /// The plan of the world.
    pub fn plan(&self) -> Plan {
        Plan { seed: self.seed, edges: self.edges, hosts: self.hosts.clone() }
    }

    /// The port of a model; 0: any.
    pub fn model_port(&self, model: ThirdParty) -> u16 {
        match model {
            ThirdParty::T7 => self.t7_port,
            ThirdParty::EmailTagger => self.email_tagger_port,
            ThirdParty::RepairTickets => self.repair_tickets_port,
            _ => 0,
        }
    }
}

impl FromEnvironment for SandboxOptions {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let default = Self::default();
        let seconds = |duration: Duration| duration.as_secs();
        let address = env.or("SANDBOX_ADDRESS", default.address, "an IP address to listen on");
        let port = env.or("SANDBOX_PORT", PORT, "a port, 0 for any");
        let edges = env.or("SANDBOX_EDGES", default.edges, "a number of edges");
        let seed = env.or("SANDBOX_SEED", default.seed, "a whole number");
        let hosts = env.list::<String>("SANDBOX_HOSTS", "comma separated VeloCloud hosts");
        let bruin = env.seconds("SANDBOX_BRUIN_TOKEN_TTL", seconds(default.bruin_token_life));
        let velocloud = env.seconds("SANDBOX_VELOCLOUD_SESSION_TTL", seconds(default.velocloud_session_life));
        let digi = env.seconds("SANDBOX_DIGI_TOKEN_TTL", seconds(default.digi_token_life));
        let hawkeye = env.seconds("SANDBOX_HAWKEYE_SESSION_TTL", seconds(default.hawkeye_session_life));
        let heals = env.seconds("SANDBOX_DIGI_HEALS_AFTER", seconds(default.digi_heals_after));
        let dri = env.seconds("SANDBOX_DRI_TOKEN_TTL", seconds(default.dri_token_life));
        let dri_takes = env.seconds("SANDBOX_DRI_TASK_TAKES", seconds(default.dri_task_takes));
        let salesforce =
            env.seconds("SANDBOX_SALESFORCE_SESSION_TTL", seconds(default.salesforce_session_life));
        let smtp = env.or("SANDBOX_SMTP_PORT", default.smtp_port, "a port, 0 for any");
        let imap = env.or("SANDBOX_IMAP_PORT", default.imap_port, "a port, 0 for any");
        let t7 = env.or("SANDBOX_T7_PORT", default.t7_port, "a port, 0 for any");
        let tagger = env.or("SANDBOX_EMAIL_TAGGER_PORT", default.email_tagger_port, "a port, 0 for any");
        let repair = env.or("SANDBOX_REPAIR_TICKETS_PORT", default.repair_tickets_port, "a port, 0 for any");
        let hosts = hosts?;
        Ok(Self {
            address: address?,
            port: port?,
            edges: edges?,
            seed: seed?,
            hosts: if hosts.is_empty() { default.hosts } else { hosts },
            bruin_token_life: bruin?,
            velocloud_session_life: velocloud?,
            digi_token_life: digi?,
            hawkeye_session_life: hawkeye?,
            digi_heals_after: heals?,
            dri_token_life: dri?,
            dri_task_takes: dri_takes?,
            salesforce_session_life: salesforce?,
            smtp_port: smtp?,
            imap_port: imap?,
            t7_port: t7?,
            email_tagger_port: tagger?,
            repair_tickets_port: repair?,
            clock: default.clock,
        })
    }
}
