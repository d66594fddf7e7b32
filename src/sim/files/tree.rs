//! Directories and names: path_resolution(7), and what open, rename, unlink, rmdir and mkdir do to them.
//!
//! The order in which the conditions are looked at is Linux' (*fs/namei.c*): with several things wrong
//! the same error comes out. There are no links: a file has one name or none. What parts names is what does so where
//! the simulation runs ([`is_separator`]), so that paths can be made by [`Path::join`](std::path::Path::join).

use std::path::is_separator;

use super::{
    APPEND, CREATE, CREATE_NEW, DIRECTORY, Disk, Files, LONGEST_PATH, Named, TRUNCATE, WRITE,
    data::Data, errno,
};

/// The root directory's node.
pub(super) const ROOT: u32 = 0;

/// `NAME_MAX` (path_resolution(7)).
const LONGEST_NAME: usize = 255;

/// A file or a directory.
pub(super) struct Node {
    /// The directory that it is in, or was in last. The root's is the root.
    pub(super) parent: u32,
    pub(super) name: String,
    pub(super) directory: bool,
    pub(super) denied: bool,
    /// It has a name.
    pub(super) linked: bool,
    /// Open handles.
    pub(super) opened: u32,
    pub(super) data: Data,
    /// What of a file is on the disk, once anything was not.
    pub(super) disk: Option<Box<Disk>>,
    /// How many syncs have failed: who has it open hears of each once.
    pub(super) errors: u8,
}

impl Node {
    pub(super) fn root() -> Node {
        Node {
            parent: ROOT,
            name: String::new(),
            directory: true,
            denied: false,
            linked: true,
            opened: 0,
            data: Data::default(),
            disk: None,
            errors: 0,
        }
    }

    pub(super) fn make_root(&mut self) {
        self.denied = false;
        self.opened = 0;
    }
}

/// The last part of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Last<'p> {
    Name(&'p str),
    Dot,
    DotDot,
    Root,
}

/// How far a path leads before its last part.
pub(super) struct Walked<'p> {
    /// The directory in which the last part is to be found.
    pub(super) dir: u32,
    pub(super) last: Last<'p>,
    /// It ends with a slash: it means a directory.
    slash: bool,
}

impl Files {
    /// Where a node is, or was last: `/etc/motd`.
    pub(in crate::sim) fn path(&self, node: u32) -> String {
        let mut parts = Vec::new();
        let mut at = node;
        while at != ROOT {
            let node = &self.nodes[at as usize];
            parts.push(node.name.as_str());
            at = node.parent;
        }
        if parts.is_empty() {
            return "/".to_owned();
        }
        parts
            .iter()
            .rev()
            .fold(String::new(), |path, part| path + "/" + part)
    }

    fn place(&self, dir: u32, name: &str) -> Result<usize, usize> {
        self.index.binary_search_by(|&node| {
            let node = &self.nodes[node as usize];
            (node.parent, node.name.as_str()).cmp(&(dir, name))
        })
    }

    /// What this name of a directory stands for.
    pub(super) fn find(&self, dir: u32, name: &str) -> Option<u32> {
        self.place(dir, name).ok().map(|at| self.index[at])
    }

    fn is_empty(&self, dir: u32) -> bool {
        let at = self
            .index
            .partition_point(|&node| self.nodes[node as usize].parent < dir);
        self.index
            .get(at)
            .is_none_or(|&node| self.nodes[node as usize].parent != dir)
    }

    /// Whether names can be looked up in a node.
    fn search(&self, node: u32) -> Result<(), i32> {
        let node = &self.nodes[node as usize];
        if !node.directory {
            Err(errno::ENOTDIR)
        } else if node.denied {
            Err(errno::EACCES)
        } else {
            Ok(())
        }
    }

    /// path_resolution(7), up to the last part. Relative paths begin at the root.
    pub(super) fn walk<'p>(&self, path: &'p str) -> Result<Walked<'p>, i32> {
        if path.len() >= LONGEST_PATH {
            return Err(errno::ENAMETOOLONG);
        }
        if path.is_empty() {
            return Err(errno::ENOENT);
        }
        let mut walked = Walked {
            dir: ROOT,
            last: Last::Root,
            slash: path.ends_with(is_separator),
        };
        for part in path.split(is_separator).filter(|part| !part.is_empty()) {
            walked.dir = match walked.last {
                Last::Root | Last::Dot => walked.dir,
                Last::DotDot => self.nodes[walked.dir as usize].parent,
                Last::Name(name) => self.find(walked.dir, name).ok_or(errno::ENOENT)?,
            };
            self.search(walked.dir)?;
            walked.last = match part {
                "." => Last::Dot,
                ".." => Last::DotDot,
                name if name.len() > LONGEST_NAME => return Err(errno::ENAMETOOLONG),
                name => Last::Name(name),
            };
        }
        Ok(walked)
    }

    /// A node that has no name yet.
    fn insert(&mut self, directory: bool) -> u32 {
        let free = (1..self.used).find(|&at| {
            let node = &self.nodes[at];
            let names = self.names.as_ref();
            !node.linked && node.opened == 0 && names.is_none_or(|names| !names.has(at as u32))
        });
        let place = free.unwrap_or_else(|| {
            self.used += 1;
            if self.nodes.len() < self.used {
                self.nodes.push(Node::root());
            }
            self.used - 1
        });
        let node = &mut self.nodes[place];
        node.directory = directory;
        node.denied = false;
        node.linked = false;
        node.opened = 0;
        node.data.clear();
        node.disk = None;
        node.errors = 0;
        place as u32
    }

    /// Gives a node that has no name this one, which nobody has.
    pub(super) fn link(&mut self, node: u32, dir: u32, name: &str) {
        let at = self.place(dir, name).unwrap_or_else(|at| at);
        let named = &mut self.nodes[node as usize];
        named.parent = dir;
        named.name.clear();
        named.name.push_str(name);
        named.linked = true;
        self.index.insert(at, node);
    }

    /// Gives a new node its name.
    fn name(&mut self, node: u32, dir: u32, name: &str) {
        self.link(node, dir, name);
        self.renamed(|files| {
            let text = format!("the making of {}", files.path(node));
            let at = (dir, name.to_owned());
            (text, Named::Link { at, node })
        });
    }

    /// Takes a node's name away.
    fn unlink(&mut self, node: u32) {
        let named = &self.nodes[node as usize];
        if let Ok(at) = self.place(named.parent, &named.name) {
            self.index.remove(at);
        }
        self.nodes[node as usize].linked = false;
    }

    /// The file or directory of this path, made if it is not there, with all directories above it. Nothing
    /// if a file is in the way.
    pub(super) fn make(&mut self, path: &str, directory: bool) -> Option<u32> {
        let mut at = ROOT;
        let mut parts = path
            .split(is_separator)
            .filter(|part| !part.is_empty())
            .peekable();
        while let Some(part) = parts.next() {
            at = match (part, self.find(at, part)) {
                (".", _) => at,
                ("..", _) => self.nodes[at as usize].parent,
                (_, Some(node)) => node,
                (_, None) => {
                    let node = self.insert(directory || parts.peek().is_some());
                    self.name(node, at, part);
                    node
                }
            };
            if parts.peek().is_some() && !self.nodes[at as usize].directory {
                return None;
            }
        }
        (self.nodes[at as usize].directory == directory).then_some(at)
    }

    /// open(2): the node, and whether it was made.
    pub(super) fn open(&mut self, path: &str, flags: u32) -> Result<(u32, bool), i32> {
        let walked = self.walk(path)?;
        let creates = flags & (CREATE | CREATE_NEW) != 0;
        let found = match walked.last {
            Last::Name(_) if creates && walked.slash => return Err(errno::EISDIR),
            Last::Name(name) => self.find(walked.dir, name),
            Last::Dot | Last::Root => Some(walked.dir),
            Last::DotDot => Some(self.nodes[walked.dir as usize].parent),
        };
        let Some(node) = found else {
            return match walked.last {
                Last::Name(name) if creates => {
                    let node = self.insert(false);
                    self.name(node, walked.dir, name);
                    Ok((node, true))
                }
                _ => Err(errno::ENOENT),
            };
        };
        let is = &self.nodes[node as usize];
        let writes = flags & (WRITE | TRUNCATE | APPEND) != 0;
        if flags & CREATE_NEW != 0 {
            Err(errno::EEXIST)
        } else if is.directory && creates {
            Err(errno::EISDIR)
        } else if !is.directory && (walked.slash || flags & DIRECTORY != 0) {
            Err(errno::ENOTDIR)
        } else if is.directory && writes {
            Err(errno::EISDIR)
        } else if is.denied {
            Err(errno::EACCES)
        } else {
            Ok((node, false))
        }
    }

    /// mkdir(2).
    pub(super) fn create_dir(&mut self, path: &str) -> Result<(), i32> {
        let walked = self.walk(path)?;
        let Last::Name(name) = walked.last else {
            return Err(errno::EEXIST);
        };
        if self.find(walked.dir, name).is_some() {
            return Err(errno::EEXIST);
        }
        let node = self.insert(true);
        self.name(node, walked.dir, name);
        Ok(())
    }

    /// unlink(2), or rmdir(2). Who has the file open keeps it.
    pub(super) fn remove(&mut self, path: &str, directory: bool) -> Result<(), i32> {
        let walked = self.walk(path)?;
        let name = match walked.last {
            Last::Name(name) => name,
            _ if !directory => return Err(errno::EISDIR),
            Last::DotDot => return Err(errno::ENOTEMPTY),
            Last::Dot => return Err(errno::EINVAL),
            Last::Root => return Err(errno::EBUSY),
        };
        let node = self.find(walked.dir, name).ok_or(errno::ENOENT)?;
        match (directory, self.nodes[node as usize].directory) {
            (true, false) => return Err(errno::ENOTDIR),
            (false, true) => return Err(errno::EISDIR),
            (false, false) if walked.slash => return Err(errno::ENOTDIR),
            (true, true) if !self.is_empty(node) => return Err(errno::ENOTEMPTY),
            _ => {}
        }
        self.unlink(node);
        self.renamed(|files| {
            let text = format!("the removal of {}", files.path(node));
            let at = (walked.dir, name.to_owned());
            (text, Named::Unlink { at, node })
        });
        self.forget_if_gone(node);
        Ok(())
    }

    /// rename(2): at no time is there no file of the new name.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        let (old, new) = (self.walk(from)?, self.walk(to)?);
        let (Last::Name(old_name), Last::Name(new_name)) = (old.last, new.last) else {
            return Err(errno::EBUSY);
        };
        let node = self.find(old.dir, old_name).ok_or(errno::ENOENT)?;
        let over = self.find(new.dir, new_name);
        let is_directory = self.nodes[node as usize].directory;
        if !is_directory && (old.slash || new.slash) {
            return Err(errno::ENOTDIR);
        }
        if self.is_below(new.dir, node) {
            return Err(errno::EINVAL);
        }
        if let Some(over) = over {
            if self.is_below(old.dir, over) {
                return Err(errno::ENOTEMPTY);
            }
            if over == node {
                return Ok(());
            }
            match (is_directory, self.nodes[over as usize].directory) {
                (true, false) => return Err(errno::ENOTDIR),
                (false, true) => return Err(errno::EISDIR),
                (true, true) if !self.is_empty(over) => return Err(errno::ENOTEMPTY),
                _ => {}
            }
            self.unlink(over);
            self.forget_if_gone(over);
        }
        let old_path = self.names.is_some().then(|| self.path(node));
        self.unlink(node);
        self.link(node, new.dir, new_name);
        self.renamed(|files| {
            let old_path = old_path.unwrap_or_default();
            let text = format!("the rename of {old_path} to {}", files.path(node));
            let what = Named::Move {
                from: (old.dir, old_name.to_owned()),
                to: (new.dir, new_name.to_owned()),
                directory: is_directory,
                over,
            };
            (text, what)
        });
        Ok(())
    }

    /// Whether a directory is `above` or somewhere below it.
    fn is_below(&self, mut dir: u32, above: u32) -> bool {
        while dir != above && dir != ROOT {
            dir = self.nodes[dir as usize].parent;
        }
        dir == above
    }
}
