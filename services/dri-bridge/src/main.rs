//! The process `dri-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&dri_bridge::service())
}
