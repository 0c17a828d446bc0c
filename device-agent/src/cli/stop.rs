//! Signals by which people and service managers end a command.

use std::process;

use tokio::signal;

/// Exit code after a second signal, as shells tell of Ctrl-C.
const EXIT_AT_ONCE: i32 = 130;

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

/// Waits for work that was told to stop. A second signal ends the program at once.
pub(super) async fn until_second_signal<T>(work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        Ok(signal) = stop_signal() => {
            eprintln!("{signal} again: stopped at once, whatever was not safe is lost");
            // Whoever is stuck in a read or a write would hold up a return for ever.
            process::exit(EXIT_AT_ONCE);
        }
    }
}
