//! The process `t7-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&t7_bridge::service())
}
