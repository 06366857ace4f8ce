//! The program `prove`; see the library.

fn main() -> std::process::ExitCode {
    prove::main()
}
