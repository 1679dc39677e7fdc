//! Runs the vendored protoc with the arguments it was given and with its own include directory added.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let (protoc, include) =
        match (protoc_bin_vendored::protoc_bin_path(), protoc_bin_vendored::include_path()) {
            (Ok(protoc), Ok(include)) => (protoc, include),
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("no protoc for this machine: {error}; install one (Debian: protobuf-compiler)");
                return ExitCode::FAILURE;
            }
        };
    let status = Command::new(protoc).args(std::env::args_os().skip(1)).arg("-I").arg(include).status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("protoc did not start: {error}");
            ExitCode::FAILURE
        }
    }
}
