//! Reads this crate's sources, so that the catalogue of subjects and the schemas of their payloads cannot differ from the
//! types: `catalogue.rs` lists every type that implements `Rpc` with its documentation, `schemas.json` describes every type
//! that travels.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a build ends when something is wrong"
)]

#[path = "build/schemas.rs"]
mod schemas;
#[path = "build/sources.rs"]
mod sources;

use std::{env, fmt::Write, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=build");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the crate is");
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    let sources = sources::read(&Path::new(&root).join("src"));
    let mut list = String::from("vec![\n");
    for subject in &sources.subjects {
        writeln!(list, "    Entry::of::<{}>({:?}),", subject.path, subject.doc)
            .expect("a text can be written");
    }
    list.push_str("]\n");
    fs::write(Path::new(&out).join("catalogue.rs"), list).expect("the catalogue can be written");
    let schemas = schemas::of(&sources.types);
    fs::write(Path::new(&out).join("schemas.json"), schemas.to_string()).expect("the schemas can be written");
}
