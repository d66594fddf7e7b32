//! From an operation of the seam to a submission entry.
//!
//! The frequent operations come out of a table, without a branch on what they are; the others
//! out of a match.

use std::net::SocketAddr;

use super::headers::Headers;
use super::ring::{Sqe, opcode};
use crate::backend::{Code, ConnectAddr, Op, Token, open_flags};

/// How a frequent operation looks.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    opcode: [u8; 4],
    op_flags: u32,
    /// An operation with fewer bytes is none of the frequent ones.
    min_len: u32,
}

const RARE: Shape = Shape {
    opcode: [0; 4],
    op_flags: 0,
    min_len: u32::MAX,
};

static SHAPES: [Shape; Code::COUNT] = {
    let mut shapes = [RARE; Code::COUNT];
    shapes[Code::Nop as usize] = Shape {
        opcode: [opcode::NOP, 0, 0, 0],
        min_len: 0,
        ..RARE
    };
    shapes[Code::Recv as usize] = Shape {
        opcode: [opcode::RECV, 0, 0, 0],
        min_len: 1,
        ..RARE
    };
    // A library can't rely on SIGPIPE being ignored: a broken pipe is a result, never a signal.
    shapes[Code::Send as usize] = Shape {
        opcode: [opcode::SEND, 0, 0, 0],
        op_flags: libc::MSG_NOSIGNAL as u32,
        min_len: 0,
    };
    shapes[Code::ReadAt as usize] = Shape {
        opcode: [opcode::READ, 0, 0, 0],
        min_len: 0,
        ..RARE
    };
    shapes[Code::WriteAt as usize] = Shape {
        opcode: [opcode::WRITE, 0, 0, 0],
        min_len: 0,
        ..RARE
    };
    shapes
};

/// How an operation looks, if it is a frequent one.
#[inline(always)]
pub(super) fn frequent(op: &Op) -> Option<&'static Shape> {
    let shape = &SHAPES[op.code as usize];
    // No length is as large as the rare ones' least.
    (op.len >= shape.min_len).then_some(shape)
}

impl Shape {
    /// Makes `sqe` the entry of this operation. Field by field, in place: as a whole it would take more
    /// registers than there are.
    #[inline(always)]
    pub(super) fn fill(&self, sqe: &mut Sqe, token: Token, op: &Op) {
        sqe.opcode = self.opcode;
        sqe.fd = op.raw.0;
        sqe.offset = op.offset;
        sqe.address = op.ptr as u64;
        sqe.len = op.len;
        sqe.op_flags = self.op_flags;
        sqe.user_data = token.0;
    }
}

/// The entry of any operation but a timer, or the negated error number that is its result.
///
/// # Safety
///
/// What `op.ptr` points at is as [`Code`] says, and lent until the operation's completion.
pub(super) unsafe fn any(token: Token, op: &Op, headers: &Headers) -> Result<Sqe, i32> {
    if let Some(shape) = frequent(op) {
        let mut sqe = Sqe::new(0, op.raw.0, token.0);
        shape.fill(&mut sqe, token, op);
        return Ok(sqe);
    }
    let new = |opcode| Sqe::new(opcode, op.raw.0, token.0);
    let address = op.ptr as u64;
    Ok(match op.code {
        // An empty receive: TCP would wait for data before it says 0.
        Code::Nop | Code::Job | Code::Recv => new(opcode::NOP),
        // No RECVMSG: it writes back to its header when it completes. READV on a socket raises no
        // signal, and the kernel copies the list of segments when it takes the entry.
        Code::RecvVectored => Sqe {
            address,
            len: op.len.min(MAX_SEGMENTS),
            ..new(opcode::READV)
        },
        // No WRITEV: it raises SIGPIPE. The kernel copies the header when it takes the entry.
        Code::SendVectored => Sqe {
            address: headers.fill(address, op.len.min(MAX_SEGMENTS)),
            len: 1,
            op_flags: libc::MSG_NOSIGNAL as u32,
            ..new(opcode::SENDMSG)
        },
        Code::Wait => Sqe {
            address,
            len: 8,
            ..new(opcode::READ)
        },
        Code::Accept => Sqe {
            op_flags: libc::SOCK_CLOEXEC as u32,
            ..new(opcode::ACCEPT)
        },
        Code::Connect => {
            // SAFETY: `op.ptr` is a `ConnectAddr` that is lent to us until the completion, and
            // whose scratch is ours (I2). The kernel has not seen it yet.
            let (address, len) = unsafe { write_address(op.ptr.cast()) };
            Sqe {
                address,
                offset: len,
                ..new(opcode::CONNECT)
            }
        }
        Code::Shutdown => Sqe {
            len: op.flags,
            ..new(opcode::SHUTDOWN)
        },
        Code::Open => Sqe {
            fd: libc::AT_FDCWD,
            address,
            len: op.offset as u32,
            op_flags: open_flags_of(op.flags)?,
            ..new(opcode::OPENAT)
        },
        Code::Sync => Sqe {
            op_flags: op.flags & FSYNC_DATASYNC,
            ..new(opcode::FSYNC)
        },
        Code::Length => Sqe {
            address: c"".as_ptr() as u64,
            offset: address,
            len: libc::STATX_SIZE,
            op_flags: libc::AT_EMPTY_PATH as u32,
            ..new(opcode::STATX)
        },
        // Wherever that is (pwritev2(2)): the offset counts for nothing.
        Code::Append => Sqe {
            address,
            len: op.len,
            op_flags: libc::RWF_APPEND as u32,
            ..new(opcode::WRITE)
        },
        Code::SetLen => Sqe {
            offset: op.offset,
            ..new(opcode::FTRUNCATE)
        },
        Code::Rename => Sqe {
            fd: libc::AT_FDCWD,
            address,
            offset: address + op.offset,
            len: libc::AT_FDCWD as u32,
            ..new(opcode::RENAMEAT)
        },
        Code::Remove => Sqe {
            fd: libc::AT_FDCWD,
            address,
            op_flags: if op.flags == 0 {
                0
            } else {
                libc::AT_REMOVEDIR as u32
            },
            ..new(opcode::UNLINKAT)
        },
        Code::CreateDir => Sqe {
            fd: libc::AT_FDCWD,
            address,
            len: op.offset as u32,
            ..new(opcode::MKDIRAT)
        },
        // None comes here: the first is the heap's, the others are frequent.
        Code::Timer | Code::Send | Code::ReadAt | Code::WriteAt => return Err(-libc::EINVAL),
    })
}

/// A request to end the operation with this token.
pub(super) const fn cancel(target: Token) -> Sqe {
    Sqe {
        address: target.0,
        ..Sqe::new(opcode::ASYNC_CANCEL, -1, CANCEL.0)
    }
}

/// A request to close a descriptor.
pub(super) const fn close(fd: i32) -> Sqe {
    Sqe::new(opcode::CLOSE, fd, CLOSE.0)
}

/// The name that all cancels share: what they report is not needed, the target says it.
const CANCEL: Token = Token::new(0, 2, crate::backend::Tag::Internal);
/// The name that all closes share.
const CLOSE: Token = Token::new(0, 3, crate::backend::Tag::Internal);

/// UIO_MAXIOV (readv(2)): more are refused, fewer are a short transfer.
const MAX_SEGMENTS: u32 = 1024;
/// IORING_FSYNC_DATASYNC.
const FSYNC_DATASYNC: u32 = 1;

fn open_flags_of(flags: u32) -> Result<u32, i32> {
    let has = |bit: u32| flags & bit != 0;
    let writes = has(open_flags::WRITE) || has(open_flags::APPEND);
    let access = match (has(open_flags::READ), writes) {
        (true, true) => libc::O_RDWR,
        (true, false) => libc::O_RDONLY,
        (false, true) => libc::O_WRONLY,
        (false, false) => return Err(-libc::EINVAL),
    };
    let mut flags = access | libc::O_CLOEXEC;
    if has(open_flags::CREATE) {
        flags |= libc::O_CREAT;
    }
    if has(open_flags::CREATE_NEW) {
        flags |= libc::O_CREAT | libc::O_EXCL;
    }
    if has(open_flags::TRUNCATE) {
        flags |= libc::O_TRUNC;
    }
    if has(open_flags::APPEND) {
        flags |= libc::O_APPEND;
    }
    if has(open_flags::DIRECTORY) {
        flags |= libc::O_DIRECTORY;
    }
    Ok(flags as u32)
}

/// Writes the kernel's form of the address behind `to` into its scratch.
///
/// # Safety
///
/// `to` is valid and nobody else's.
unsafe fn write_address(to: *mut ConnectAddr) -> (u64, u64) {
    const {
        assert!(size_of::<libc::sockaddr_in6>() <= 32);
        assert!(align_of::<libc::sockaddr_in6>() <= 8);
    }
    // SAFETY: the caller's promise; the scratch is 32 bytes aligned to 8, enough for either form.
    unsafe {
        let scratch = &raw mut (*to).scratch;
        let len = match (*to).addr {
            SocketAddr::V4(addr) => {
                scratch
                    .cast::<libc::sockaddr_in>()
                    .write(libc::sockaddr_in {
                        sin_family: libc::AF_INET as libc::sa_family_t,
                        sin_port: addr.port().to_be(),
                        sin_addr: libc::in_addr {
                            s_addr: u32::from_ne_bytes(addr.ip().octets()),
                        },
                        sin_zero: [0; 8],
                    });
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(addr) => {
                scratch
                    .cast::<libc::sockaddr_in6>()
                    .write(libc::sockaddr_in6 {
                        sin6_family: libc::AF_INET6 as libc::sa_family_t,
                        sin6_port: addr.port().to_be(),
                        sin6_flowinfo: addr.flowinfo(),
                        sin6_addr: libc::in6_addr {
                            s6_addr: addr.ip().octets(),
                        },
                        sin6_scope_id: addr.scope_id(),
                    });
                size_of::<libc::sockaddr_in6>()
            }
        };
        (scratch as u64, len as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Raw, Tag};

    const TOKEN: Token = Token::new(7, 1, Tag::Operation);

    fn encode(op: &Op) -> Result<Sqe, i32> {
        // SAFETY: the operations of these tests point at nothing that is read.
        unsafe { any(TOKEN, op, &Headers::new(1)) }
    }

    #[test]
    fn an_empty_receive_does_not_wait_for_data() {
        assert_eq!(
            encode(&Op::new(Code::Recv, Raw(3))).unwrap().opcode(),
            opcode::NOP
        );
        let op = Op {
            len: 1,
            ..Op::new(Code::Recv, Raw(3))
        };
        assert_eq!(encode(&op).unwrap().opcode(), opcode::RECV);
    }

    #[test]
    fn no_send_raises_a_signal() {
        for code in [Code::Send, Code::SendVectored] {
            let sqe = encode(&Op {
                len: 1,
                ..Op::new(code, Raw(3))
            })
            .unwrap();
            assert_eq!(sqe.op_flags, libc::MSG_NOSIGNAL as u32, "{code:?}");
        }
    }

    #[test]
    fn opening_for_nothing_is_refused() {
        assert_eq!(encode(&Op::new(Code::Open, Raw::NONE)), Err(-libc::EINVAL));
        let all = open_flags::READ | open_flags::WRITE | open_flags::CREATE | open_flags::TRUNCATE;
        let sqe = encode(&Op {
            flags: all,
            offset: 0o600,
            ..Op::new(Code::Open, Raw::NONE)
        })
        .unwrap();
        let expected = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        assert_eq!((sqe.op_flags, sqe.len), (expected as u32, 0o600));
    }

    #[test]
    fn addresses_take_the_kernels_form() {
        for text in ["127.0.0.1:80", "[fe80::1%7]:443"] {
            let addr: SocketAddr = text.parse().unwrap();
            let mut to = ConnectAddr {
                addr,
                scratch: [0; 4],
            };
            let op = Op {
                ptr: (&raw mut to).cast(),
                ..Op::new(Code::Connect, Raw(3))
            };
            let sqe = encode(&op).unwrap();
            // SAFETY: the scratch holds an address of that length.
            let ((), read) = unsafe {
                socket2::SockAddr::try_init(|storage, len| {
                    std::ptr::copy_nonoverlapping(
                        sqe.address as *const u8,
                        storage.cast(),
                        sqe.offset as usize,
                    );
                    *len = sqe.offset as libc::socklen_t;
                    Ok(())
                })
                .unwrap()
            };
            assert_eq!(read.as_socket(), Some(addr));
        }
    }
}
