//! The units of systemd: they are what systemd understands, they start the programs as those are started, and they shut them in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use ashya_tests::{binary, repository};

/// Most exposure that `systemd-analyze security` may find, in tenths of its points of 10.
const EXPOSURE: &str = "25";
/// What keeps a program that was taken over from doing harm, whatever else a unit says.
const SHUT_IN: [&str; 5] = [
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallFilter=@system-service",
];

/// A unit of the repository.
struct Unit {
    program: &'static str,
    path: PathBuf,
    text: String,
}

impl Unit {
    fn read(program: &'static str, path: &str) -> Result<Self> {
        let path = repository().join(path);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            program,
            path,
            text,
        })
    }

    fn all() -> Result<Vec<Self>> {
        Ok(vec![
            Self::read("ashya-agent", "device-agent/ashya-agent.service")?,
            Self::read("ashya-gateway", "gateway/ashya-gateway.service")?,
        ])
    }

    fn has(&self, line: &str) -> bool {
        self.text.lines().any(|found| found == line)
    }

    fn value(&self, key: &str) -> Result<&str> {
        let mut lines = self.text.lines();
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.with_context(|| format!("no {key}= in {}", self.path.display()))
    }

    /// A copy that starts the program that was built, since none is installed.
    fn of_what_was_built(&self, folder: &Path) -> Result<PathBuf> {
        let name = self.path.file_name().context("a name")?;
        let copy = folder.join(name);
        let built = binary(self.program)?.display().to_string();
        let text = self
            .text
            .replace(&format!("/usr/bin/{}", self.program), &built);
        fs::write(&copy, text)?;
        Ok(copy)
    }
}

#[test]
fn units_keep_their_programs_running_and_shut_in() -> Result<()> {
    for unit in Unit::all()? {
        for line in SHUT_IN {
            ensure!(
                unit.has(line),
                "{line} is missing in {}",
                unit.path.display()
            );
        }
        ensure!(unit.value("User")? != "root" && !unit.value("StateDirectory")?.is_empty());
        ensure!(unit.value("RestartSec")?.parse::<u32>()? > 0);
        ensure!(unit.value("RestartPreventExitStatus")?.contains("64"));
    }
    let agent = Unit::read("ashya-agent", "device-agent/ashya-agent.service")?;
    for line in [
        "Restart=always",
        "CapabilityBoundingSet=",
        "SupplementaryGroups=video",
        "DevicePolicy=closed",
        "DeviceAllow=char-video4linux rw",
    ] {
        ensure!(agent.has(line), "{line} is missing in the agent's unit");
    }
    Ok(())
}

#[test]
fn systemd_finds_nothing_to_complain_about() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for unit in Unit::all()? {
        let copy = unit.of_what_was_built(folder.path())?;
        let copy = copy.display().to_string();
        let verified = ["verify", "--man=no", "--recursive-errors=no", &copy];
        let Some(output) = analyze(&verified)? else {
            eprintln!("SKIPPED: systemd-analyze is not installed, so no unit was shown to it");
            return Ok(());
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let name = unit.path.file_name().context("a name")?.to_string_lossy();
        ensure!(output.status.success() && !said.contains(&*name), "{said}");
        let threshold = format!("--threshold={EXPOSURE}");
        let exposed = [
            "security",
            "--offline=true",
            "--no-pager",
            &threshold,
            &copy,
        ];
        let output = analyze(&exposed)?.context("it was there a moment ago")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{name} is too exposed:\n{said}");
    }
    Ok(())
}

/// The command line of a unit, with a folder of ours for the one that systemd would make and without a configuration.
#[test]
fn the_agents_unit_starts_it_with_flags_that_it_knows() -> Result<()> {
    let unit = Unit::read("ashya-agent", "device-agent/ashya-agent.service")?;
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state").display().to_string();
    let config = folder.path().join("agent.toml").display().to_string();
    let line = unit.value("ExecStart")?;
    let line = line
        .replace("${STATE_DIRECTORY}", &state)
        .replace("/etc/ashya/agent.toml", &config);
    let arguments = line.strip_prefix("/usr/bin/ashya-agent ");
    let arguments = arguments.context("it starts another program")?;
    let output = Command::new(binary("ashya-agent")?)
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(64),
        "{}: {said}",
        output.status
    );
    ensure!(said.contains(&config) && !said.contains("Usage"), "{said}");
    Ok(())
}

/// What `systemd-analyze` answers; nothing where it is not installed.
fn analyze(arguments: &[&str]) -> Result<Option<Output>> {
    let command = Command::new("systemd-analyze").args(arguments).output();
    match command {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("systemd-analyze"),
    }
}
