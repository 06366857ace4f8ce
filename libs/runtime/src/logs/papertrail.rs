//! Records as syslog over UDP (spec `00-messaging`, "Papertrail").
//!
//! A thread of its own resolves the name and sends, so that no service ever waits for it. What does not fit into its queue
//! is dropped and counted.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::format;
use super::record::{Record, Severity};
use crate::settings::PapertrailSettings;

/// Records which may wait to be sent.
const QUEUE: usize = 1_024;

/// The longest text of a datagram, in bytes; larger ones are lost on many ways.
const LONGEST: usize = 8_192;

/// After a failed resolution, how long until the next; records of that time are lost.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// Facility "user-level messages".
const USER: u8 = 1;

enum Order {
    Send(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where records are sent. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Papertrail {
    settings: Arc<PapertrailSettings>,
    environment: Arc<str>,
    hostname: Arc<str>,
    queue: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

impl Papertrail {
    pub(crate) fn start(
        settings: PapertrailSettings,
        environment: String,
        hostname: String,
    ) -> std::io::Result<Self> {
        let (queue, orders) = mpsc::sync_channel(QUEUE);
        let (host, port) = (settings.host.clone(), settings.port);
        std::thread::Builder::new()
            .name("papertrail".to_owned())
            .spawn(move || deliver(&orders, &host, port))?;
        Ok(Self {
            settings: Arc::new(settings),
            environment: environment.into(),
            hostname: hostname.into(),
            queue,
            dropped: Arc::default(),
        })
    }

    pub(crate) fn send(&self, record: &Record) {
        let datagram = self.datagram(record);
        if self.queue.try_send(Order::Send(datagram)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything queued before was sent.
    pub(crate) fn flush(&self, within: Duration) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "log records did not reach Papertrail");
        }
        let (done, waiting) = mpsc::sync_channel(1);
        if self.queue.try_send(Order::Flush(done)).is_ok() {
            let _ = waiting.recv_timeout(within);
        }
    }

    /// `<PRI>` + text + NUL.
    fn datagram(&self, record: &Record) -> Vec<u8> {
        let severity = match record.severity {
            Severity::Debug => 7,
            Severity::Info => 6,
            Severity::Warning => 4,
            Severity::Error => 3,
            Severity::Critical => 2,
        };
        let prefix = self.settings.prefix.clone();
        let prefix = prefix.unwrap_or_else(|| format!("{}-{}", self.environment, record.service));
        let text = format::line(record, &[&self.environment, &self.hostname, &prefix]);
        let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end));
        let text = text.get(..end.unwrap_or_default()).unwrap_or_default();
        format!("<{}>{text}\0", USER * 8 + severity).into_bytes()
    }
}

/// Sends until nobody can order any more.
fn deliver(orders: &Receiver<Order>, host: &str, port: u16) {
    let mut socket: Option<UdpSocket> = None;
    let mut tried: Option<Instant> = None;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Flush(done) => {
                let _ = done.try_send(());
            }
            Order::Send(datagram) => {
                if socket.is_none() && tried.is_none_or(|at| at.elapsed() >= RESOLVE_EVERY) {
                    tried = Some(Instant::now());
                    socket = connect(host, port);
                }
                if let Some(open) = &socket {
                    // A refusal is about an earlier datagram; a lost record is no reason for more.
                    let _ = open.send(&datagram);
                }
            }
        }
    }
}

fn connect(host: &str, port: u16) -> Option<UdpSocket> {
    use std::net::ToSocketAddrs;
    let addresses = (host, port).to_socket_addrs().ok()?;
    addresses.into_iter().find_map(|address| {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(address).ok()?;
        Some(socket)
    })
}
