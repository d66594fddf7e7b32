//! What a proactor does on a kernel whose rings lack operations: the pool stands in for them.

use std::sync::Arc;

use super::{Handle, Proactor};
use crate::backend::Backend;
use crate::backend::uring::{Options, Uring};
use crate::fs::{self, File};
use crate::offload::{Bounds, Pool};
use crate::op::home::{Home, lock};

/// A proactor on this machine's io_uring, as if it were an old one.
fn old() -> Option<Proactor> {
    let uring = Uring::new(Options::default())
        .ok()?
        .without_recent_operations();
    let backend: Arc<dyn Backend> = Arc::new(uring);
    let lane = backend.lane(0).ok()?;
    let home = Home::take();
    // SAFETY: the home came out of the pool: nobody owns it or has a live handle to it.
    let local = unsafe { home.home.local() };
    local.begin(backend.clone(), lane, 1_000);
    *local.pool.borrow_mut() = Some(Arc::new(Pool::new(Bounds::default(), false)));
    *lock(&home.home.backend) = Some(backend);
    Some(Proactor::with(Handle::new(home)))
}

#[test]
fn lengths_and_directories_do_without_operations_of_their_own() {
    let Some(proactor) = old() else { return };
    let base = std::env::temp_dir().join(format!("proactor-old-kernel-{}", std::process::id()));
    let (dir, path) = (base.join("dir"), base.join("file"));
    std::fs::create_dir_all(&base).unwrap();
    proactor
        .block_on(async {
            fs::create_dir_with_mode(&proactor, &dir, 0o700)
                .await
                .unwrap();
            let again = fs::create_dir(&proactor, &dir).await.unwrap_err();
            assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
            let file = File::create(&proactor, &path).await.unwrap();
            file.write_at("0123456789", 0).await.0.unwrap();
            file.set_len(4).await.unwrap();
            file.set_len(6).await.unwrap();
            let readable = File::open(&proactor, &path).await.unwrap();
            let refused = readable.set_len(0).await.unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
            // The descriptor goes when the job has ended, not before.
            let cut = file.set_len(5);
            let mut cut = cut;
            drop(cut.cancel_handle());
            drop(file);
            let ended = cut.await;
            assert!(ended.is_ok() || crate::is_canceled(&ended.unwrap_err()));
            // Dropped without having been heard of.
            drop(readable.set_len(1));
        })
        .unwrap();
    assert_eq!(proactor.stats().objects, 0);
    drop(proactor);
    assert!(dir.is_dir());
    let content = std::fs::read(&path).unwrap();
    assert!(
        content == b"0123\0\0" || content == b"0123\0",
        "{content:?}"
    );
    std::fs::remove_dir_all(&base).unwrap();
}
