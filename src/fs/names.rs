//! What is done to names: [`rename`], [`remove_file`], [`create_dir`], [`remove_dir`].
//!
//! All of them are cancel-safe: of a dropped future it has happened, or not. A path with a NUL byte is
//! [`io::ErrorKind::InvalidInput`]. That a name is on the disk is [`Dir::sync`](super::Dir::sync)'s business.

use std::io;
use std::path::Path;

use super::aside::Aside;
use super::{invalid, path_bytes};
use crate::backend::{Code, Op, Raw};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, StandIn, Steps};
use crate::proactor::Handle;

/// Gives the file or directory at `from` the path `to`. A file there, or an empty directory, is replaced:
/// at no time is there nothing of that name.
///
/// The operation's errors are rename(2)'s: both must be on the same file system, for one.
///
/// ```
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// # let dir = std::env::temp_dir().join(format!("proactor-doc-rename-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use proactor::fs;
/// std::fs::write(dir.join("draft"), "text").unwrap();
/// proactor.block_on(fs::rename(&proactor, dir.join("draft"), dir.join("final"))).unwrap().unwrap();
/// assert_eq!(std::fs::read(dir.join("final")).unwrap(), b"text");
/// # std::fs::remove_dir_all(&dir).unwrap();
/// ```
#[track_caller]
pub fn rename(
    proactor: &Handle,
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
) -> Operation<Change<RENAME>> {
    let both = path_bytes(from.as_ref()).and_then(|mut both| {
        let second = both.len() as u64;
        both.extend(path_bytes(to.as_ref())?);
        Ok((both, second))
    });
    match both {
        Ok((paths, second)) => change(proactor, Ok(paths), 0, second),
        Err(why) => change(proactor, Err(why), 0, 0),
    }
}

/// Takes the file at `path` away. Who has it open keeps it.
///
/// The operation's errors are unlink(2)'s: of a directory, [`io::ErrorKind::IsADirectory`].
///
/// ```
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// # let path = std::env::temp_dir().join(format!("proactor-doc-remove-{}", std::process::id()));
/// use proactor::fs;
/// std::fs::write(&path, "text").unwrap();
/// proactor.block_on(fs::remove_file(&proactor, &path)).unwrap().unwrap();
/// let gone = proactor.block_on(fs::remove_file(&proactor, &path)).unwrap();
/// assert_eq!(gone.unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// ```
#[track_caller]
pub fn remove_file(proactor: &Handle, path: impl AsRef<Path>) -> Operation<Change<REMOVE>> {
    change(proactor, path_bytes(path.as_ref()), 0, 0)
}

/// Takes the empty directory at `path` away.
///
/// The operation's errors are rmdir(2)'s: of one that is not empty,
/// [`io::ErrorKind::DirectoryNotEmpty`].
#[track_caller]
pub fn remove_dir(proactor: &Handle, path: impl AsRef<Path>) -> Operation<Change<REMOVE>> {
    change(proactor, path_bytes(path.as_ref()), IS_DIRECTORY, 0)
}

/// Makes a directory at `path`; the one above it must be there. Its permissions are 0o777, less the umask
/// (Unix).
///
/// The operation's errors are mkdir(2)'s: of a path that is taken, [`io::ErrorKind::AlreadyExists`]. On Linux
/// before 5.15 it is [offloaded](crate::Handle::offload), and may end with an error of that.
///
/// ```
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// # let path = std::env::temp_dir().join(format!("proactor-doc-mkdir-{}", std::process::id()));
/// use proactor::fs;
/// proactor.block_on(fs::create_dir(&proactor, &path)).unwrap().unwrap();
/// assert!(path.is_dir());
/// proactor.block_on(fs::remove_dir(&proactor, &path)).unwrap().unwrap();
/// assert!(!path.exists());
/// ```
#[track_caller]
pub fn create_dir(proactor: &Handle, path: impl AsRef<Path>) -> Operation<Change<CREATE_DIR>> {
    create_dir_with_mode(proactor, path, 0o777)
}

/// As [`create_dir`], with these permissions, less the umask (Unix).
#[track_caller]
pub fn create_dir_with_mode(
    proactor: &Handle,
    path: impl AsRef<Path>,
    mode: u32,
) -> Operation<Change<CREATE_DIR>> {
    change(proactor, path_bytes(path.as_ref()), 0, u64::from(mode))
}

const RENAME: u8 = Code::Rename as u8;
const REMOVE: u8 = Code::Remove as u8;
const CREATE_DIR: u8 = Code::CreateDir as u8;

/// The bit of [`Code::Remove`] for a directory.
const IS_DIRECTORY: u32 = 1;

#[track_caller]
fn change<const CODE: u8>(
    proactor: &Handle,
    paths: Result<Vec<u8>, &'static str>,
    flags: u32,
    offset: u64,
) -> Operation<Change<CODE>> {
    Operation::new(Change {
        home: proactor.for_new(),
        paths,
        flags,
        offset,
        aside: Aside::default(),
    })
}

/// The kind of [`rename`], [`remove_file`], [`remove_dir`] and [`create_dir`].
pub struct Change<const CODE: u8> {
    home: HomeRef,
    /// A NUL behind each.
    paths: Result<Vec<u8>, &'static str>,
    flags: u32,
    offset: u64,
    aside: Aside,
}

impl<const CODE: u8> Change<CODE> {
    const CODE: Code = match CODE {
        RENAME => Code::Rename,
        REMOVE => Code::Remove,
        _ => Code::CreateDir,
    };
}

impl<const CODE: u8> Steps for Change<CODE> {
    type Out = io::Result<()>;
    const NAME: &'static str = match Self::CODE {
        Code::Rename => "rename",
        Code::Remove => "remove",
        _ => "create_dir",
    };
    const EXTERNAL: bool = true;

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        let paths = self.paths.as_mut().map_err(|_| FAILED_EARLY)?;
        let op = Op {
            ptr: paths.as_mut_ptr(),
            len: paths.len() as u32 - 1,
            flags: self.flags,
            offset: self.offset,
            ..Op::new(Self::CODE, Raw::NONE)
        };
        let activation = Activation {
            op,
            object: None,
            writable: false,
        };
        let path = &paths[..paths.len() - 1];
        self.aside.activate(local, activation, path)
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        self.aside.stand_in()
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        match self.paths {
            Err(why) if outcome.result == FAILED_EARLY => Err(invalid(why)),
            _ => self.aside.finish(outcome).map(drop),
        }
    }
}
