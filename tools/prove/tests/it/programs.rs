//! The services' programs of this profile.

use std::path::{Path, PathBuf};

/// The folder of the programs, which are built with the tests of the whole workspace.
pub(crate) fn folder(programs: &[&str]) -> PathBuf {
    // target/<profile>/deps/it-<hash>
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().to_owned();
    for program in programs {
        let stale = stale(&folder, program);
        assert!(stale.is_none(), "{}: run cargo build --workspace --all-targets", stale.unwrap_or_default());
    }
    folder
}

/// Why a program does not show what its sources do: cargo lists these beside it.
fn stale(folder: &Path, program: &str) -> Option<String> {
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let file = folder.join(program);
    let (Some(built), Ok(listed)) =
        (changed(&file), std::fs::read_to_string(folder.join(format!("{program}.d"))))
    else {
        return Some(format!("{} is not built", file.display()));
    };
    let (_, sources) = listed.split_once(": ").expect("a list of sources");
    // A blank inside of a path is written as `\ `.
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split_whitespace().map(|source| source.replace('\0', " "));
    let newer = sources.find(|source| changed(Path::new(source)).is_none_or(|changed| changed > built))?;
    Some(format!("{} is older than {newer}", file.display()))
}
