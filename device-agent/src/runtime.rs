//! The ONNX Runtime library: found, checked against known sha256 sums, and only then loaded.
//!
//! The check is no formality. Loading a truncated library ends the process with SIGBUS, and loading a foreign one
//! runs its code; neither can be caught afterwards.

use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ort::environment::Environment;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Libraries that may be loaded: sha256, version, platform in Node's words, file name. Set-up reads the same table.
const KNOWN: &str = include_str!("../onnxruntime.sha256");

/// ONNX Runtime, loaded.
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
}

/// The sha256 of a library that the user vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LibrarySum([u8; 32]);

/// Not a sha256.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected the 64 hexadecimal digits of a sha256")]
pub struct LibrarySumError;

/// Where to find the library and what else may be loaded.
#[derive(Debug, Clone, Default)]
pub struct RuntimeOptions {
    /// The library, or the folder that holds it; searched for where it is not given.
    pub library: Option<PathBuf>,
    /// The sum of a library that is not in the table.
    pub sha256: Option<LibrarySum>,
}

/// Why ONNX Runtime is not there.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// No library is pinned for this platform, so none was searched for.
    #[error(
        "no ONNX Runtime library is known for {0}; \
         name one with --onnxruntime PATH and --onnxruntime-sha256 HEX"
    )]
    Platform(String),
    /// Nowhere to be found.
    #[error(
        "the ONNX Runtime library is not there: no {file} in target/onnxruntime or node_modules \
         above {from}; run `make setup`, or name it with --onnxruntime PATH"
    )]
    Missing {
        /// File name that was searched for.
        file: String,
        /// Where the search began.
        from: String,
    },
    /// The library cannot be read.
    #[error("cannot read the ONNX Runtime library {path}")]
    Read {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A library that nobody vouches for.
    #[error(
        "{path} has sha256 {found}, which is no known ONNX Runtime library: damaged, or another \
         version; run `make setup`, or vouch for it with --onnxruntime-sha256 {found}"
    )]
    Unknown {
        /// The file.
        path: String,
        /// Its sum.
        found: String,
    },
    /// The system refuses to load it.
    #[error("cannot load the ONNX Runtime library {path}: {reason}")]
    Load {
        /// The file.
        path: String,
        /// The loader's reason.
        reason: String,
    },
}

impl Runtime {
    /// Finds the library, checks it and loads it.
    ///
    /// # Errors
    /// When there is none, when it is not one that may be loaded, or when loading fails.
    pub fn load(options: &RuntimeOptions) -> Result<Self, RuntimeError> {
        let path = match &options.library {
            Some(folder) if folder.is_dir() => folder.join(known_file(&platform())?),
            Some(path) => path.clone(),
            None => search(&starting_points())?,
        };
        check(&path, options.sha256)?;
        let refused = |reason: String| RuntimeError::Load {
            path: path.display().to_string(),
            reason,
        };
        let environment = ort::init_from(&path)
            .map_err(|error| refused(error.to_string()))?
            .with_name("ashya-agent")
            .with_telemetry(false)
            .build()
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self { environment, path })
    }

    /// The library that was loaded.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Where the search goes upward from: the working directory, and the folder of this program.
fn starting_points() -> Vec<PathBuf> {
    let program = env::current_exe()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    env::current_dir().ok().into_iter().chain(program).collect()
}

/// This machine in Node's words, as the table has them.
fn platform() -> String {
    format!("{}/{}", node_platform(), node_architecture())
}

/// File name of the library of a platform.
fn known_file(platform: &str) -> Result<&'static str, RuntimeError> {
    KNOWN
        .lines()
        .map(|line| line.split_whitespace().skip(2))
        .find_map(|mut columns| (columns.next() == Some(platform)).then(|| columns.next())?)
        .ok_or_else(|| RuntimeError::Platform(platform.to_owned()))
}

fn search(from: &[PathBuf]) -> Result<PathBuf, RuntimeError> {
    let platform = platform();
    let file = known_file(&platform)?;
    let package = format!("node_modules/onnxruntime-node/bin/napi-v6/{platform}");
    from.iter()
        .flat_map(|start| start.ancestors())
        .flat_map(|folder| {
            ["target/onnxruntime", &package].map(|place| folder.join(place).join(file))
        })
        .find(|path| path.is_file())
        .ok_or_else(|| RuntimeError::Missing {
            file: file.to_owned(),
            from: from
                .first()
                .map_or_else(String::new, |path| path.display().to_string()),
        })
}

fn check(path: &Path, vouched: Option<LibrarySum>) -> Result<(), RuntimeError> {
    let read = |source| RuntimeError::Read {
        path: path.display().to_string(),
        source,
    };
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path).map_err(read)?, &mut hasher).map_err(read)?;
    let sum: [u8; 32] = hasher.finalize().into();
    let found = hex::encode(sum);
    let known = KNOWN
        .lines()
        .any(|line| line.split_whitespace().next() == Some(&found));
    if known || vouched == Some(LibrarySum(sum)) {
        Ok(())
    } else {
        Err(RuntimeError::Unknown {
            path: path.display().to_string(),
            found,
        })
    }
}

fn node_platform() -> &'static str {
    match env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}

fn node_architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl FromStr for LibrarySum {
    type Err = LibrarySumError;

    fn from_str(text: &str) -> Result<Self, LibrarySumError> {
        let mut sum = [0; 32];
        hex::decode_to_slice(text.trim(), &mut sum).map_err(|_| LibrarySumError)?;
        Ok(Self(sum))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::OnceLock;

    use super::*;

    /// The library of the tests, which a process can load once.
    pub(crate) fn runtime() -> &'static Runtime {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| Runtime::load(&RuntimeOptions::default()).unwrap())
    }

    #[test]
    fn an_unknown_library_is_refused_unless_vouched_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so.1");
        std::fs::write(&path, b"half a library").unwrap();
        let error = check(&path, None).unwrap_err();
        let RuntimeError::Unknown { found, .. } = &error else {
            panic!("{error}")
        };
        assert!(check(&path, Some(found.parse().unwrap())).is_ok());
        assert!(check(&path, Some(LibrarySum([7; 32]))).is_err());
        assert!(matches!(
            check(&folder.path().join("no"), None),
            Err(RuntimeError::Read { .. })
        ));
    }

    #[test]
    fn the_search_goes_upward_and_says_what_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let error = search(std::slice::from_ref(&deep)).unwrap_err().to_string();
        assert!(error.contains("make setup"), "{error}");
        let place = folder.path().join("target/onnxruntime");
        std::fs::create_dir_all(&place).unwrap();
        for file in [
            "libonnxruntime.so.1",
            "libonnxruntime.1.30.0.dylib",
            "onnxruntime.dll",
        ] {
            std::fs::write(place.join(file), b"").unwrap();
        }
        assert!(search(&[deep]).unwrap().starts_with(place));
    }

    #[test]
    fn every_row_of_the_table_has_a_sum_and_a_file() {
        assert!(KNOWN.lines().count() >= 3);
        for line in KNOWN.lines() {
            let columns: Vec<&str> = line.split_whitespace().collect();
            assert!(columns[0].parse::<LibrarySum>().is_ok(), "{line}");
            assert_eq!(columns.len(), 4, "{line}");
        }
    }
}
