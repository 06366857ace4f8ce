//! How the recorded services were configured, as their recordings show.

use regex::Regex;
use serde_json::json;

use crate::{Rule, salesforce};

/// The peculiarities of one file of recordings.
pub(super) struct Profile {
    /// Settings of its own; `{stub}` stands for the third party's address, `{refused}` for one where nobody listens.
    pub(super) settings: &'static [(&'static str, &'static str)],
    /// Which calls are logins.
    pub(super) logins: Option<&'static str>,
    /// How the stub answers when no rule of an exchange does.
    pub(super) fallback: Vec<Rule>,
}

impl Profile {
    /// The profile of a file by its name without `.json`.
    pub(super) fn of(file: &str) -> Self {
        let bearer = |path: &str, token: &str, expires_in: u32| {
            Rule::on("POST", path)
                .json(&json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}))
        };
        let session = |host: &str, value: &str| {
            Rule::on("POST", &format!("^/{host}/portal/rest/login/operatorLogin$"))
                .text("")
                .header("Set-Cookie", &format!("velocloud.session={value}; Path=/; HttpOnly; Secure"))
        };
        match file {
            "bruin-bridge" => Self {
                settings: BRUIN,
                logins: Some("/identity/connect/token$"),
                fallback: vec![bearer("^/identity/connect/token$", "tok", 3600)],
            },
            "bruin-bridge.nologin" => Self {
                settings: BRUIN,
                logins: Some("/identity/connect/token$"),
                fallback: vec![Rule::on("POST", "^/identity/connect/token$").status(500)],
            },
            "velocloud-bridge" => Self {
                settings: VELOCLOUD,
                logins: Some("/login/operatorLogin$"),
                fallback: vec![session("vco1", "one-a"), session("vco2", "two-a")],
            },
            "velocloud-bridge.down" => Self {
                settings: VELOCLOUD_DOWN,
                logins: Some("/login/operatorLogin$"),
                fallback: vec![
                    session("vco1", "one-a"),
                    Rule::on("POST", "^/vco2/portal/rest/login/operatorLogin$").status(500).text(""),
                ],
            },
            "digi-bridge" => Self {
                settings: DIGI,
                logins: Some("/oauth/token$"),
                fallback: vec![bearer("^/Identity/rest/oauth/token$", "token-a", 3600)],
            },
            "digi-bridge.relogin" => Self {
                settings: DIGI,
                logins: Some("/oauth/token$"),
                fallback: vec![bearer("^/Identity/rest/oauth/token$", "token-a", 2)],
            },
            "dri-bridge" => Self {
                settings: DRI,
                logins: Some("^/auth/login$"),
                fallback: vec![
                    Rule::on("POST", "^/auth/login$").json(&json!({"authorization_token": "tok"})),
                ],
            },
            "hawkeye-bridge" => Self {
                settings: HAWKEYE,
                logins: Some("^/api/login$"),
                fallback: vec![
                    Rule::on("POST", "^/api/login$").json(&json!({})).header("Set-Cookie", HAWKEYE_COOKIE),
                ],
            },
            "cts-bridge" => Self {
                settings: CTS,
                logins: Some(salesforce::LOGIN),
                fallback: vec![salesforce::login("cts", "session-a")],
            },
            "lit-bridge" => Self {
                settings: LIT,
                logins: Some(salesforce::LOGIN),
                fallback: vec![salesforce::login("lit", "session-a")],
            },
            "notifier" => Self { settings: NOTIFIER, logins: None, fallback: Vec::new() },
            "customer-cache" | "customer-cache.start" => {
                Self { settings: CUSTOMER_CACHE, logins: None, fallback: Vec::new() }
            }
            "hawkeye-customer-cache" => {
                Self { settings: HAWKEYE_CUSTOMER_CACHE, logins: None, fallback: Vec::new() }
            }
            _ => Self { settings: &[], logins: None, fallback: Vec::new() },
        }
    }

    /// Whether a call is a login.
    pub(super) fn is_login(&self, path: &str) -> bool {
        self.logins.is_some_and(|logins| Regex::new(logins).is_ok_and(|logins| logins.is_match(path)))
    }
}

const BRUIN: &[(&str, &str)] = &[
    ("BRUIN_BASE_URL", "{stub}"),
    ("BRUIN_LOGIN_URL", "{stub}"),
    ("BRUIN_CLIENT_ID", "client-one"),
    ("BRUIN_CLIENT_SECRET", "secret-one"),
    ("IPA_SYSTEM_USERNAME_IN_BRUIN", "Intelygenz Ai"),
];

const VELOCLOUD: &[(&str, &str)] = &[
    (
        "VELOCLOUD_CREDENTIALS",
        "vco1.example.test+operator-one+secret-one;vco2.example.test+operator-two+secret-two",
    ),
    ("UPSTREAM_OVERRIDES", "vco1.example.test={stub}/vco1,vco2.example.test={stub}/vco2"),
];

const VELOCLOUD_DOWN: &[(&str, &str)] = &[
    (
        "VELOCLOUD_CREDENTIALS",
        "vco1.example.test+operator-one+secret-one;vco2.example.test+operator-two+secret-two;\
         vco3.example.test+operator-three+secret-three",
    ),
    (
        "UPSTREAM_OVERRIDES",
        "vco1.example.test={stub}/vco1,vco2.example.test={stub}/vco2,vco3.example.test={refused}",
    ),
];

const DIGI: &[(&str, &str)] = &[
    ("DIGI_BASE_URL", "{stub}"),
    ("DIGI_CLIENT_ID", "client-one"),
    ("DIGI_CLIENT_SECRET", "secret: one"),
    ("DIGI_TOKEN_TTL", "3600"),
];

const DRI: &[(&str, &str)] = &[
    ("BASE_URL", "{stub}"),
    ("USERNAME", "user@example.test"),
    ("PASSWORD", "secret: one"),
    ("DRI_DATA_REDIS_TTL", "450"),
];

const HAWKEYE: &[(&str, &str)] =
    &[("BASE_URL", "{stub}/api"), ("CLIENT_USERNAME", "user-one"), ("CLIENT_PASSWORD", "secret-one")];

const HAWKEYE_COOKIE: &str = "PHPSESSID=abcdefghijklmnopqrstuvwxyz123456; path=/; HttpOnly";

const CTS: &[(&str, &str)] = &[
    ("CTS_DOMAIN", "test"),
    ("CTS_CLIENT_ID", "client-one"),
    ("CTS_CLIENT_USERNAME", "user&one@example.test"),
    ("CTS_CLIENT_PASSWORD", "secret<one>"),
    ("CTS_CLIENT_SECURITY_TOKEN", "token-one"),
    ("UPSTREAM_OVERRIDES", "test.salesforce.com={stub},cts.example.test={stub}/cts"),
];

const LIT: &[(&str, &str)] = &[
    ("LIT_DOMAIN", "test"),
    ("LIT_CLIENT_ID", "client-one"),
    ("LIT_CLIENT_USERNAME", "user&one@example.test"),
    ("LIT_CLIENT_PASSWORD", "secret<one>"),
    ("LIT_CLIENT_SECURITY_TOKEN", "token-one"),
    ("UPSTREAM_OVERRIDES", "test.salesforce.com={stub},lit.example.test={stub}/lit"),
];

const NOTIFIER: &[(&str, &str)] = &[
    ("SLACK_WEBHOOK", "https://hooks.example.test/services/T000/B000/secret"),
    ("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME", "bot@example.test"),
    ("EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD", "mail-secret"),
    ("MONITORABLE_EMAIL_ACCOUNTS", r#"{"inbox@example.test":"inbox-secret"}"#),
    (
        "UPSTREAM_OVERRIDES",
        "hooks.example.test={stub},smtp.gmail.com=smtp://{refused-address},imap.gmail.com=imap://{refused-address}",
    ),
];

const CUSTOMER_CACHE: &[(&str, &str)] = &[
    (
        "VELOCLOUD_HOSTS",
        r#"["vco1.example.test","vco2.example.test","vco3.example.test","vco4.example.test"]"#,
    ),
    ("DUPLICATE_INVENTORIES_RECIPIENT", "ops@example.test"),
    ("REFRESH_JOB_INTERVAL", "14400"),
    ("REFRESH_CHECK_INTERVAL", "300"),
    ("BLACKLISTED_EDGES", "[]"),
    ("BLACKLISTED_CLIENTS_WITH_PENDING_STATUS", "[]"),
    (
        "WHITELISTED_MANAGEMENT_STATUSES",
        r#"["Pending","Active – Gold Monitoring","Active – Platinum Monitoring"]"#,
    ),
];

const HAWKEYE_CUSTOMER_CACHE: &[(&str, &str)] = &[
    ("DUPLICATE_INVENTORIES_RECIPIENT", "ops@example.test"),
    ("REFRESH_JOB_INTERVAL", "14400"),
    (
        "WHITELISTED_MANAGEMENT_STATUSES",
        r#"["Pending","Active – Gold Monitoring","Active – Platinum Monitoring"]"#,
    ),
];
