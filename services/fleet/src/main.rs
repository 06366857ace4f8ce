//! The fleet's process.

fn main() -> std::process::ExitCode {
    fleet::main()
}
