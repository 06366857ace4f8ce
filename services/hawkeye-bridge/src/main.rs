//! The process `hawkeye-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&hawkeye_bridge::service())
}
