//! Where `fleet up` leaves the address of the NATS server that it started, for other commands on this machine.

use std::{
    fs,
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

/// A file with an address, removed when this is dropped.
#[derive(Debug)]
pub struct Beacon {
    file: PathBuf,
    url: String,
}

impl Beacon {
    /// Leaves the address; `None` when the folder cannot be written: others must then be told it.
    pub fn light(folder: &Path, url: &str) -> Option<Self> {
        let file = folder.join(NAME);
        // Never through a link that somebody else has put there.
        let _ = fs::remove_file(&file);
        fs::write(&file, url).ok()?;
        Some(Self { file, url: url.to_owned() })
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        // A fleet that was started later has left its own.
        if fs::read_to_string(&self.file).is_ok_and(|url| url == self.url) {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// The address that the running fleet left; one that was killed leaves it, too.
pub fn seen(folder: &Path) -> Option<String> {
    let url = fs::read_to_string(folder.join(NAME)).ok()?;
    (!url.trim().is_empty()).then(|| url.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_there_while_the_fleet_runs() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(seen(folder.path()), None);
        let first = Beacon::light(folder.path(), "nats://127.0.0.1:1");
        assert_eq!(seen(folder.path()).as_deref(), Some("nats://127.0.0.1:1"));
        let second = Beacon::light(folder.path(), "nats://127.0.0.1:2");
        drop(first);
        assert_eq!(seen(folder.path()).as_deref(), Some("nats://127.0.0.1:2"));
        drop(second);
        assert_eq!(seen(folder.path()), None);
    }
}
