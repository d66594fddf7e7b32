//! Exercise 6: frames out of a stream that has none.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use proactor::check::Sim;
use proactor::net::{TcpListener, TcpStream};

use crate::checked::{ADDRESS, UNBROKEN, WHOLE, World, in_all, promise};
use crate::verdict::Check;

/// The longest frame that is taken.
pub const LONGEST: usize = 1024;

/// What a peer sends, and what has to become of it.
struct Talk {
    name: &'static str,
    sends: Vec<u8>,
    frames: Vec<Vec<u8>>,
    /// How the frames end: in good order, or with an error of this kind.
    end: Result<(), ErrorKind>,
}

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

fn talks() -> Vec<Talk> {
    let long = vec![b'm'; LONGEST];
    vec![
        Talk {
            name: "frames",
            sends: [frame(b"ahoy"), frame(b""), frame(b"sail!")].concat(),
            frames: vec![b"ahoy".to_vec(), Vec::new(), b"sail!".to_vec()],
            end: Ok(()),
        },
        Talk {
            name: "cut-length",
            sends: [frame(b"ahoy").as_slice(), &[0, 0]].concat(),
            frames: vec![b"ahoy".to_vec()],
            end: Err(ErrorKind::UnexpectedEof),
        },
        Talk {
            name: "cut-body",
            sends: vec![0, 0, 0, 4, b'a', b'h'],
            frames: Vec::new(),
            end: Err(ErrorKind::UnexpectedEof),
        },
        Talk {
            name: "longest",
            sends: frame(&long),
            frames: vec![long],
            end: Ok(()),
        },
        Talk {
            name: "too-long",
            sends: vec![0, 0, 4, 1, b'm'],
            frames: Vec::new(),
            end: Err(ErrorKind::InvalidData),
        },
        Talk {
            name: "endlessly-long",
            sends: vec![0xff; 4],
            frames: Vec::new(),
            end: Err(ErrorKind::InvalidData),
        },
    ]
}

/// Checks a function that reads the next frame: `None` is the end in good order.
pub fn check<F>(next_frame: F) -> Check
where
    F: AsyncFn(&TcpStream) -> io::Result<Option<Vec<u8>>> + Copy + Send + Sync + 'static,
{
    let worlds = talks().into_iter().flat_map(|talk| {
        let talk = Arc::new(talk);
        let quiet = talk.clone();
        let name = format!("ex06_framing/{}", talk.name);
        [
            World::new(&format!("{name}/quiet"), move |sim| {
                world(sim, next_frame, &quiet, true)
            })
            .without_faults()
            .at_most(500),
            World::new(&name, move |sim| world(sim, next_frame, &talk, false)).at_most(2_000),
        ]
    });
    in_all(worlds.collect())
}

fn world<F>(sim: &Sim, next_frame: F, talk: &Talk, is_quiet: bool)
where
    F: AsyncFn(&TcpStream) -> io::Result<Option<Vec<u8>>>,
{
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDRESS);
    let listener = listener.unwrap_or_else(|error| panic!("nobody else is here: {error}"));
    let peer = sim.connect(ADDRESS);
    peer.lenient().send(&talk.sends).half_close().expect_end();
    drop(peer);
    let heard = Mutex::new(Vec::new());
    let end = proactor.block_on(async {
        let (stream, _) = listener.accept().await?;
        while let Some(frame) = next_frame(&stream).await? {
            let mut heard = heard
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            heard.push(frame);
            if heard.len() > 8 {
                break; // far more than were sent: it would go on for ever
            }
        }
        io::Result::Ok(())
    });
    let end = end.unwrap_or_else(|error| Err(io::Error::other(error)));
    let heard = heard.into_inner().unwrap_or_default();
    judge(sim, talk, &heard, end, is_quiet);
}

/// The frames that are seen are those that were sent.
const FRAMES: &str = "one sees the frames that were sent";
/// An end in the middle of a frame is an error, and so is a length that is too much.
const REFUSED: &str = "what is no frame is an error, of its kind";

fn judge(sim: &Sim, talk: &Talk, heard: &[Vec<u8>], end: io::Result<()>, is_quiet: bool) {
    let text = |frames: &[Vec<u8>]| {
        let short = |frame: &Vec<u8>| match frame.len() {
            0..=16 => format!("{:?}", String::from_utf8_lossy(frame)),
            len => format!("{len} bytes"),
        };
        let list: Vec<String> = frames.iter().map(short).collect();
        format!("[{}]", list.join(", "))
    };
    let (sent, seen) = (text(&talk.frames), text(heard));
    promise(sim, talk.frames.starts_with(heard), FRAMES, || {
        format!("the peer has sent {sent}, and you see {seen}")
    });
    match (end, talk.end) {
        (Ok(()), Ok(())) => promise(sim, heard == talk.frames, WHOLE, || {
            format!("you see the end in good order after {seen}, and the peer has sent {sent}")
        }),
        (Ok(()), Err(_)) => promise(sim, false, REFUSED, || {
            let dots = if talk.sends.len() > 12 { "…" } else { "" };
            format!(
                "you see an end in good order after {seen}; the peer has sent {:?}{dots}, and has not got to the end of it",
                &talk.sends[..talk.sends.len().min(12)],
            )
        }),
        (Err(error), Ok(())) => promise(sim, !is_quiet, UNBROKEN, || {
            format!("your frames end with an error after {seen}: {error}")
        }),
        (Err(error), Err(kind)) => {
            promise(sim, !is_quiet || error.kind() == kind, REFUSED, || {
                format!(
                    "the peer has sent {:?}, which is an error of kind {kind:?}; yours is of kind {:?}: {error}",
                    &talk.sends,
                    error.kind()
                )
            });
        }
    }
}
