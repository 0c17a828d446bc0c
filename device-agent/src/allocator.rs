//! glibc's allocator, told to keep giving memory back.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::{env, os::unix::process::CommandExt};

use std::process::Command;

/// What glibc reads before `main` and never again.
const NAME: &str = "MALLOC_MMAP_THRESHOLD_";

/// Bytes from which a piece of memory goes back to the system as soon as it is freed. Unless it is named, glibc raises it
/// to the largest piece that was ever freed, up to 32 MiB, and what loading a model leaves stays for good: 12 of 84 MB
/// with YOLO11n. Most weights are larger than this; smaller values save nothing more.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BYTES: &str = "32768";

/// Starts this program anew in the same process, with the setting in its environment. Where that fails, and where the
/// owner has a setting, all goes on as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn settle_allocator() {
    let mut arguments = env::args_os();
    let (Ok(program), Some(called)) = (env::current_exe(), arguments.next()) else {
        return;
    };
    if env::var_os(NAME).is_none() {
        // Returns only when it fails; the program runs then as well, with more memory.
        let _ = Command::new(program)
            .arg0(called)
            .args(arguments)
            .env(NAME, BYTES)
            .exec();
    }
}

/// Other allocators need nothing.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn settle_allocator() {}

/// Keeps the setting from a child, which may free and take large pieces at every turn and would only become slower.
pub(crate) fn unsettled(command: &mut Command) -> &mut Command {
    command.env_remove(NAME)
}
