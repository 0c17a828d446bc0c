//! Signals by which people and service managers end a command.

use tokio::signal;

/// Waits for SIGTERM or Ctrl-C and names it.
#[cfg(unix)]
pub(super) async fn stop_signal() -> std::io::Result<&'static str> {
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        pressed = signal::ctrl_c() => pressed.map(|()| "SIGINT"),
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(super) async fn stop_signal() -> std::io::Result<&'static str> {
    signal::ctrl_c().await.map(|()| "Ctrl-C")
}
