//! A proactor inside another runtime: `drive()` as one task of tokio's current-thread runtime.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proactor::RunEnd;
use proactor_peers::{Directory, Serving, Style, bytes, proactor};
use tokio::task::LocalSet;

#[test]
fn drive_serves_while_the_timers_of_tokio_run() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"));
    directory.put("file.bin", &bytes(1_000_000));
    for style in Style::BOTH {
        let Some(proactor) = proactor() else { return };
        let serving = Serving::start(&proactor, directory.path(), style, Duration::from_secs(15));
        let url = format!("http://{}/file.bin", serving.addr());

        // The client asks, waits until the timer has ticked three times more, and asks again: each
        // side has to make progress for the other to.
        let (tick, ticks) = mpsc::channel();
        let (done, client_is_done) = tokio::sync::oneshot::channel();
        let client = thread::spawn(move || {
            for _ in 0..10 {
                let mut response = ureq::get(&url).call().unwrap();
                assert!(response.body_mut().read_to_vec().unwrap() == bytes(1_000_000));
                while ticks.try_recv().is_ok() {}
                for _ in 0..3 {
                    ticks.recv().unwrap();
                }
            }
            done.send(()).unwrap();
        });

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let tasks = LocalSet::new();
        let ticked = Rc::new(Cell::new(0));
        let count = ticked.clone();
        tasks.spawn_local(async move {
            let mut interval = tokio::time::interval(Duration::from_millis(1));
            loop {
                interval.tick().await;
                count.set(count.get() + 1);
                if tick.send(()).is_err() {
                    return;
                }
            }
        });
        tasks.spawn_local(async move {
            client_is_done.await.unwrap();
            serving.stop();
        });
        let end = tasks.block_on(&runtime, proactor.drive()).unwrap();
        assert_eq!(end, RunEnd::OutOfWork);
        assert!(ticked.get() >= 30, "{} ticks", ticked.get());
        client.join().unwrap();
    }
}
