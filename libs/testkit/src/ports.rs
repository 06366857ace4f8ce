//! Ports that no other test takes, also while a server is down between a kill and its restart.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// Below the ephemeral range of every system, so that no outgoing connection takes one by chance.
const RANGE: std::ops::Range<u16> = 10_000..30_000;

/// A port on the loopback interface, reserved among all processes of this user that have this crate (by a lock on a
/// file) until dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A port that is free now.
    pub(crate) fn reserve() -> anyhow::Result<Self> {
        let folder = own_folder(&std::env::temp_dir())?;
        for _ in 0..1000 {
            let number = rand::random_range(RANGE);
            let file = folder.join(number.to_string());
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
            let lock = lock.with_context(|| format!("cannot open {}", file.display()))?;
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

/// The folder of the locks below `parent`. Nobody else may have made it: its files could be links to those of this user.
fn own_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = parent.join(format!("testkit-ports-{user}"));
    let created = DirBuilder::new().mode(0o700).create(&folder);
    if let Err(error) =
        created.or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
    {
        return Err(error).with_context(|| format!("cannot create {}", folder.display()));
    }
    let found = folder.symlink_metadata().with_context(|| format!("cannot read {}", folder.display()))?;
    anyhow::ensure!(found.is_dir() && found.uid() == user, "{} is not this user's folder", folder.display());
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn locks_are_in_a_folder_of_ones_own() {
        let parent = tempfile::tempdir().unwrap();
        let folder = own_folder(parent.path()).unwrap();
        assert_eq!(own_folder(parent.path()).unwrap(), folder);
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::remove_dir(&folder).unwrap();
        symlink(parent.path(), &folder).unwrap();
        let error = own_folder(parent.path()).unwrap_err().to_string();
        assert!(error.ends_with("is not this user's folder"), "{error}");
    }
}
