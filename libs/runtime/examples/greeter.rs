//! The smallest complete service: a setting, a secret, a route, a job. The tests of `runtime` run it as a process.

use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, post};
use runtime::{AtStart, Context, FromEnvironment, Invalid, Reader, Runnable, Service};
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, info_span};

struct Greeter;

struct Config {
    greeting: String,
    key: SecretString,
    broken: bool,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let greeting = env.required("GREETING", "a word to greet with, e.g. hello");
        let key = env.secret("KEY", "the key to the door");
        let broken = env.flag("BROKEN", false);
        Ok(Self { greeting: greeting?, key: key?, broken: broken? })
    }
}

impl Service for Greeter {
    const NAME: &'static str = "greeter";
    const ABOUT: &'static str = "Greets whoever asks";
    const MESSAGING: bool = false;
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        if config.broken {
            let nowhere: Result<(), _> = Err(std::io::Error::other("nobody is there"));
            nowhere.context("cannot find anybody to greet")?;
        }
        let Config { greeting, key, .. } = config;
        let failing = ctx.clone();
        ctx.http(
            Router::new()
                .route(
                    "/greet",
                    get(async move || {
                        info_span!("greet", visitor = "jane@example.com").in_scope(|| {
                            info!("{greeting} with {}", key.expose_secret());
                        });
                        greeting
                    }),
                )
                .route("/fail", post(async move || failing.fail(anyhow::anyhow!("told to fail")))),
        );
        let interval = std::time::Duration::from_secs(60);
        ctx.schedule().every("look around", interval, AtStart::Yes, async || info!("nobody there"));
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    runtime::main(&Runnable::of::<Greeter>())
}
