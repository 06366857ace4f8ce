//! The process `bruin-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&bruin_bridge::service())
}
