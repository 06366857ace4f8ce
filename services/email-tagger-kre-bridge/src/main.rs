//! The process `email-tagger-kre-bridge`.

fn main() -> std::process::ExitCode {
    runtime::main(&email_tagger_kre_bridge::service())
}
