//! Chapter 3 of the book: an echo server, the mistake that is in every first one, and the one without.
//!
//! ```text
//! cargo run --example ch03_first_proactor
//! ```

use std::error::Error;
use std::time::Duration;

use proactor::check::{Checker, Sim};
use proactor::compose;
use proactor::net::{TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    for story in stories()? {
        println!("{story}");
    }
    Ok(())
}

/// What the book prints, of each of the three servers.
pub(crate) fn stories() -> Result<Vec<String>, Box<dyn Error>> {
    let mut stories = Vec::new();
    for (name, serve) in [("ch03/hasty", hasty as Serve), ("ch03/patient", patient)] {
        match Checker::new().name(name).run(move |sim| world(sim, serve)) {
            Err(failure) => stories.push(failure.to_string()),
            Ok(_) => return Err(format!("the mistake of {name} was not found").into()),
        }
    }
    let summary = Checker::new()
        .name("ch03/honest")
        .run(|sim| world(sim, honest))
        .map_err(|failure| failure.to_string())?;
    stories.push(summary.to_string());
    Ok(stories)
}

pub(crate) type Serve = fn(TcpStream);

// ANCHOR: hasty
/// Sends back what it got. The write may take less than all of it.
pub(crate) fn hasty(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| {
            if let Ok(1..) = read {
                stream
                    .write(buffer)
                    .then(move |(written, _)| match written {
                        Ok(_) => hasty(stream),
                        Err(_) => hang_up(&stream),
                    });
            }
        });
}
// ANCHOR_END: hasty

// ANCHOR: patient
/// Sends back what it got, all of it.
pub(crate) fn patient(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| {
            if let Ok(1..) = read {
                compose::write_all(&stream, buffer).then(move |(written, _)| {
                    if written.is_ok() {
                        patient(stream);
                    }
                });
            }
        });
}
// ANCHOR_END: patient

// ANCHOR: honest
/// Sends back what it got, all of it; and if it can't, the client hears of it.
pub(crate) fn honest(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read {
            Ok(0) => {} // the client has finished: dropping the stream closes it
            Ok(_) => {
                compose::write_all(&stream, buffer).then(move |(written, _)| match written {
                    Ok(_) => honest(stream),
                    Err(_) => hang_up(&stream),
                });
            }
            Err(_) => hang_up(&stream),
        });
}

/// A close would look like an end to the other side. This is a reset.
fn hang_up(stream: &TcpStream) {
    // Refused only if the connection is broken already.
    let _ = stream.set_linger(Some(Duration::ZERO));
}
// ANCHOR_END: honest

// ANCHOR: world
/// One server, one client that says something and expects to hear it again, as long as nothing breaks.
pub(crate) fn world(sim: &Sim, serve: Serve) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("nobody else is here");
    listener.accept().then(move |accepted| {
        drop(listener); // one client is all
        if let Ok((stream, _)) = accepted {
            serve(stream);
        }
    });
    let client = async {
        let stream = TcpStream::connect(proactor, "10.0.0.1:7").await?;
        compose::write_all(&stream, b"ping".to_vec()).await.0?;
        stream.shutdown(std::net::Shutdown::Write).await?;
        let (heard, answer) = compose::read_exact(&stream, vec![0; 4]).await;
        // Only an end says that the server took its time and did wrong.
        match heard {
            Ok(_) => assert_eq!(answer, b"ping"),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                panic!("the server hung up in the middle of its answer")
            }
            Err(_) => {}
        }
        std::io::Result::Ok(())
    };
    let _ = proactor.block_on(client);
}
// ANCHOR_END: world
