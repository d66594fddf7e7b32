//! How much at once, and what is counted.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::RunEnd;
use proactor::net::TcpListener;

use crate::kernels::on_every_kernel;
use crate::tools::{Told, pair, room};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn one_operation_more_than_may_be_in_flight_ends_with_an_error_that_says_so() {
    on_every_kernel(|kernel| {
        let proactor = kernel.builder().max_operations(3).build().unwrap();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                let mut reads: Vec<_> = (0..3).map(|_| server.read(room(1))).collect();
                reads.iter_mut().for_each(|read| drop(read.cancel_handle()));
                let (read, buf) = server.read(room(16)).await;
                let error = read.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
                assert!(error.to_string().contains("max_operations"), "{error}");
                assert_eq!(buf.capacity(), 16);
                // One fewer, and there is room again.
                drop(reads.pop());
                proactor.sleep(Duration::from_millis(1)).await.unwrap();
                client.write("x").await.0.unwrap();
                drop(reads);
            })
            .unwrap();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn the_bound_holds_back_neither_a_timer_nor_a_cancel() {
    on_every_kernel(|kernel| {
        let proactor = kernel.builder().max_operations(2).build().unwrap();
        let (_client, server) = pair(&proactor);
        let told = Told::nothing();
        let (one, two, three) = (told.clone(), told.clone(), told.clone());
        let handle = proactor.handle();
        proactor.post(move || {
            let cancel = server
                .read(room(1))
                .then(move |(read, _)| one.tell(read.unwrap_err().kind()));
            let read = server.read(room(1)).timeout(Duration::from_millis(2));
            read.then(move |(read, _)| two.tell(read.unwrap_err().kind()));
            handle.sleep(Duration::from_millis(1)).then(move |slept| {
                slept.unwrap();
                cancel.cancel();
                let _keeps_it_open = server;
            });
            for _ in 0..10 {
                let tell = three.clone();
                handle
                    .sleep(HOUR)
                    .timeout(Duration::from_millis(1))
                    .then(move |slept| tell.tell(slept.unwrap_err().kind()));
            }
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.count(), 12);
        assert!(
            told.take()
                .iter()
                .filter(|kind| **kind == ErrorKind::TimedOut)
                .count()
                >= 10
        );
    });
}

/// They are not held back, and hold nobody back either.
#[test]
fn sleeps_do_not_count_towards_the_bound() {
    on_every_kernel(|kernel| {
        let proactor = kernel.builder().max_operations(2).build().unwrap();
        let (client, server) = pair(&proactor);
        let handle = proactor.handle();
        proactor
            .block_on(async {
                // Awaited, with a handler, and ended in every way there is.
                let mut awaited: Vec<_> = (0..4).map(|_| handle.sleep(HOUR)).collect();
                awaited
                    .iter_mut()
                    .for_each(|sleep| drop(sleep.cancel_handle()));
                let cancels: Vec<_> = (0..4).map(|_| handle.sleep(HOUR).then(drop)).collect();
                drop(awaited.pop());
                let one = server.read(room(1)).timeout(Duration::from_millis(1)).await;
                assert_eq!(one.0.unwrap_err().kind(), ErrorKind::TimedOut);
                cancels.iter().for_each(|cancel| cancel.cancel());
                drop(awaited);
                handle.sleep(Duration::from_millis(1)).await.unwrap();
                // Exactly two now as before: none was counted twice, or given back twice.
                let mut reads: Vec<_> = (0..3).map(|_| server.read(room(1))).collect();
                reads.iter_mut().for_each(|read| drop(read.cancel_handle()));
                let third = reads.pop().unwrap().await.0;
                assert_eq!(third.unwrap_err().kind(), ErrorKind::QuotaExceeded);
                drop((reads, client));
            })
            .unwrap();
    });
}

#[test]
fn a_proactor_that_may_start_nothing_is_refused() {
    on_every_kernel(|kernel| {
        let error = kernel.builder().max_operations(0).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_hundred_thousand_sleeps_all_end() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let (tell, handle) = (told.clone(), proactor.handle());
        proactor.post(move || {
            let begin = handle.now();
            for number in 0..100_000u32 {
                let tell = tell.clone();
                // Scattered over 10 ms, in no order.
                let after = Duration::from_nanos(u64::from(
                    number.wrapping_mul(2_654_435_761) % 10_000_000,
                ));
                handle.sleep_until(begin + after).then(move |slept| {
                    slept.unwrap();
                    tell.tell(after);
                });
            }
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let told = told.take();
        assert_eq!(told.len(), 100_000);
        assert!(told.is_sorted());
        assert_eq!(proactor.stats().operations, 0);
    });
}

/// More than the kernel's queues hold, waiting, and then all cancelled at once.
#[test]
fn twenty_thousand_reads_wait_and_are_cancelled() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let told = Told::nothing();
        let (tell, handle) = (told.clone(), proactor.handle());
        proactor.post(move || {
            let cancels: Vec<_> = (0..20_000)
                .map(|_| {
                    let tell = tell.clone();
                    server
                        .read(room(1))
                        .then(move |(read, _)| tell.tell(proactor::is_canceled(&read.unwrap_err())))
                })
                .collect();
            handle.sleep(Duration::from_millis(1)).then(move |_| {
                let _keeps_it_open = server;
                cancels.iter().for_each(|cancel| cancel.cancel());
            });
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let told = told.take();
        assert!(told.len() == 20_000 && told.iter().all(|canceled| *canceled));
    });
}

#[test]
fn stats_count_what_there_is() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        assert_eq!(proactor.stats(), proactor::Stats::default());
        let (client, server) = pair(&proactor);
        let task = proactor.spawn(std::future::pending::<()>());
        server.read(room(1)).then(|_| {});
        proactor.sleep(HOUR).then(|_| {});
        proactor.poll().unwrap();
        let stats = proactor.stats();
        assert_eq!((stats.operations, stats.tasks, stats.objects), (2, 1, 2));
        drop((client, task));
        // As long as the end takes to come, on a busy machine.
        proactor.run_for(Duration::from_millis(200)).unwrap();
        let stats = proactor.stats();
        assert_eq!((stats.operations, stats.tasks, stats.objects), (1, 1, 1));
    });
}

#[test]
fn a_dump_names_every_operation_with_its_handle_and_its_place_in_the_code() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        assert!(proactor.dump().contains("nothing waits"));
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let line = line!() + 1;
        listener.accept().then(|_| {});
        proactor.sleep(HOUR).then(|_| {});
        drop(proactor.spawn(std::future::pending::<()>()));
        proactor.poll().unwrap();
        let dump = proactor.dump();
        let accept = dump.lines().find(|text| text.contains("accept")).unwrap();
        assert!(
            accept.contains("on handle") && accept.contains("waiting"),
            "{dump}"
        );
        assert!(accept.contains(&format!("limits.rs:{line}")), "{dump}");
        assert!(dump.contains(&format!("limits.rs:{}", line + 1)), "{dump}");
        assert!(dump.contains("1 task"), "{dump}");
    });
}

#[test]
fn a_proactor_describes_its_kernel() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let text = proactor.describe();
        assert!(
            text.contains(if kernel.is_simulated() {
                "simulated"
            } else if kernel.is_windows() {
                "I/O completion port (Windows "
            } else {
                "io_uring"
            }),
            "{text}"
        );
        assert!(format!("{proactor:?}").contains(&text));
    });
}
