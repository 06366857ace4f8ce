//! The process `cts-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&cts_bridge::service())
}
