//! A directory of files for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with its value.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// An empty one. `within` is where: `env!("CARGO_TARGET_TMPDIR")`.
    ///
    /// # Panics
    ///
    /// If it can't be made.
    #[must_use]
    pub fn new(within: &str) -> Directory {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(within).join(format!("peers-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the directory can be made");
        Directory(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a file there, and the directories that its name has in it.
    ///
    /// # Panics
    ///
    /// If it can't be written.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a directory"))
            .expect("the directory can be made");
        fs::write(path, bytes).expect("the file can be written");
    }

    /// Puts a file of `length` bytes there that takes no room on the disk: zeros, and a few marks
    /// that show which part of it one has got.
    ///
    /// # Panics
    ///
    /// If it can't be written.
    pub fn put_sparse(&self, name: &str, length: u64, marks: &[(u64, &[u8])]) {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = fs::File::create(self.0.join(name)).expect("the file can be made");
        file.set_len(length).expect("the file can be that long");
        for (offset, mark) in marks {
            file.seek(SeekFrom::Start(*offset))
                .expect("the file is that long");
            file.write_all(mark).expect("the mark can be written");
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left over lies in the build directory, and hurts nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `length` bytes that differ from place to place, with a period that is no power of two.
#[must_use]
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251) as u8 ^ (at / 251) as u8)
        .collect()
}
