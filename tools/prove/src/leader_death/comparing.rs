//! Plays scenes, and compares what becomes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use measure::Service;
use tokio::task::JoinSet;

use super::account::Account;
use super::points::{Plot, Point, Scene};
use super::stage::{PATIENCE, Stage};
use crate::experiment::Lab;

/// A scene that was played, undisturbed and with deaths.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What happened.
    pub plot: Plot,
    /// What came of it when nobody died.
    pub undisturbed: Account,
    /// What came of it else: a death for each point of the scene, in its order.
    pub deaths: Vec<Death>,
}

/// A leader that died.
#[derive(Debug, Clone)]
pub struct Death {
    /// Where in its cycle.
    pub at: &'static str,
    /// How long after its death another one led.
    pub takeover: Duration,
    /// What came of the plot.
    pub account: Account,
    /// What is missing in comparison with the undisturbed run, and what is there besides; empty when they are the same.
    pub differences: Vec<String>,
}

/// What is played on a host.
struct Run {
    scene: usize,
    /// The point's place in its scene; none: undisturbed.
    place: Option<usize>,
    serial: String,
    takeover: Duration,
    _replicas: Vec<Service>,
}

/// Plays every scene undisturbed and once for each of its points, each on a VeloCloud host of its own with two replicas
/// of the monitor, all at the same time. Returns a comparison for each scene when nothing changes any more.
///
/// # Errors
/// When a program is missing or does not start, a point is never reached, nobody takes over, an undisturbed run does not
/// come to its end, or the tickets never come to rest.
pub async fn compare(lab: &Lab, scenes: &[Scene]) -> anyhow::Result<Vec<Comparison>> {
    let hosts = scenes.iter().map(|scene| 1 + scene.points.len()).sum();
    let stage = Arc::new(Stage::with_hosts(lab, hosts).await?);
    let parts = scenes.iter().enumerate().flat_map(|(number, scene)| {
        let deaths = scene.points.iter().enumerate().map(|(place, point)| Some((place, *point)));
        std::iter::once(None).chain(deaths).map(move |death| (number, scene.plot, death))
    });
    let mut played = JoinSet::new();
    for ((scene, plot, death), host) in parts.zip(stage.hosts().to_vec()) {
        let stage = Arc::clone(&stage);
        played.spawn(async move { play(&stage, &host, scene, plot, death).await });
    }
    let mut runs = Vec::new();
    while let Some(run) = played.join_next().await {
        runs.push(run??);
    }
    // An undisturbed run is before those with deaths, and these are in the order of the points.
    runs.sort_by_key(|run| (run.scene, run.place));
    let accounts = until_equal(&stage, &runs).await?;
    scenes.iter().enumerate().map(|(number, scene)| comparison(number, scene, &runs, &accounts)).collect()
}

/// Plays one plot, up to the take-over when a leader is to die.
async fn play(
    stage: &Stage,
    host: &str,
    scene: usize,
    plot: Plot,
    death: Option<(usize, Point)>,
) -> anyhow::Result<Run> {
    let device = stage.device(host)?;
    let leader = stage.monitor(host, "leader").await?;
    let (holder, _) = stage.until_led(host, None).await?;
    let mut replicas = vec![stage.monitor(host, "follower").await?];
    let mut takeover = Duration::ZERO;
    if let Some((_, point)) = death {
        // Listen before it can happen.
        let messages = stage.tap(point).await?;
        stage.play(plot, &device)?;
        let killed = stage.kill_at(point, messages, &device, leader).await?;
        let (_, led) = stage.until_led(host, Some(&holder)).await?;
        takeover = led.duration_since(killed);
    } else {
        stage.play(plot, &device)?;
        replicas.push(leader);
    }
    let place = death.map(|(place, _)| place);
    Ok(Run { scene, place, serial: device.serial, takeover, _replicas: replicas })
}

/// Waits until every run has come to the same as the undisturbed one of its scene, or patience has ended, and until then
/// nothing more comes; returns what each has come to.
async fn until_equal(stage: &Stage, runs: &[Run]) -> anyhow::Result<Vec<Account>> {
    let look = || runs.iter().map(|run| Account::of(stage.world(), &run.serial)).collect::<Vec<_>>();
    let began = Instant::now();
    let (mut accounts, mut since) = (look(), Instant::now());
    loop {
        let waited_enough = began.elapsed() > PATIENCE || all_equal(runs, &accounts);
        if waited_enough && since.elapsed() > stage.pace.rest {
            return Ok(accounts);
        }
        anyhow::ensure!(began.elapsed() < PATIENCE * 2, "the tickets never come to rest");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = look();
        if now != accounts {
            (accounts, since) = (now, Instant::now());
        }
    }
}

/// Whether each is like the undisturbed one before it, those of a scene standing together.
fn all_equal(runs: &[Run], accounts: &[Account]) -> bool {
    let mut undisturbed = None;
    runs.iter().zip(accounts).all(|(run, account)| {
        if run.place.is_none() {
            undisturbed = Some(account);
        }
        undisturbed.is_some_and(|undisturbed| undisturbed.lines == account.lines)
    })
}

fn comparison(
    number: usize,
    scene: &Scene,
    runs: &[Run],
    accounts: &[Account],
) -> anyhow::Result<Comparison> {
    let mut of_scene = runs.iter().zip(accounts).filter(|(run, _)| run.scene == number);
    let undisturbed = of_scene.next().map(|(_, account)| account.clone()).unwrap_or_default();
    // Else nothing is compared with nothing.
    for wanted in scene.plot.leads_to() {
        let there = undisturbed.lines.iter().any(|line| line == wanted);
        anyhow::ensure!(there, "{:?}, undisturbed, has not {wanted:?}: {:#?}", scene.plot, undisturbed.lines);
    }
    let deaths = scene.points.iter().zip(of_scene).map(|(point, (run, account))| {
        let missing = undisturbed.without(account).into_iter().map(|line| format!("missing: {line}"));
        let besides = account.without(&undisturbed).into_iter().map(|line| format!("besides: {line}"));
        Death {
            at: point.what,
            takeover: run.takeover,
            account: account.clone(),
            differences: missing.chain(besides).collect(),
        }
    });
    let deaths = deaths.collect();
    Ok(Comparison { plot: scene.plot, undisturbed, deaths })
}
