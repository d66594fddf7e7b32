//! Several hosts: clients that try again, peers that are only half there, and who answers first.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::check::{Checker, Sim};
use proactor::compose::{read_exact, write_all};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Host, Invariant};
use proactor::{Handle, RunEnd};

const SECOND: Duration = Duration::from_secs(1);

/// Sends four bytes back on every connection, until somebody closes the listener.
fn serve(listener: TcpListener) {
    listener.accept().then(move |accepted| match accepted {
        Ok((stream, _)) => {
            read_exact(&stream, Vec::with_capacity(4)).then(move |(read, frame)| {
                if read.is_ok() {
                    write_all(&stream, frame).then(move |_| drop(stream));
                }
            });
            serve(listener);
        }
        Err(error) if proactor::is_canceled(&error) || error.kind() == ErrorKind::NotConnected => {}
        // Out of descriptors, or gone before it was here: the next one may do better.
        Err(_) => serve(listener),
    });
}

async fn ask(proactor: &Handle, from: &Host, to: &Host) -> std::io::Result<Vec<u8>> {
    let patience = 5 * SECOND;
    let connect = TcpStream::connect_from(proactor, from.addr(0), to.addr(7)).timeout(patience);
    let stream = connect.await?;
    let (sent, _) = write_all(&stream, b"ping".to_vec()).timeout(patience).await;
    sent?;
    let (read, answer) = read_exact(&stream, Vec::with_capacity(4))
        .timeout(patience)
        .await;
    read.map(|_| answer)
}

/// The link is lost for 30 s when the client begins. Whether it got its answer; `None`: the network had more in store.
fn over_a_lost_link(sim: &Sim, tries: usize) -> Option<bool> {
    let (app, db) = (sim.host("app"), sim.host("db"));
    let link = app.link(&db);
    link.latency(Duration::from_millis(1)).lose_for(30 * SECOND);
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, db.addr(7)).expect("the address is free");
    serve(listener.clone());
    let handle = proactor.handle();
    let asked = proactor.block_on(async move {
        let mut answered = Some(false);
        for _ in 0..tries {
            match ask(&handle, &app, &db).await {
                Ok(answer) => {
                    assert_eq!(answer, b"ping");
                    answered = Some(true);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(_) => answered = None,
            }
        }
        listener.close();
        answered
    });
    assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
    asked.expect("it ends")
}

#[test]
fn a_client_that_tries_often_enough_gets_over_a_lost_link() {
    let model = |sim: &Sim| {
        assert_ne!(over_a_lost_link(sim, 10), Some(false), "it gave up");
    };
    // (At random one may have the deadline of every try come before what it waits for.)
    let checker = Checker::new().deviations(1).random(false);
    let summary = checker.run(model);
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(summary.proved(), Some(1), "{summary}");
    let hasty = |sim: &Sim| {
        assert_ne!(over_a_lost_link(sim, 3), Some(false), "it gave up");
    };
    let failure = Checker::new()
        .executions(100)
        .run(hasty)
        .expect_err("too few tries");
    assert!(
        failure
            .to_string()
            .contains("It fails without any deviation"),
        "{failure}"
    );
}

/// The server's host restarts while the client only listens.
fn half_open(sim: &Sim, patience: Option<Duration>) {
    let (app, db) = (sim.host("app"), sim.host("db"));
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, db.addr(7)).expect("the address is free");
    let handle = proactor.handle();
    let ended = proactor.block_on(async move {
        let client = TcpStream::connect_from(&handle, app.addr(0), db.addr(7)).await?;
        let (server, _) = listener.accept().await?;
        db.reset_connections();
        let (read, _) = server.read(Vec::with_capacity(8)).await;
        assert_eq!(
            read.map_err(|error| error.kind()),
            Err(ErrorKind::ConnectionReset)
        );
        let waits = client.read(Vec::with_capacity(8));
        match patience {
            Some(patience) => waits.timeout(patience).await.0,
            None => waits.await.0,
        }
    });
    if let (Some(_), Ok(Err(error))) = (patience, ended) {
        // Or somebody reset the connection before, or accepting failed.
        assert_ne!(error.kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_half_open_peer_is_found_by_a_timeout_and_by_nothing_else() {
    let patient = |sim: &Sim| half_open(sim, Some(60 * SECOND));
    let summary = Checker::new().executions(1_000).run(patient);
    summary.unwrap_or_else(|failure| panic!("{failure}"));
    let trusting = |sim: &Sim| half_open(sim, None);
    let failure = Checker::new().run(trusting).expect_err("it waits for ever");
    assert_eq!(failure.invariant(), Some(Invariant::I7));
    let message = failure.message().expect("it has one");
    assert!(
        message.contains("has forgotten the connection: it is half-open"),
        "{message}"
    );
}

/// Asks two servers and believes that the near one answers first.
fn race(sim: &Sim) {
    let (app, near, far) = (sim.host("app"), sim.host("near"), sim.host("far"));
    app.link(&near).latency(Duration::from_millis(10));
    app.link(&far).latency(Duration::from_millis(20));
    let proactor = sim.proactor();
    let mut listeners = Vec::new();
    for host in [&near, &far] {
        let listener = TcpListener::bind(proactor, host.addr(7)).expect("the address is free");
        serve(listener.clone());
        listeners.push(listener);
    }
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for (name, host) in [("far", far), ("near", near)] {
        let (handle, app, order) = (proactor.handle(), app.clone(), order.clone());
        drop(proactor.spawn(async move {
            if ask(&handle, &app, &host).await.is_ok() {
                order.lock().expect("nobody panics").push(name);
            }
        }));
    }
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        let _ = handle.sleep(60 * SECOND).await;
        listeners.iter().for_each(TcpListener::close);
    }));
    proactor.run().expect("it runs");
    let order = order.lock().expect("nobody panics");
    assert_ne!(order[..], ["far", "near"], "the far one answered first");
}

#[test]
fn the_near_one_answers_first_until_a_link_takes_longer_than_it_says() {
    let failure = Checker::new()
        .random(false)
        .run(race)
        .expect_err("a link may take ten times its latency");
    let [longer] = failure.deviations() else {
        panic!("{failure}");
    };
    assert!(longer.contains("it takes ten times its time"), "{failure}");
}

/// The planted mistake: an accept that fails is the end of accepting.
fn serve_until_something_fails(listener: TcpListener) {
    listener.accept().then(move |accepted| {
        if let Ok((stream, _)) = accepted {
            read_exact(&stream, Vec::with_capacity(4)).then(move |(read, frame)| {
                if read.is_ok() {
                    write_all(&stream, frame).then(move |_| drop(stream));
                }
            });
            serve_until_something_fails(listener);
        }
    });
}

/// Whoever gets through to the server gets an answer within a minute, or hears of an error.
fn answered(sim: &Sim, serve: fn(TcpListener)) {
    let (app, db) = (sim.host("app"), sim.host("db"));
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, db.addr(7)).expect("the address is free");
    serve(listener.clone());
    let handle = proactor.handle();
    let asked = proactor.block_on(async move {
        let mut asked = Ok(Vec::new());
        let connect = TcpStream::connect_from(&handle, app.addr(0), db.addr(7));
        if let Ok(stream) = connect.await {
            let (sent, _) = write_all(&stream, b"ping".to_vec()).await;
            let answer = read_exact(&stream, Vec::with_capacity(4)).timeout(60 * SECOND);
            if sent.is_ok() {
                let (read, answer) = answer.await;
                asked = read.map(|_| answer);
            }
        }
        listener.close();
        asked
    });
    proactor.run().expect("it runs");
    if let Ok(Err(error)) = asked {
        assert_ne!(error.kind(), ErrorKind::TimedOut, "nobody answers");
    }
}

#[test]
fn a_server_that_stops_accepting_after_an_error_is_found_by_one_deviation() {
    let checker = || Checker::new().deviations(1).random(false);
    let failure = checker()
        .run(|sim| answered(sim, serve_until_something_fails))
        .expect_err("accept may fail");
    let [error] = failure.deviations() else {
        panic!("{failure}");
    };
    assert!(error.contains("too many open files"), "{failure}");
    let summary = checker().run(|sim| answered(sim, serve));
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(summary.proved(), Some(1), "{summary}");
}
