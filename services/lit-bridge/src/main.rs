//! The process `lit-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&lit_bridge::service())
}
