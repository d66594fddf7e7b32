//! No descriptor is left: what each operation that needs one ends with, on this machine's own kernel. The
//! limit is the process', so this runs in one of its own.
#![cfg(target_os = "linux")]

use std::fs::File as StdFile;
use std::os::fd::AsRawFd;

use proactor::Proactor;
use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};

/// Runs `body` while this process may open no more.
fn without_descriptors<R>(body: impl FnOnce() -> R) -> R {
    let next = StdFile::open("/dev/null").unwrap().as_raw_fd();
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    assert_eq!(
        // SAFETY: `limit` outlives the call.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) },
        0
    );
    let set = |cur| {
        let limit = libc::rlimit {
            rlim_cur: cur,
            ..limit
        };
        // SAFETY: it reads one limit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    };
    set(next as libc::rlim_t);
    let result = body();
    set(limit.rlim_cur);
    result
}

#[test]
fn without_a_descriptor_operations_fail_and_a_connection_stays_in_its_backlog() {
    let this = std::env::current_exe().unwrap();
    let name = "descriptors::alone_in_its_process";
    let child = std::process::Command::new(this)
        .args(["--ignored", "--exact", name, "--nocapture"])
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(child.status.success(), "{}", said.concat());
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn alone_in_its_process() {
    let Ok(proactor) = Proactor::new() else {
        return eprintln!("skipped: the real kernel does not let us");
    };
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = std::net::TcpStream::connect(addr).unwrap();
    let (accepted, opened, connected) = without_descriptors(|| {
        (
            proactor.block_on(listener.accept()).unwrap(),
            proactor
                .block_on(File::open(&proactor, "/dev/null"))
                .unwrap(),
            proactor
                .block_on(TcpStream::connect(&proactor, addr))
                .unwrap(),
        )
    });
    let code = |error: std::io::Error| error.raw_os_error();
    assert_eq!(accepted.map_err(code).err(), Some(Some(libc::EMFILE)));
    assert_eq!(opened.map_err(code).err(), Some(Some(libc::EMFILE)));
    assert_eq!(connected.map_err(code).err(), Some(Some(libc::EMFILE)));
    let (_, peer) = proactor.block_on(listener.accept()).unwrap().unwrap();
    assert_eq!(peer, client.local_addr().unwrap(), "it is still there");
}
