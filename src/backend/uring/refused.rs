//! Why io_uring can't be used here, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

/// The cause for which a kernel, or somebody who guards it, refused io_uring.
#[derive(Debug)]
pub(crate) enum Refused {
    /// ENOSYS: the system call is not there.
    NotThere,
    /// EPERM or EACCES, with what the sysctl `kernel.io_uring_disabled` says, where it is.
    Forbidden {
        /// 0: for nobody, 1: for all but a group, 2: for everybody.
        disabled: Option<u32>,
    },
    /// ENOMEM: too little memory that may be locked, or none at all.
    NoMemory,
    /// The kernel has io_uring, but not this feature or operation.
    Missing(&'static str),
    /// Another error of io_uring_setup(2).
    Other(io::Error),
}

impl Refused {
    /// The cause behind an error of io_uring_setup(2).
    pub(super) fn from_setup(error: io::Error) -> Refused {
        match error.raw_os_error() {
            Some(libc::ENOSYS) => Refused::NotThere,
            Some(libc::EPERM | libc::EACCES) => {
                let sysctl = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
                Refused::Forbidden { disabled: sysctl.ok().and_then(|text| text.trim().parse().ok()) }
            }
            Some(libc::ENOMEM) => Refused::NoMemory,
            // Even the plainest ring was refused.
            Some(libc::EINVAL) => Refused::Missing("io_uring_setup with IORING_SETUP_CQSIZE (5.5)"),
            _ => Refused::Other(error),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotThere => f.write_str(
                "the kernel does not have io_uring (ENOSYS): it is older than 5.1 or built without it, \
                 or a seccomp filter hides it. Use Linux 5.11 or newer, outside of the sandbox",
            ),
            Refused::Forbidden { disabled: Some(2) } => f.write_str(
                "io_uring is switched off for everybody (EPERM): sysctl kernel.io_uring_disabled is 2. \
                 An administrator can set it to 0",
            ),
            Refused::Forbidden { disabled: Some(1) } => f.write_str(
                "io_uring is kept to a group (EPERM): sysctl kernel.io_uring_disabled is 1. Join the group \
                 that kernel.io_uring_group names, or have an administrator set kernel.io_uring_disabled to 0",
            ),
            Refused::Forbidden { .. } => f.write_str(
                "io_uring is forbidden here (EPERM), though no sysctl forbids it: a seccomp filter, as many \
                 containers have one, or a security module. Allow io_uring_setup, io_uring_enter and \
                 io_uring_register in the container's seccomp profile",
            ),
            Refused::NoMemory => f.write_str(
                "there is no memory for io_uring's queues (ENOMEM): before Linux 5.12 they count against \
                 the locked-memory limit. Raise it (ulimit -l), or ask for smaller queues",
            ),
            Refused::Missing(what) => {
                write!(f, "this kernel's io_uring lacks {what}. Use Linux 5.11 or newer")
            }
            Refused::Other(error) => write!(f, "io_uring could not be set up: {error}"),
        }
    }
}

impl Error for Refused {}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_named_and_says_what_to_do() {
        let cases = [
            (libc::ENOSYS, "ENOSYS", "Use Linux"),
            (libc::EPERM, "EPERM", "llow"),
            (libc::ENOMEM, "ENOMEM", "ulimit"),
            (libc::EINVAL, "lacks", "Use Linux"),
            (libc::EMFILE, "set up", "open files"),
        ];
        for (number, cause, remedy) in cases {
            let refused = Refused::from_setup(io::Error::from_raw_os_error(number));
            let error = io::Error::from(refused);
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.contains(cause), "{text}");
            // What the sysctl of this machine says decides which of the remedies it is.
            assert!(number == libc::EPERM || text.contains(remedy), "{text}");
        }
        for (disabled, word) in [(Some(2), "is 2"), (Some(1), "group"), (Some(0), "seccomp"), (None, "seccomp")] {
            assert!(Refused::Forbidden { disabled }.to_string().contains(word));
        }
    }
}
