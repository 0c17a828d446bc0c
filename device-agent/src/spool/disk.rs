use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::SpoolError;

/// The files of sled, of which it leaves the last step to the kernel: to the disk's platter.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    /// Here sled puts what is above 128 kB, each in a file of its own that is written once.
    blobs: PathBuf,
    synced: HashSet<OsString>,
}

impl Disk {
    /// The files of the database in `path`, which is open.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path.join("db"))?,
            blobs: path.join("blobs"),
            synced: HashSet::new(),
        })
    }

    /// Brings to the disk what was written before the call. sled's `flush_async` must never be used, since enough of them
    /// at once stop it for ever.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn flush(&mut self, db: &sled::Db) -> Result<(), SpoolError> {
        db.flush()?;
        self.sync_blobs()?;
        Ok(self.file.sync_data()?)
    }

    /// Without it a power cut could leave an empty blob, at which sled would cut off all of its log that comes after.
    fn sync_blobs(&mut self) -> io::Result<()> {
        let names = fs::read_dir(&self.blobs)?.map(|entry| Ok(entry?.file_name()));
        let blobs = names.collect::<io::Result<HashSet<_>>>()?;
        let mut new = blobs.difference(&self.synced).peekable();
        if new.peek().is_some() {
            for name in new {
                match File::open(self.blobs.join(name)) {
                    Ok(blob) => blob.sync_data()?,
                    // sled no longer needs it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            // The names too.
            File::open(&self.blobs)?.sync_all()?;
        }
        self.synced = blobs;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sled_keeps_in_files_of_its_own_is_brought_to_the_disk_too() {
        let folder = tempfile::tempdir().unwrap();
        let db = sled::open(folder.path()).unwrap();
        let mut disk = Disk::open(folder.path()).unwrap();
        for (key, bytes, blobs) in [("small", 100, 0), ("large", 200_000, 1)] {
            db.insert(key, vec![7; bytes]).unwrap();
            disk.flush(&db).unwrap();
            assert_eq!(disk.synced.len(), blobs, "{key}");
        }
    }
}
