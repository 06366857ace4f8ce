//! The process of the Hawkeye customer cache.

fn main() -> std::process::ExitCode {
    runtime::main(&hawkeye_customer_cache::service())
}
