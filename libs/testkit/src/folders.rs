//! Where the workspace is, wherever a test runs.

use std::path::{Path, PathBuf};

/// The root of the workspace: the nearest folder upwards with a `Cargo.lock`, from the package under test (cargo and
/// nextest set `CARGO_MANIFEST_DIR`) or else from the current folder.
pub(crate) fn workspace() -> Option<PathBuf> {
    let start =
        std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).or_else(|| std::env::current_dir().ok())?;
    start.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).map(Path::to_path_buf)
}
