//! Where Windows differs from Linux, and Wine from Windows: what bodies ask [`Kernel::is_windows`] and
//! [`Kernel::is_wine`] for.
//!
//! # Windows, by its documentation
//!
//! - There is no SO_REUSEPORT.
//! - What is below a file is not found: ERROR_PATH_NOT_FOUND does not tell a path that is not there from one that leads
//!   through a file.
//! - A connection that is over by a reset stays reset: each operation says so, where Linux says it once and then that the
//!   pipe is broken.
//! - More connections than the backlog are refused (page *listen function*), where Linux lets them wait.
//! - Setting the length of a file that was opened for reading is denied, not invalid.
//! - A directory that is open is removed, but its name may stay until it is closed.
//!
//! # Wine 8.0, run on Linux
//!
//! - A reset is seen as the end of the stream by a receive that was pending or comes first: poll(2) says POLLHUP, and
//!   Wine's server asks for the error no more. Sends then say that it is reset.
//! - A connection that was reset before it was accepted fails the AcceptEx with STATUS_UNEXPECTED_NETWORK_ERROR
//!   (ERROR_UNEXP_NET_ERR, where Windows says WSAECONNRESET).
//! - FileRenameInfoEx and FileDispositionInfoEx are not there: a file that somebody has open is not replaced by a
//!   rename (ERROR_ACCESS_DENIED), and a removed one keeps its name until the last handle is closed.
//! - A name that is too long is not found (Windows: ERROR_INVALID_NAME).
//! - It says that it is Windows 6.1, whatever Rust needs.
//! - Reads and writes of files are done inside the call, which says ERROR_IO_PENDING all the same: what a file does at
//!   once is never seen, nor can it be cancelled. The same goes for AcceptEx.
//! - Sockets have SO_UPDATE_ACCEPT_CONTEXT and SO_UPDATE_CONNECT_CONTEXT, and addresses without them: that they are
//!   updated is seen on the simulated port alone.
//! - GenerateConsoleCtrlEvent fails (ERROR_INVALID_ACCESS, at a terminal ERROR_INVALID_HANDLE): no program is sent
//!   ctrl-break. That the handler can be installed, and what it does, is seen (`src/signal/console.rs`).
//! - Threads that sleep in one port are woken in order, and so many as one likes (Windows: the last first, and as many
//!   as the port was made for).
//! - CreateIoCompletionPort, GetQueuedCompletionStatusEx in batches, PostQueuedCompletionStatus, CancelIoEx,
//!   FILE_SKIP_COMPLETION_PORT_ON_SUCCESS on sockets: as documented.
//!
//! [`Kernel::is_windows`]: crate::kernels::Kernel::is_windows
//! [`Kernel::is_wine`]: crate::kernels::Kernel::is_wine
