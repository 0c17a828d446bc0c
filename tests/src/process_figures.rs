use std::fs;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// CPU seconds of all threads of a process, user and system together.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name comes in brackets and may hold blanks; user and system time are the 12th and 13th after it.
    let after_name = stat.rsplit_once(')').context("a strange stat")?.1;
    let mut times = after_name.split_whitespace().skip(11);
    let mut ticks = || -> Result<u64> { Ok(times.next().context("a short stat")?.parse()?) };
    let ticks = ticks()? + ticks()?;
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}

/// Resident memory in kB.
///
/// # Errors
/// When there is no such process.
pub fn resident_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    Ok(figure.context("no VmRSS")?.parse()?)
}

/// Lets this program and whatever it starts open as many files as the system allows.
///
/// # Errors
/// When the system refuses.
pub fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}
