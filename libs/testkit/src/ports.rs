//! Ports that no other test takes, also while a server is down between a kill and its restart.

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Context, bail};

/// Below the ephemeral range of every system, so that no outgoing connection takes one by chance.
const RANGE: std::ops::Range<u16> = 10_000..30_000;

/// A port on the loopback interface, reserved among all users of this crate on the machine (by a lock on a file) until
/// dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A port that is free now.
    pub(crate) fn reserve() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join("testkit-ports");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for _ in 0..1000 {
            let number = rand::random_range(RANGE);
            let lock = File::create(folder.join(number.to_string()))?;
            match lock.try_lock() {
                Ok(()) if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() => {
                    return Ok(Self { number, _lock: lock });
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).context("cannot lock a port's file"),
            }
        }
        bail!("no free port between {} and {}", RANGE.start, RANGE.end)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}
