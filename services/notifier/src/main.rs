//! The notifier as a process of its own.

fn main() -> std::process::ExitCode {
    runtime::main(&notifier::service())
}
