//! The process: see the library.

fn main() -> std::process::ExitCode {
    runtime::main(&service_outage_monitor::service())
}
