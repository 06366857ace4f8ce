//! Every corpus of `fuzz/corpus`, and mutations of its files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

/// The files of a corpus.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_file_of_every_corpus_is_survived() {
    for (name, parse) in parsers::ALL {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has no corpus");
        for bytes in &files {
            parse(bytes);
        }
    }
}

#[test]
fn every_corpus_has_its_fuzz_target() {
    let targets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    for (name, _) in parsers::ALL {
        let text = fs::read_to_string(targets.join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("parsers::{name}(")), "{name}");
    }
}

/// A piece cut out of a text, and what stands there instead.
fn mutations() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "null", "{}", "[]", "\"", "\\", "1e999", "-", "NaN", "\\ud800", ",", "\u{0}", "é"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec((any::<usize>(), 0..12_usize, piece), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutations_of_every_corpus_are_survived(which in any::<usize>(), changes in mutations()) {
        for (name, parse) in parsers::ALL {
            let files = corpus(name);
            let mut bytes = files.get(which % files.len()).unwrap().clone();
            for (at, cut, piece) in &changes {
                let from = at % (bytes.len() + 1);
                let to = (from + cut).min(bytes.len());
                bytes.splice(from..to, piece.iter().copied());
            }
            parse(&bytes);
        }
    }
}
