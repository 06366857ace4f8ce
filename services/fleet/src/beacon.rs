//! Where `fleet up` leaves the addresses of the servers that it started, for other commands on this machine.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The file's name.
const NAME: &str = "automation-engine-fleet.nats";

/// The folder of such files: the user's own where there is one, else the system's for temporary files.
pub fn folder() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

/// A file with addresses, removed when this is dropped.
#[derive(Debug)]
pub struct Beacon {
    file: PathBuf,
    text: String,
}

/// What a running fleet left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// URL of its NATS server.
    pub nats: String,
    /// Host and port of its Redis, when it started one.
    pub redis: Option<(String, u16)>,
}

impl Beacon {
    /// Leaves the addresses; `None` when the folder cannot be written: others must then be told them.
    pub fn light(folder: &Path, nats: &str, redis: Option<(&str, u16)>) -> Option<Self> {
        let redis = redis.map(|(host, port)| format!("{host} {port}\n")).unwrap_or_default();
        let text = format!("{nats}\n{redis}");
        let file = folder.join(NAME);
        // Never through a link that somebody else has put there: what cannot be removed is left alone.
        let _ = fs::remove_file(&file);
        fs::File::create_new(&file).and_then(|mut file| file.write_all(text.as_bytes())).ok()?;
        Some(Self { file, text })
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        // A fleet that was started later has left its own.
        if fs::read_to_string(&self.file).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// The addresses that the running fleet left; one that was killed leaves them, too.
pub fn seen(folder: &Path) -> Option<Addresses> {
    let text = fs::read_to_string(folder.join(NAME)).ok()?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let nats = lines.next()?.to_owned();
    let redis = lines.next().and_then(|line| {
        let (host, port) = line.split_once(' ')?;
        Some((host.to_owned(), port.parse().ok()?))
    });
    Some(Addresses { nats, redis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_there_while_the_fleet_runs() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(seen(folder.path()), None);
        let addresses = |port: u16, redis: Option<(&str, u16)>| {
            let redis = redis.map(|(host, port)| (host.to_owned(), port));
            Some(Addresses { nats: format!("nats://127.0.0.1:{port}"), redis })
        };
        let first = Beacon::light(folder.path(), "nats://127.0.0.1:1", None);
        assert_eq!(seen(folder.path()), addresses(1, None));
        let redis = Some(("127.0.0.1", 7));
        let second = Beacon::light(folder.path(), "nats://127.0.0.1:2", redis);
        drop(first);
        assert_eq!(seen(folder.path()), addresses(2, redis));
        drop(second);
        assert_eq!(seen(folder.path()), None);
    }
}
