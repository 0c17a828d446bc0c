use std::io;

use thiserror::Error;

/// What ONNX Runtime reads before its first line of code runs: with `1` it tells its makers nothing.
const SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// The program cannot begin anew.
#[derive(Debug, Error)]
#[error(
    "cannot start again without the telemetry of ONNX Runtime: {0}. Set {SWITCH}=1 in the environment"
)]
pub struct TelemetryError(io::Error);

/// Begins the program anew where ONNX Runtime would tell its makers of it; returns where it would not.
///
/// Its library keeps a number of the device in the home folder, notes what is loaded and sends it away, from when it is
/// loaded and whatever it is told afterwards; a camera is nobody's business. The one switch that comes early enough is
/// in the environment, which a program with threads cannot safely change. Who has set it keeps what they set.
///
/// # Errors
/// When the system does not start the program again.
pub fn without_telemetry() -> Result<(), TelemetryError> {
    if std::env::var_os(SWITCH).is_some() {
        return Ok(());
    }
    begin_anew()
}

#[cfg(unix)]
fn begin_anew() -> Result<(), TelemetryError> {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let program = std::env::current_exe().map_err(TelemetryError)?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // The process stays, and with it its number and its open files.
    Err(TelemetryError(
        command.args(arguments).env(SWITCH, "1").exec(),
    ))
}

/// Elsewhere the library heeds what it is told once it is loaded.
#[cfg(not(unix))]
fn begin_anew() -> Result<(), TelemetryError> {
    Ok(())
}
