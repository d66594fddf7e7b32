//! The server of `examples/echo.rs`, and a client that wants back what it sends.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use proactor::check::{Checker, Fuzz, Sim};
use proactor::compose::{read_exact, write_all};
use proactor::net::{TcpListener, TcpStream};

/// The example tells of each error: here there are thousands, all wanted.
macro_rules! eprintln {
    ($($told:tt)*) => {
        drop(format!($($told)*))
    };
}

#[allow(dead_code)] // its `main`
#[path = "../../examples/echo.rs"]
mod echo;

fn world(sim: &Sim) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("the address is free");
    echo::accept(listener.clone());
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        if let Ok(stream) = TcpStream::connect(&handle, "10.0.0.1:7").await
            && let (Ok(_), _) = write_all(&stream, "a few words").await
            && let (Ok(_), echo) = read_exact(&stream, Vec::with_capacity(11)).await
        {
            assert_eq!(echo, b"a few words");
        }
        listener.close();
    }));
    proactor.run().expect("it runs");
}

thread_local! {
    static FUZZ: RefCell<Fuzz<fn(&Sim)>> =
        RefCell::new(Checker::new().name("fuzz/echo").max_steps(20_000).fuzz(world));
}

fuzz_target!(|choices: &[u8]| FUZZ.with_borrow_mut(|fuzz| fuzz.run(choices)));
