//! What each service of the fleet needs in its environment to talk to a sandbox.
//!
//! The third parties keep names of their own (`https://api.bruin.sandbox.example`, ...), so that messages and logs read
//! as in production; `UPSTREAM_OVERRIDES` sends the calls to the sandbox.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;

use crate::faults::ThirdParty;
use crate::salesforce::{CLIENT_ID, CTS, LIT, PASSWORD, SECURITY_TOKEN};
use crate::world::generate::{MONITORED, Oddity, PENDING, oddity};
use crate::world::{Plan, World};

/// Client id that Bruin's login server accepts.
pub const BRUIN_CLIENT_ID: &str = "sandbox-bruin";
/// Its secret.
pub const BRUIN_CLIENT_SECRET: &str = "sandbox-bruin-secret";
/// Client id that the DiGi service accepts.
pub const DIGI_CLIENT_ID: &str = "sandbox-digi";
/// Its secret.
pub const DIGI_CLIENT_SECRET: &str = "sandbox-digi-secret";
/// Operator of every VeloCloud host.
pub const VELOCLOUD_USER: &str = "operator@sandbox.example";
/// Its password; the `+` is on purpose.
pub const VELOCLOUD_PASSWORD: &str = "sandbox+velocloud";
/// Host of Bruin's API.
pub const BRUIN_HOST: &str = "api.bruin.sandbox.example";
/// Host of Bruin's login server.
pub const BRUIN_LOGIN_HOST: &str = "id.bruin.sandbox.example";
/// Host of the DiGi service.
pub const DIGI_HOST: &str = "dms.digi.sandbox.example";
/// User of the Hawkeye API.
pub const HAWKEYE_USER: &str = "sandbox-hawkeye";
/// Its password.
pub const HAWKEYE_PASSWORD: &str = "sandbox-hawkeye-secret";
/// Host of the Hawkeye API.
pub const HAWKEYE_HOST: &str = "ixia.hawkeye.sandbox.example";
/// User of the DRI API.
pub const DRI_USER: &str = "engine@sandbox.example";
/// Its password.
pub const DRI_PASSWORD: &str = "sandbox-dri-secret";
/// Host of the DRI API.
pub const DRI_HOST: &str = "api.dri.sandbox.example";
/// Host of the T7 model.
pub const T7_HOST: &str = "t7.kre.sandbox.example";
/// Host of the Email Tagger model.
pub const EMAIL_TAGGER_HOST: &str = "email-tagger.kre.sandbox.example";
/// Host of the Repair Tickets model.
pub const REPAIR_TICKETS_HOST: &str = "repair-tickets.kre.sandbox.example";
/// Host of the Slack webhook.
pub const SLACK_HOST: &str = "hooks.slack.example";
/// Path of the Slack webhook.
pub const SLACK_PATH: &str = "/services/T0SANDBOX/B0SANDBOX/sandbox-secret";
/// Host of the SMS provider.
pub const SMS_HOST: &str = "sms.sandbox.example";
/// Account of the SMS provider.
pub const SMS_ACCOUNT: &str = "ACsandbox";
/// Its token.
pub const SMS_TOKEN: &str = "sandbox-sms-token";
/// The engine's phone number.
pub const SMS_FROM: &str = "15550100000";
/// Account that sends mail.
pub const MAIL_ACCOUNT: &str = "bot@sandbox.example";
/// Its password.
pub const MAIL_PASSWORD: &str = "sandbox-mail";
/// Account whose mailbox is read.
pub const INBOX_ACCOUNT: &str = "inbox@sandbox.example";
/// Its password.
pub const INBOX_PASSWORD: &str = "sandbox-inbox";
/// Who receives the reports by mail.
pub const REPORT_RECIPIENT: &str = "ops@sandbox.example";

/// The settings that say where third parties are and how to log in there. Who runs beside a sandbox takes the sandbox's.
pub const OF_THIRD_PARTIES: [&str; 33] = [
    "UPSTREAM_OVERRIDES",
    "BRUIN_BASE_URL",
    "BRUIN_LOGIN_URL",
    "BRUIN_CLIENT_ID",
    "BRUIN_CLIENT_SECRET",
    "VELOCLOUD_CREDENTIALS",
    "DIGI_BASE_URL",
    "DIGI_CLIENT_ID",
    "DIGI_CLIENT_SECRET",
    "BASE_URL",
    "CLIENT_USERNAME",
    "CLIENT_PASSWORD",
    "USERNAME",
    "PASSWORD",
    "KRE_BASE_URL",
    "CTS_DOMAIN",
    "CTS_CLIENT_ID",
    "CTS_CLIENT_USERNAME",
    "CTS_CLIENT_PASSWORD",
    "CTS_CLIENT_SECURITY_TOKEN",
    "LIT_DOMAIN",
    "LIT_CLIENT_ID",
    "LIT_CLIENT_USERNAME",
    "LIT_CLIENT_PASSWORD",
    "LIT_CLIENT_SECURITY_TOKEN",
    "SLACK_WEBHOOK",
    "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME",
    "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD",
    "MONITORABLE_EMAIL_ACCOUNTS",
    "TELESTAX_URL",
    "TELESTAX_ACCOUNT_SID",
    "TELESTAX_AUTH_TOKEN",
    "TELESTAX_FROM_PHONE_NUMBER",
];

/// Where the sandbox listens, and what it simulates.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Simulators over HTTP, control API and page.
    pub http: SocketAddr,
    /// Outgoing mail server.
    pub smtp: SocketAddr,
    /// Mailbox server.
    pub imap: SocketAddr,
    /// The models behind gRPC, each with a port of its own.
    pub models: BTreeMap<ThirdParty, SocketAddr>,
}

/// The value of `UPSTREAM_OVERRIDES`.
pub fn overrides(addresses: &Addresses, hosts: &[String]) -> String {
    let http = addresses.http;
    let mut pairs = vec![
        format!("{BRUIN_HOST}=http://{http}/bruin"),
        format!("{BRUIN_LOGIN_HOST}=http://{http}/bruin"),
        format!("{DIGI_HOST}=http://{http}/digi"),
        format!("{HAWKEYE_HOST}=http://{http}/hawkeye"),
        format!("{DRI_HOST}=http://{http}/dri"),
        format!("{SLACK_HOST}=http://{http}/slack"),
        format!("{SMS_HOST}=http://{http}/sms"),
        format!("smtp.gmail.com=smtp://{}", addresses.smtp),
        format!("imap.gmail.com=imap://{}", addresses.imap),
    ];
    for (model, host) in [
        (ThirdParty::T7, T7_HOST),
        (ThirdParty::EmailTagger, EMAIL_TAGGER_HOST),
        (ThirdParty::RepairTickets, REPAIR_TICKETS_HOST),
    ] {
        pairs.extend(addresses.models.get(&model).map(|address| format!("{host}=grpc://{address}")));
    }
    for (organisation, path) in [(CTS, "cts"), (LIT, "lit")] {
        pairs.push(format!("{}=http://{http}/{path}", organisation.login_host()));
        pairs.push(format!("{}=http://{http}/{path}", organisation.instance));
    }
    pairs.extend(hosts.iter().map(|host| format!("{host}=http://{http}/velocloud/{host}")));
    pairs.join(",")
}

/// The edges that the engine must leave alone, as `BLACKLISTED_EDGES` lists them.
pub fn blacklisted_edges(world: &World) -> serde_json::Value {
    world.network(|network| {
        let listed =
            network.edges.iter().enumerate().filter(|(place, _)| oddity(*place) == Oddity::Blacklisted);
        let identity = |(_, edge)| {
            let enterprise = network.enterprise_of(edge).map_or(0, |enterprise| enterprise.id);
            json!({"host": network.host_of(edge), "enterprise_id": enterprise, "edge_id": edge.id})
        };
        listed.map(identity).collect()
    })
}

/// The clients for which `Pending` does not count as monitored.
pub fn clients_without_pending(world: &World) -> serde_json::Value {
    let mut clients: Vec<i64> = world.network(|network| {
        let listed =
            network.edges.iter().enumerate().filter(|(place, _)| oddity(*place) == Oddity::PendingExcepted);
        listed
            .filter_map(|(_, edge)| network.enterprise_of(edge))
            .map(|enterprise| enterprise.client)
            .collect()
    });
    clients.dedup();
    json!(clients)
}

/// The environment of one service, without NATS, Redis and ports: those belong to whoever starts it. Intervals are
/// short. A service that the sandbox does not know gets the common part only.
pub fn environment_for(
    service: &str,
    addresses: &Addresses,
    plan: &Plan,
    world: &World,
) -> Vec<(String, String)> {
    let mut env = common(addresses, plan);
    let hosts = json!(plan.hosts).to_string();
    let blacklisted = blacklisted_edges(world).to_string();
    match service {
        "bruin-bridge" => env.extend([
            ("BRUIN_BASE_URL", format!("https://{BRUIN_HOST}")),
            ("BRUIN_LOGIN_URL", format!("https://{BRUIN_LOGIN_HOST}")),
            ("BRUIN_CLIENT_ID", BRUIN_CLIENT_ID.to_owned()),
            ("BRUIN_CLIENT_SECRET", BRUIN_CLIENT_SECRET.to_owned()),
        ]),
        "velocloud-bridge" => {
            let block = |host: &String| format!("{host}+{VELOCLOUD_USER}+{VELOCLOUD_PASSWORD}");
            let credentials = plan.hosts.iter().map(block).collect::<Vec<_>>().join(";");
            env.push(("VELOCLOUD_CREDENTIALS", credentials));
        }
        "digi-bridge" => env.extend([
            ("DIGI_BASE_URL", format!("https://{DIGI_HOST}")),
            ("DIGI_CLIENT_ID", DIGI_CLIENT_ID.to_owned()),
            ("DIGI_CLIENT_SECRET", DIGI_CLIENT_SECRET.to_owned()),
            ("DIGI_TOKEN_TTL", "3600".to_owned()),
        ]),
        "hawkeye-bridge" => env.extend([
            ("BASE_URL", format!("https://{HAWKEYE_HOST}/api")),
            ("CLIENT_USERNAME", HAWKEYE_USER.to_owned()),
            ("CLIENT_PASSWORD", HAWKEYE_PASSWORD.to_owned()),
        ]),
        "dri-bridge" => env.extend([
            ("BASE_URL", format!("https://{DRI_HOST}")),
            ("USERNAME", DRI_USER.to_owned()),
            ("PASSWORD", DRI_PASSWORD.to_owned()),
            ("DRI_DATA_REDIS_TTL", "300".to_owned()),
        ]),
        "t7-bridge" => env.push(("KRE_BASE_URL", format!("{T7_HOST}:443"))),
        "email-tagger-kre-bridge" => env.push(("KRE_BASE_URL", format!("{EMAIL_TAGGER_HOST}:443"))),
        "repair-tickets-kre-bridge" => env.push(("KRE_BASE_URL", format!("{REPAIR_TICKETS_HOST}:443"))),
        "cts-bridge" => env.extend([
            ("CTS_DOMAIN", CTS.domain.to_owned()),
            ("CTS_CLIENT_ID", CLIENT_ID.to_owned()),
            ("CTS_CLIENT_USERNAME", CTS.username.to_owned()),
            ("CTS_CLIENT_PASSWORD", PASSWORD.to_owned()),
            ("CTS_CLIENT_SECURITY_TOKEN", SECURITY_TOKEN.to_owned()),
        ]),
        "lit-bridge" => env.extend([
            ("LIT_DOMAIN", LIT.domain.to_owned()),
            ("LIT_CLIENT_ID", CLIENT_ID.to_owned()),
            ("LIT_CLIENT_USERNAME", LIT.username.to_owned()),
            ("LIT_CLIENT_PASSWORD", PASSWORD.to_owned()),
            ("LIT_CLIENT_SECURITY_TOKEN", SECURITY_TOKEN.to_owned()),
        ]),
        "notifier" => env.extend([
            ("SLACK_WEBHOOK", format!("https://{SLACK_HOST}{SLACK_PATH}")),
            ("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME", MAIL_ACCOUNT.to_owned()),
            ("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD", MAIL_PASSWORD.to_owned()),
            ("MONITORABLE_EMAIL_ACCOUNTS", json!({INBOX_ACCOUNT: INBOX_PASSWORD}).to_string()),
            ("TELESTAX_URL", format!("https://{SMS_HOST}/2012-04-24/Accounts/{SMS_ACCOUNT}/SMS/Messages")),
            ("TELESTAX_ACCOUNT_SID", SMS_ACCOUNT.to_owned()),
            ("TELESTAX_AUTH_TOKEN", SMS_TOKEN.to_owned()),
            ("TELESTAX_FROM_PHONE_NUMBER", SMS_FROM.to_owned()),
        ]),
        "customer-cache" => env.extend([
            ("VELOCLOUD_HOSTS", hosts),
            ("DUPLICATE_INVENTORIES_RECIPIENT", REPORT_RECIPIENT.to_owned()),
            ("REFRESH_JOB_INTERVAL", "3600".to_owned()),
            ("REFRESH_CHECK_INTERVAL", "60".to_owned()),
            ("BLACKLISTED_EDGES", blacklisted),
            ("BLACKLISTED_CLIENTS_WITH_PENDING_STATUS", clients_without_pending(world).to_string()),
            ("WHITELISTED_MANAGEMENT_STATUSES", json!([PENDING, MONITORED[0], MONITORED[1]]).to_string()),
        ]),
        "hawkeye-customer-cache" => env.extend([
            ("DUPLICATE_INVENTORIES_RECIPIENT", REPORT_RECIPIENT.to_owned()),
            ("REFRESH_JOB_INTERVAL", "3600".to_owned()),
            ("WHITELISTED_MANAGEMENT_STATUSES", json!([PENDING, MONITORED[0], MONITORED[1]]).to_string()),
        ]),
        "service-outage-monitor" => env.extend(outage_monitor(plan, blacklisted)),
        "service-outage-monitor-triage" => env.extend([
            ("ENABLE_TRIAGE_MONITORING", "1".to_owned()),
            ("MONITORED_PRODUCT_CATEGORY", "SD-WAN".to_owned()),
            ("TRIAGE__MONITORING_JOB_INTERVAL", "60".to_owned()),
            ("TRIAGE__MAX_EVENTS_PER_EVENT_NOTE", "15".to_owned()),
            ("TRIAGE__MONITORED_VELOCLOUD_HOSTS", hosts),
        ]),
        _ => {}
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn common(addresses: &Addresses, plan: &Plan) -> Vec<(&'static str, String)> {
    vec![
        ("ENVIRONMENT_NAME", "sandbox".to_owned()),
        // The world is simulated: the engine acts in it as in production.
        ("CURRENT_ENVIRONMENT", "production".to_owned()),
        ("TIMEZONE", "US/Eastern".to_owned()),
        ("PAPERTRAIL_ACTIVE", "false".to_owned()),
        ("UPSTREAM_OVERRIDES", overrides(addresses, &plan.hosts)),
    ]
}

/// Outage mode for the first host; a process for another host changes `MONITORING__VELOCLOUD_HOST`.
fn outage_monitor(plan: &Plan, blacklisted: String) -> Vec<(&'static str, String)> {
    let number = |name, number: u32| (name, number.to_string());
    vec![
        ("ENABLE_TRIAGE_MONITORING", "0".to_owned()),
        ("MONITORED_PRODUCT_CATEGORY", "SD-WAN".to_owned()),
        ("MONITORING__VELOCLOUD_HOST", plan.hosts.first().cloned().unwrap_or_default()),
        number("MONITORING__MONITORING_JOB_INTERVAL", 60),
        number("MONITORING__QUARANTINE_FOR_EDGES_IN_LINK_DOWN_OUTAGE", 10),
        number("MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE", 10),
        number("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_LINK_DOWN_OUTAGE", 10),
        number("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_SOFT_DOWN_OUTAGE", 10),
        number("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_HARD_DOWN_OUTAGE", 10),
        number("MONITORING__AUTORESOLVE_DAY_START_HOUR", 8),
        number("MONITORING__AUTORESOLVE_DAY_END_HOUR", 0),
        number("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_DAY_TIME", 5_400),
        number("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_NIGHT_TIME", 10_800),
        number("MONITORING__MAX_AUTORESOLVES_PER_TICKET", 3),
        number("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", 120),
        number("MONITORING__SEVERITY_FOR_EDGE_DOWN_OUTAGES", 2),
        number("MONITORING__SEVERITY_FOR_LINK_DOWN_OUTAGES", 3),
        (
            "MONITORING__LINK_LABELS_BLACKLISTED_IN_ASR_FORWARDS",
            json!(["BYOB", "Customer Owned", "customer owned", "PIAB"]).to_string(),
        ),
        ("MONITORING__BLACKLISTED_EDGES", blacklisted),
        ("MONITORING__MISSING_EDGES_FROM_CACHE_REPORT_RECIPIENT", REPORT_RECIPIENT.to_owned()),
    ]
}
