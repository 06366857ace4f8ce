//! The process `digi-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&digi_bridge::service())
}
