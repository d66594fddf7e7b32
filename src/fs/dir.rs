//! [`Dir`]: an open directory, to be synced.

use std::fmt;
use std::io;
use std::path::Path;

use super::aside::Aside;
use super::{Sync, invalid, path_bytes};
use crate::backend::{Code, Note, Op, Raw, open_flags};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, gone};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, StandIn, Steps};
use crate::op::object::ObjectHandle;
use crate::proactor::Handle;

/// An open directory. Clones are handles of the same one; the last one dropped closes it.
///
/// It is there to be [synced](Dir::sync): a file that was made, renamed or removed is so on the disk once
/// its directory was.
///
/// ```
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// # let dir = std::env::temp_dir().join(format!("proactor-doc-dir-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use proactor::fs::{self, Dir, File};
/// proactor.block_on(async {
///     // Replaces a file so that after a crash there is the old one or the new one, whole.
///     let file = File::create(&proactor, dir.join("config.new")).await?;
///     file.write_at("colour = blue", 0).await.0?;
///     file.sync_data().await?;
///     fs::rename(&proactor, dir.join("config.new"), dir.join("config")).await?;
///     Dir::open(&proactor, &dir).await?.sync().await
/// }).unwrap().unwrap();
/// # std::fs::remove_dir_all(&dir).unwrap();
/// ```
#[derive(Clone)]
pub struct Dir {
    handle: ObjectHandle,
}

impl Dir {
    /// Opens the directory at `path`.
    ///
    /// The operation's errors are open(2)'s: of what is no directory,
    /// [`io::ErrorKind::NotADirectory`]. A path with a NUL byte is [`io::ErrorKind::InvalidInput`].
    ///
    /// Cancel-safe: a directory that is opened for a dropped future is closed.
    #[track_caller]
    pub fn open(proactor: &Handle, path: impl AsRef<Path>) -> Operation<OpenDir> {
        Operation::new(OpenDir {
            home: proactor.for_new(),
            path: path_bytes(path.as_ref()),
            aside: Aside::default(),
        })
    }

    /// The names in it are on the disk when this is done, and with each what it names (fsync(2)): of files
    /// that were made, renamed or removed here before this was started. What the files hold is not: sync
    /// them first.
    #[track_caller]
    pub fn sync(&self) -> Operation<Sync> {
        Operation::new(Sync::all(self.handle.get()))
    }

    /// Closes it for all its handles. Once is enough (I8).
    pub fn close(&self) {
        self.handle.get().close();
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dir").finish_non_exhaustive()
    }
}

/// The kind of [`Dir::open`].
pub struct OpenDir {
    home: HomeRef,
    path: Result<Vec<u8>, &'static str>,
    aside: Aside,
}

impl Steps for OpenDir {
    type Out = io::Result<Dir>;
    const NAME: &'static str = "open_dir";
    const EXTERNAL: bool = true;

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        let path = self.path.as_mut().map_err(|_| FAILED_EARLY)?;
        let op = Op {
            ptr: path.as_mut_ptr(),
            len: path.len() as u32 - 1,
            flags: open_flags::READ | open_flags::DIRECTORY,
            ..Op::new(Code::Open, Raw::NONE)
        };
        let activation = Activation {
            op,
            object: None,
            writable: false,
        };
        let path = &path[..path.len() - 1];
        self.aside.activate(local, activation, path)
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        self.aside.stand_in()
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        match self.path {
            Err(why) if outcome.result == FAILED_EARLY => Err(invalid(why)),
            _ => {
                let raw = Raw(self.aside.finish(outcome)?);
                let local = outcome.local.ok_or_else(gone)?;
                Ok(Dir {
                    handle: local.open_object(self.home, raw),
                })
            }
        }
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        out.as_ref().ok().map(|_| Note::DiscardedHandle)
    }

    fn discard(self, outcome: Outcome<'_>) {
        self.aside.discard_handle(outcome);
    }
}
