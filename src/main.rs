//! The command `wgrad`: nothing but the call into `cli`.

fn main() -> std::process::ExitCode {
    wgrad::cli::main()
}
