use std::io;
use std::path::{Path, PathBuf};

use crate::picture::Picture;
use crate::source::{Frame, FrameSource, Playback, SourceError, is_picture};

/// The pictures of a folder in the order of their names.
pub struct FolderSource {
    path: PathBuf,
    pictures: Vec<PathBuf>,
    next: usize,
    repeat: bool,
}

impl FolderSource {
    /// Lists the pictures of a folder, or takes the one picture that `path` names.
    ///
    /// # Errors
    /// When it is not there or cannot be read, or the folder holds no picture.
    pub fn open(path: &Path, playback: Playback) -> Result<Self, SourceError> {
        Ok(Self {
            path: path.to_owned(),
            pictures: pictures(path)?,
            next: 0,
            repeat: matches!(playback, Playback::Live(_)),
        })
    }
}

impl FrameSource for FolderSource {
    fn next_frame(&mut self) -> Result<Option<Frame>, SourceError> {
        if self.repeat && self.next == self.pictures.len() {
            // Each round is of what is there now.
            (self.pictures, self.next) = (pictures(&self.path)?, 0);
        }
        let Some(path) = self.pictures.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let picture = Picture::open(path).map_err(|source| SourceError::Picture {
            path: path.display().to_string(),
            source,
        })?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Some(Frame { name, picture }))
    }
}

/// The pictures that a path means; at least one.
fn pictures(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let read = |source| SourceError::Read {
        path: path.display().to_string(),
        source,
    };
    let what = std::fs::metadata(path).map_err(read)?;
    let pictures = if what.is_dir() {
        list(path)?
    } else if what.is_file() {
        vec![path.to_owned()]
    } else {
        return Err(read(io::Error::other("neither a file nor a folder")));
    };
    if pictures.is_empty() {
        return Err(SourceError::Empty(path.display().to_string()));
    }
    Ok(pictures)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let read = |source| SourceError::Read {
        path: folder.display().to_string(),
        source,
    };
    let mut pictures = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if is_picture(&path) && path.is_file() {
            pictures.push(path);
        }
    }
    pictures.sort();
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_picture_that_is_not_there_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.jpg");
        for playback in [Playback::Once, Playback::Live(Duration::ZERO)] {
            let error = FolderSource::open(&missing, playback).err().unwrap();
            assert!(error.is_fatal(), "{error:?}");
            let text = format!("{:#}", anyhow::Error::from(error));
            assert!(text.contains("missing.jpg") && text.contains("No such file"));
        }
    }

    #[test]
    fn pictures_come_in_order_and_damaged_ones_do_not_stop_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let jpeg = Picture::from_rgb(8, 8, vec![90; 192])
            .unwrap()
            .to_jpeg(90)
            .unwrap();
        assert!(matches!(
            FolderSource::open(folder.path(), Playback::Once),
            Err(SourceError::Empty(_))
        ));
        fs::write(folder.path().join("c.JPG"), &jpeg).unwrap();
        fs::write(folder.path().join("a.jpg"), &jpeg).unwrap();
        fs::write(folder.path().join("b.png"), b"no picture").unwrap();
        fs::write(folder.path().join("notes.txt"), b"no picture").unwrap();
        let mut once = FolderSource::open(folder.path(), Playback::Once).unwrap();
        assert_eq!(once.next_frame().unwrap().unwrap().name, "a.jpg");
        assert!(!once.next_frame().unwrap_err().is_fatal());
        assert_eq!(once.next_frame().unwrap().unwrap().name, "c.JPG");
        assert!(once.next_frame().unwrap().is_none());
        let live = Playback::Live(Duration::ZERO);
        let mut live = FolderSource::open(&folder.path().join("a.jpg"), live).unwrap();
        for _ in 0..3 {
            assert_eq!(live.next_frame().unwrap().unwrap().name, "a.jpg");
        }
        let mut live = FolderSource::open(folder.path(), Playback::Live(Duration::ZERO)).unwrap();
        fs::rename(folder.path().join("c.JPG"), folder.path().join("d.jpg")).unwrap();
        assert_eq!(live.next_frame().unwrap().unwrap().name, "a.jpg");
        assert!((0..2).all(|_| live.next_frame().is_err()));
        let round: Vec<_> = (0..3).map(|_| live.next_frame()).collect();
        assert_eq!(round[2].as_ref().unwrap().as_ref().unwrap().name, "d.jpg");
    }
}
