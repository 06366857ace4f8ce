//! The short form of the experiment, and the failures of old, shrunk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{fs, path::Path};

use worlds::{Options, Scenario, prove, run};

/// Runs of the short form; `WORLDS_RUNS` and `WORLDS_SEED` ask for others.
const RUNS: u64 = 40;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[test]
fn no_promise_is_broken_in_random_worlds() {
    let failures = usize::try_from(number("WORLDS_FAILURES", 1)).unwrap();
    let options = Options { runs: number("WORLDS_RUNS", RUNS), seed: number("WORLDS_SEED", 1), failures };
    let report = prove(options, |_| {}).unwrap();
    println!("{report}");
    for failure in &report.failures {
        println!(
            "seed {}: {:?}\n{}\n{}\n",
            failure.seed,
            failure.broken,
            failure.log.join("\n"),
            serde_json::to_string(&failure.scenario).unwrap()
        );
    }
    assert!(report.failures.is_empty());
}

#[test]
fn a_run_can_be_repeated_from_its_seed() {
    for seed in 0..6 {
        let scenario = Scenario::random(seed);
        let (one, other) = (run(&scenario).unwrap(), run(&scenario).unwrap());
        assert_eq!(one.log, other.log, "seed {seed}");
        assert_eq!(one.fingerprint, other.fingerprint, "seed {seed}");
    }
}

#[test]
fn what_failed_once_holds_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let scenario: Scenario = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let ran = run(&scenario).unwrap();
        assert_eq!(ran.broken, [], "{}", path.display());
    }
}
