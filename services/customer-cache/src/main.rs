//! The customer cache's process.

fn main() -> std::process::ExitCode {
    runtime::main(&customer_cache::service())
}
