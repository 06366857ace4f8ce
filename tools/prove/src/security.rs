//! Experiment 9: NATS and Redis with TLS and credentials; certificates of others and expired ones are refused before a
//! password is sent; what we link is allowed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::BoxFuture;
use measure::{Program, Service};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use sandbox::{Running, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Nats, NatsOptions, Redis, RedisOptions};
use tokio::process::Command;

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::secrets::{NATS_PASSWORD, REDIS_PASSWORD};
use crate::stage::{PATIENCE, set};

const USER: &str = "engine";
const WRONG: &str = "wrong-pa55word-of-prove";
/// A bridge, whose login and requests need nobody else.
const SERVICE: &str = "velocloud-bridge";
/// How long a refusal may take to show.
const SHOWN: Duration = Duration::from_secs(15);

/// See the module.
pub(crate) struct Security;

impl Experiment for Security {
    fn name(&self) -> &'static str {
        "security"
    }

    fn about(&self) -> &'static str {
        "NATS and Redis with TLS and passwords, with certificates of an unknown authority, with expired ones, with wrong \
         passwords; cargo deny"
    }

    fn promises(&self) -> &'static [Promise] {
        &[]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

/// The certificate of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certificate {
    /// Of the authority that the services know.
    Good,
    /// Of another one.
    Stranger,
    /// Of the right one, but expired.
    Expired,
}

/// Files with certificates and keys.
struct Papers {
    folder: TempDir,
}

impl Papers {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (known, stranger) = (authority()?, authority()?);
        std::fs::write(folder.path().join("ca.pem"), known.pem())?;
        for (name, issuer, expired) in
            [("good", &known, false), ("stranger", &stranger, false), ("expired", &known, true)]
        {
            let key = KeyPair::generate()?;
            let mut certificate = CertificateParams::new(vec!["localhost".to_owned()])?;
            if expired {
                certificate.not_before = date_time_ymd(2020, 1, 1);
                certificate.not_after = date_time_ymd(2021, 1, 1);
            }
            let certificate = certificate.signed_by(&key, issuer)?;
            std::fs::write(folder.path().join(format!("{name}.pem")), certificate.pem())?;
            std::fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem())?;
        }
        Ok(Self { folder })
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn of(&self, certificate: Certificate) -> (PathBuf, PathBuf) {
        let name = match certificate {
            Certificate::Good => "good",
            Certificate::Stranger => "stranger",
            Certificate::Expired => "expired",
        };
        (self.folder.path().join(format!("{name}.pem")), self.folder.path().join(format!("{name}.key")))
    }
}

fn authority() -> anyhow::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?)
}

/// Servers with TLS and passwords, and the sandbox.
struct Guarded<'a> {
    nats: Nats,
    redis: Redis,
    sandbox: &'a Running,
    papers: &'a Papers,
}

impl<'a> Guarded<'a> {
    async fn new(
        papers: &'a Papers,
        sandbox: &'a Running,
        nats: Certificate,
        redis: Certificate,
    ) -> anyhow::Result<Self> {
        let nats = NatsOptions {
            user: Some((USER.to_owned(), NATS_PASSWORD.to_owned())),
            tls: Some(papers.of(nats)),
            ..NatsOptions::default()
        };
        let redis = RedisOptions {
            password: Some(REDIS_PASSWORD.to_owned()),
            tls: Some(papers.of(redis)),
            ..RedisOptions::default()
        };
        let (nats, redis) = (Nats::try_start(nats).await?, Redis::try_start(redis).await?);
        Ok(Self { nats, redis, sandbox, papers })
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut environment = self.sandbox.environment_for(SERVICE);
        let ca = self.papers.ca().display().to_string();
        for (name, value) in [
            // The name in the certificates.
            ("NATS_SERVER1", format!("tls://localhost:{}", self.nats.port())),
            ("NATS_USER", USER.to_owned()),
            ("NATS_PASSWORD", NATS_PASSWORD.to_owned()),
            ("NATS_CA_FILE", ca.clone()),
            ("REDIS_HOSTNAME", "localhost".to_owned()),
            ("REDIS_PORT", self.redis.port().to_string()),
            ("REDIS_PASSWORD", REDIS_PASSWORD.to_owned()),
            ("REDIS_TLS", "true".to_owned()),
            ("SSL_CERT_FILE", ca),
        ] {
            set(&mut environment, name, value);
        }
        environment
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let papers = Papers::new()?;
    let hosts = vec!["vco1.sandbox.example".to_owned()];
    let options = SandboxOptions { edges: 1_500, seed: lab.seed, hosts, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await?;
    let mut outcome = Outcome::default();
    {
        let guarded = Guarded::new(&papers, &sandbox, Certificate::Good, Certificate::Good).await?;
        trusted(lab, &guarded, &mut outcome).await?;
        wrong_passwords(lab, &guarded, &mut outcome).await?;
    }
    for (name, certificate) in
        [("an unknown authority", Certificate::Stranger), ("an expired certificate", Certificate::Expired)]
    {
        let guarded = Guarded::new(&papers, &sandbox, certificate, Certificate::Good).await?;
        let (ready, said) = refused_by_nats(lab, &guarded.environment(), "NATS_CA_FILE").await?;
        outcome.check(
            format!("NATS with {name}: never ready, and said why"),
            ready != 200 && said,
            format!("/_ready {ready}"),
        );
        let guarded = Guarded::new(&papers, &sandbox, Certificate::Good, certificate).await?;
        let ended = refused_by_redis(lab, &guarded.environment()).await?;
        outcome.check(format!("Redis with {name}: ends with 1"), ended == 1, format!("exit code {ended}"));
    }
    let log = std::fs::read_to_string(lab.logs.join(LOG)).unwrap_or_default();
    outcome.check("no wrong password in the log", !log.contains(WRONG), "searched");
    sandbox.stop().await;
    dependencies(&mut outcome).await;
    Ok(outcome)
}

const LOG: &str = "velocloud-bridge.log";

async fn start(lab: &Lab, environment: &[(String, String)]) -> anyhow::Result<Service> {
    Service::start(&lab.binaries, SERVICE, environment, Some(&lab.logs.join(LOG))).await
}

/// With the right papers everything works, large payloads included.
async fn trusted(lab: &Lab, guarded: &Guarded<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let service = start(lab, &guarded.environment()).await?;
    service.until_ready().await?;
    let options = async_nats::ConnectOptions::new()
        .add_root_certificates(guarded.papers.ca())
        .require_tls(true)
        .user_and_password(USER.to_owned(), NATS_PASSWORD.to_owned())
        .request_timeout(Some(PATIENCE));
    let client = options.connect(format!("tls://localhost:{}", guarded.nats.port())).await?;
    let ask = async |subject: &'static str, body: Value| {
        let envelope = json!({"request_id": "r-1", "body": body});
        let reply = client.request(subject, envelope.to_string().into()).await?;
        anyhow::Ok(serde_json::from_slice::<Value>(&reply.payload)?)
    };
    let host = guarded.sandbox.hosts().first().context("no host")?;
    let small = ask("request.enterprises.names", json!({"filter": []})).await?;
    let large = ask("get.links.with.edge.info", json!({"host": host})).await?;
    let right = small.get("status") == Some(&json!(200)) && large.get("is_stored") == Some(&json!(true));
    outcome.check(
        "with TLS and passwords small and large replies come",
        right,
        if right { "both" } else { "not" },
    );
    let stranger = async_nats::ConnectOptions::new().connect(guarded.nats.url()).await;
    outcome.check(
        "NATS lets nobody in without",
        stranger.is_err(),
        if stranger.is_err() { "refused" } else { "let in" },
    );
    service.program.stop().await
}

async fn wrong_passwords(lab: &Lab, guarded: &Guarded<'_>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut environment = guarded.environment();
    set(&mut environment, "NATS_PASSWORD", WRONG.to_owned());
    let (ready, said) = refused_by_nats(lab, &environment, "NATS_USER and NATS_PASSWORD").await?;
    outcome.check(
        "a wrong password of NATS: never ready, and said why",
        ready != 200 && said,
        format!("/_ready {ready}"),
    );
    let mut environment = guarded.environment();
    set(&mut environment, "REDIS_PASSWORD", WRONG.to_owned());
    let ended = refused_by_redis(lab, &environment).await?;
    outcome.check("a wrong password of Redis: ends with 1", ended == 1, format!("exit code {ended}"));
    Ok(())
}

/// The status of `/_ready` after the log has named the settings that stand behind it, and whether it has.
async fn refused_by_nats(
    lab: &Lab,
    environment: &[(String, String)],
    named: &str,
) -> anyhow::Result<(u16, bool)> {
    let log = lab.logs.join(LOG);
    let before = length(&log);
    let service = start(lab, environment).await?;
    let began = Instant::now();
    let mut said = false;
    while !said && began.elapsed() < SHOWN {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        said = text.get(before..).is_some_and(|new| new.contains(named));
    }
    let (ready, _) = service.get("/_ready").await?;
    service.program.stop().await?;
    Ok((ready, said))
}

/// The exit code of a service that Redis, or who is in its place, does not satisfy.
async fn refused_by_redis(lab: &Lab, environment: &[(String, String)]) -> anyhow::Result<i32> {
    let log = lab.logs.join(LOG);
    let program: Program = Service::launch(&lab.binaries, SERVICE, environment, Some(&log))?;
    program.ended(SHOWN).await
}

fn length(file: &Path) -> usize {
    std::fs::read_to_string(file).map(|text| text.len()).unwrap_or_default()
}

/// `cargo deny`, as far as it can be had: it needs a network, or its database on this machine, for the advisories.
async fn dependencies(outcome: &mut Outcome) {
    let deny = async |arguments: &[&str]| {
        let output =
            Command::new("cargo").arg("deny").args(arguments).kill_on_drop(true).output().await.ok()?;
        Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    if !deny(&["--version"]).await.is_some_and(|(there, _)| there) {
        outcome.skip("cargo deny is not installed (cargo install cargo-deny): licences, sources and advisories unchecked");
        return;
    }
    if let Some((clean, said)) = deny(&["--offline", "check", "bans", "licenses", "sources"]).await {
        outcome.check("cargo deny: bans, licences, sources", clean, verdict(&said).unwrap_or("no verdict"));
    }
    if let Some((clean, said)) = deny(&["--offline", "check", "advisories"]).await {
        match verdict(&said) {
            Some(verdict) => outcome.check("cargo deny: advisories", clean, verdict),
            None => {
                outcome.skip("cargo deny has no database of advisories here: advisories unchecked");
            }
        }
    }
}

/// What `cargo deny` says at its end when it could check, e.g. `bans ok, licenses FAILED, sources ok`.
fn verdict(said: &str) -> Option<&str> {
    let last = said.lines().rfind(|line| !line.trim().is_empty())?.trim();
    (last.ends_with(" ok") || last.ends_with(" FAILED")).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn cargo_deny_without_a_database_has_no_verdict() {
        let clean = "warning[duplicate]: found 2 duplicate entries\n\nbans ok, licenses ok, sources ok\n";
        assert_eq!(verdict(clean), Some("bans ok, licenses ok, sources ok"));
        assert_eq!(verdict("error[vulnerability]: x\n\nadvisories FAILED\n"), Some("advisories FAILED"));
        for none in [
            "",
            "\n",
            "[ERROR] failed to get 'FETCH_HEAD' metadata\nfatal: cannot change to '/advisory-dbs'\n\n",
        ] {
            assert_eq!(verdict(none), None, "{none}");
        }
    }
}
