//! What libraries read from the environment before `main`, and never again.

use std::process::Command;
use std::{env, io};

use thiserror::Error;

/// With `1` ONNX Runtime tells its makers nothing. Its library keeps a number of the device in the home folder, notes
/// what is loaded and sends it away, from when it is loaded and whatever it is told afterwards; a camera is nobody's
/// business.
const TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");
/// Bytes from which glibc gives a piece of memory back to the system as soon as it is freed. Unless it is named, glibc
/// raises it to the largest piece that was ever freed, up to 32 MiB, and what loading a model leaves stays for good: 12 of
/// 84 MB with YOLO11n. Most weights are larger than this; smaller values save nothing more.
const ALLOCATOR: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "32768");

/// The program cannot begin anew.
#[derive(Debug, Error)]
#[error(
    "cannot start again without the telemetry of ONNX Runtime: {0}. Set {name}={value} in the environment",
    name = TELEMETRY.0, value = TELEMETRY.1
)]
pub struct EnvironmentError(io::Error);

/// Begins the program anew, in the same process, where its environment lacks a setting that can come only from there: a
/// program with threads cannot safely change its own. Who has set one keeps what they set.
///
/// # Errors
/// When the system does not start the program again.
pub fn settle_environment() -> Result<(), EnvironmentError> {
    let missing: Vec<_> = [TELEMETRY, ALLOCATOR]
        .into_iter()
        .filter(|(name, _)| env::var_os(name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    begin_anew(&missing)
}

/// Keeps the allocator's setting from a child, which may free and take large pieces at every turn and would only become
/// slower.
pub(crate) fn unsettled(command: &mut Command) -> &mut Command {
    command.env_remove(ALLOCATOR.0)
}

#[cfg(unix)]
fn begin_anew(missing: &[(&str, &str)]) -> Result<(), EnvironmentError> {
    use std::os::unix::process::CommandExt;

    let program = env::current_exe().map_err(EnvironmentError)?;
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // The process stays, and with it its number and its open files.
    let error = command.args(arguments).envs(missing.iter().copied()).exec();
    Err(EnvironmentError(error))
}

/// Elsewhere the library heeds what it is told once it is loaded.
#[cfg(not(unix))]
fn begin_anew(_missing: &[(&str, &str)]) -> Result<(), EnvironmentError> {
    Ok(())
}
