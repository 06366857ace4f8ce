//! Telling a story: steps that wait for something to happen in the simulated world.

use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use sandbox::World;

/// The world's clock moves by so much between two looks. Fine enough for a quarantine of three minutes.
const PACE: Duration = Duration::from_secs(20);
/// Real time between two looks: what the engine needs to act on what is due.
const BREATH: Duration = Duration::from_millis(60);

/// When the world's time for a step is over it stands still for so long in real time: a busy machine may be behind with
/// what is due.
const GRACE: Duration = Duration::from_secs(10);

/// The story so far.
pub(super) struct Story {
    /// The simulated world.
    pub(super) world: World,
    began: std::time::Instant,
    happened: usize,
    missed: Vec<String>,
    /// The lines of a story that is told later.
    kept: Option<Mutex<Vec<String>>>,
}

impl Story {
    /// A story in this world.
    pub(super) fn new(world: World) -> Self {
        Self { world, began: std::time::Instant::now(), happened: 0, missed: Vec::new(), kept: None }
    }

    /// A story that happens meanwhile in a world of its own, and is told later ([`Self::add`]).
    pub(super) fn aside(world: World) -> Self {
        Self { kept: Some(Mutex::default()), ..Self::new(world) }
    }

    /// Tells what happened meanwhile, as a chapter.
    pub(super) fn add(&mut self, title: &str, aside: Self) {
        Self::chapter(title);
        for line in aside.kept.map(Mutex::into_inner).unwrap_or_default() {
            self.say(line);
        }
        self.happened += aside.happened;
        self.missed.extend(aside.missed);
    }

    fn say(&self, line: String) {
        match &self.kept {
            Some(kept) => kept.lock().push(line),
            None => println!("{line}"),
        }
    }

    /// Begins a chapter.
    pub(super) fn chapter(title: &str) {
        println!("\n{title}");
    }

    /// Tells what was done to the world.
    pub(super) fn tell(&self, what: &str) {
        self.say(format!("  {}  {what}", time(self.world.now())));
    }

    /// Lets the world's time pass until `look` sees what the engine should do, at most for `within` of the world's time.
    /// Says whether it happened; a step that did not is told at the end.
    pub(super) async fn until(
        &mut self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&World) -> Option<String>,
    ) -> bool {
        let until = self.world.now() + within;
        let mut over = None;
        loop {
            if let Some(detail) = look(&self.world) {
                self.happened += 1;
                self.say(format!(
                    "  {}  \u{2713} {what}{}{detail}",
                    time(self.world.now()),
                    if detail.is_empty() { "" } else { ": " }
                ));
                return true;
            }
            if self.world.now() < until {
                self.world.advance(PACE);
            } else if over.get_or_insert_with(std::time::Instant::now).elapsed() > GRACE {
                self.say(format!(
                    "  {}  \u{2717} {what}: did not happen within {} s",
                    time(self.world.now()),
                    within.as_secs()
                ));
                self.missed.push(what.to_owned());
                return false;
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Lets the world's time pass and checks all the while that `look` sees nothing wrong.
    pub(super) async fn meanwhile(
        &mut self,
        what: &str,
        span: Duration,
        mut look: impl FnMut(&World) -> Option<String>,
    ) -> bool {
        let until = self.world.now() + span;
        while self.world.now() < until {
            if let Some(wrong) = look(&self.world) {
                self.say(format!("  {}  \u{2717} {what}: {wrong}", time(self.world.now())));
                self.missed.push(what.to_owned());
                return false;
            }
            self.world.advance(PACE);
            tokio::time::sleep(BREATH).await;
        }
        self.happened += 1;
        self.say(format!("  {}  \u{2713} {what}", time(self.world.now())));
        true
    }

    /// The end: an error that names every step which did not happen.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.missed.is_empty() {
            println!("\nAll {} steps happened, in {seconds:.1} s.", self.happened);
            return Ok(());
        }
        anyhow::bail!(
            "{} of {} steps did not happen: {}",
            self.missed.len(),
            self.happened + self.missed.len(),
            self.missed.join("; ")
        )
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%a %H:%M:%S").to_string()
}
