//! Compiles the models' contracts without `protoc`.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for contract in ["t7", "email_tagger", "repair_tickets"] {
        let folder = PathBuf::from("proto").join(contract);
        println!("cargo::rerun-if-changed={}", folder.display());
        let descriptors = protox::compile(["public_input.proto"], [&folder])?;
        std::fs::write(out.join(contract).with_extension("bin"), descriptors.encode_to_vec())?;
    }
    Ok(())
}
