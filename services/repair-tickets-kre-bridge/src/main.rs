//! The process `repair-tickets-kre-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&repair_tickets_kre_bridge::service())
}
