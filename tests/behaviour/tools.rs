//! Small things that many bodies use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use proactor::net::{TcpListener, TcpStream};
use proactor::{IoBuf, IoBufMut, Proactor};

/// What handlers have told, in the order in which they did.
pub(crate) struct Told<T>(Arc<Mutex<Vec<T>>>);

impl<T> Told<T> {
    pub(crate) fn nothing() -> Told<T> {
        Told(Arc::default())
    }

    pub(crate) fn tell(&self, what: T) {
        self.0.lock().unwrap().push(what);
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The only thing that was told.
    #[track_caller]
    pub(crate) fn only(&self) -> T {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "told {} times", all.len());
        all.remove(0)
    }
}

impl<T> Clone for Told<T> {
    fn clone(&self) -> Self {
        Told(self.0.clone())
    }
}

/// A buffer that tells when it is dropped.
pub(crate) struct Watched {
    bytes: Vec<u8>,
    drops: Arc<AtomicUsize>,
}

impl Watched {
    pub(crate) fn new(capacity: usize) -> (Watched, Drops) {
        let drops = Arc::new(AtomicUsize::new(0));
        let buf = Watched {
            bytes: Vec::with_capacity(capacity),
            drops: drops.clone(),
        };
        (buf, Drops(drops))
    }
}

/// How often a [`Watched`] buffer was dropped.
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

// SAFETY: the memory and the promises are the Vec's.
unsafe impl IoBuf for Watched {
    fn io_ptr(&self) -> *const u8 {
        self.bytes.io_ptr()
    }

    fn io_len(&self) -> usize {
        self.bytes.io_len()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Watched {
    fn io_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.io_mut_ptr()
    }

    fn io_capacity(&self) -> usize {
        self.bytes.io_capacity()
    }

    unsafe fn set_io_len(&mut self, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.bytes.set_io_len(n) }
    }
}

/// Two ends of a connection, where nothing is refused.
pub(crate) fn pair(proactor: &Proactor) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(proactor, "127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    proactor
        .block_on(async move {
            let client = TcpStream::connect(proactor, addr).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            (client, server)
        })
        .unwrap()
}

/// A buffer for so many bytes.
pub(crate) fn room(capacity: usize) -> Vec<u8> {
    Vec::with_capacity(capacity)
}

/// Panics, without a word on the standard error: tests that do so on purpose would fill it.
pub(crate) fn panic_quietly(text: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(text))
}
