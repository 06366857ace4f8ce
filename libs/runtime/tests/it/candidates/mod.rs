//! Replicas that campaign for the lease `test`, each in a thread of its own so that it can freeze, and a referee.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use prometheus::IntGauge;
use runtime::{Clock, Leadership, Lease, Periods};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A tenth of production's.
const PERIODS: Periods = Periods {
    renew: Duration::from_millis(300),
    leads_for: Duration::from_millis(700),
    take_over_after: Duration::from_millis(1_000),
    look_every: Duration::from_millis(50),
    answer_within: Duration::from_millis(200),
};

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < limit, "it did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One replica.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) leadership: Leadership,
    release: CancellationToken,
    die: CancellationToken,
    frozen: Arc<AtomicUsize>,
    thread: Handle,
}

impl Candidate {
    pub(crate) fn start(name: &'static str, url: &str) -> Self {
        Self::start_with(name, url, PERIODS)
    }

    /// One that takes over after an hour only.
    pub(crate) fn start_patient(name: &'static str, url: &str) -> Self {
        let hour = Duration::from_secs(3_600);
        Self::start_with(name, url, Periods { leads_for: hour, take_over_after: hour, ..PERIODS })
    }

    fn start_with(name: &'static str, url: &str, periods: Periods) -> Self {
        let (release, die) = (CancellationToken::new(), CancellationToken::new());
        let (started, candidate) = std::sync::mpsc::channel();
        let (url, stop, death) = (url.to_owned(), release.clone(), die.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let client = async_nats::ConnectOptions::new()
                    .retry_on_initial_connect()
                    .ping_interval(Duration::from_millis(500))
                    .connect(url)
                    .await
                    .unwrap();
                let lease = Lease { key: "test".to_owned(), holder: name.to_owned(), periods };
                let gauge = IntGauge::new("leader", "Leads").unwrap();
                let (leadership, campaign) = lease.campaign(client.into(), Clock::system(), gauge, stop);
                started.send((leadership, Handle::current())).unwrap();
                Box::pin(death.run_until_cancelled(campaign)).await;
            });
        });
        let (leadership, thread) = candidate.recv().unwrap();
        Self { name, leadership, release, die, frozen: Arc::default(), thread }
    }

    /// The graceful stop.
    pub(crate) fn release(&self) {
        self.release.cancel();
    }

    /// The end without a word, connection included.
    pub(crate) fn kill(&self) {
        self.die.cancel();
    }

    /// Stops everything that this replica does for a while, as SIGSTOP would.
    pub(crate) fn freeze(&self, span: Duration) {
        self.frozen.fetch_add(1, Ordering::SeqCst);
        let frozen = Arc::clone(&self.frozen);
        self.thread.spawn(async move {
            thread::sleep(span);
            frozen.fetch_sub(1, Ordering::SeqCst);
        });
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Referee {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for candidate in &self.candidates {
            candidate.kill();
        }
    }
}

/// Looks all the time whether two lead at the same instant.
pub(crate) struct Referee {
    candidates: Vec<Candidate>,
    over: Arc<AtomicBool>,
    foul: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
}

impl Referee {
    pub(crate) fn of<const N: usize>(candidates: &[Candidate; N]) -> Self {
        let candidates = candidates.to_vec();
        let (over, foul, looks) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default(), Arc::default());
        let referee = Self {
            candidates: candidates.clone(),
            over: over.clone(),
            foul: foul.clone(),
            looks: Arc::clone(&looks),
        };
        thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                // One instant for all: who has taken over after it does not count yet.
                let at = Instant::now();
                let leaders = candidates.iter().filter(|candidate| candidate.leadership.led_at(at)).count();
                if leaders > 1 {
                    foul.store(true, Ordering::SeqCst);
                }
                looks.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
            }
        });
        referee
    }

    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        self.candidates.clone()
    }

    /// Who leads, and could act on it.
    pub(crate) fn leader(&self) -> Option<Candidate> {
        self.candidates
            .iter()
            .find(|candidate| candidate.leadership.is_leader() && !candidate.is_frozen())
            .cloned()
    }

    pub(crate) fn never_saw_two(&self) {
        assert!(self.looks.load(Ordering::SeqCst) > 0, "the referee did not look");
        assert!(!self.foul.load(Ordering::SeqCst), "two led at the same time");
    }
}

/// A way to the server that can be shut: connections stay, nothing passes.
pub(crate) struct Gate {
    port: u16,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(crate) async fn open(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = watch::Sender::new(true);
        let gate = open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, gate.subscribe()));
                tokio::spawn(pass(from_server, to_client, gate.subscribe()));
            }
        });
        Self { port, open }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn reopen(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) {
    let mut buffer = [0; 4_096];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 || open.wait_for(|open| *open).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
