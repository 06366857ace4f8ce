//! The process `velocloud-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&velocloud_bridge::service())
}
