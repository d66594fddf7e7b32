//! Where the instructions of one request go: the difference of two run lengths, by function and by
//! line. Inlined functions have their own rows; the standard library counts for the line that uses it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::io;
use std::path::Path;

use addr2line::Loader;

use crate::callgrind::{self, Place};
use crate::child::{self, How};
use crate::servers::Server;
use crate::table::{Size, lengths};

/// Which run.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    Echo(Server, usize),
    Simulation(&'a str, &'a str),
    /// To a strand, in this way.
    Posts(&'a str),
    /// The checker's executions of this model of the explorers'.
    Explore(&'a str),
}

pub fn print(subject: Subject<'_>, rows: usize) -> io::Result<()> {
    if !callgrind::installed() {
        println!("valgrind is not installed");
        return Ok(());
    }
    let mut counts = Vec::new();
    let mut events = Vec::new();
    let (short, long) = match subject {
        Subject::Echo(_, connections) => lengths(Size::Full, connections),
        Subject::Simulation(..) | Subject::Posts(_) | Subject::Explore(_) => (20_000, 220_000),
    };
    for length in [short, long] {
        let (run, out) = match subject {
            Subject::Echo(server, connections) => {
                let name = format!("profile-{}-{connections}-{length}", server.name());
                let how = How::Fine(&name);
                let (mut run, out) = child::echo(how, server, connections, length)?;
                run.events = length;
                (run, out)
            }
            Subject::Simulation(kind, connections) => {
                let name = format!("profile-{kind}-{connections}-{length}");
                let how = How::Fine(&name);
                child::simulation(how, &[kind, connections, &length.to_string()])?
            }
            Subject::Posts(way) => {
                let name = format!("profile-{way}-{length}");
                child::own(How::Fine(&name), &["post", way, &length.to_string()])?
            }
            Subject::Explore(model) => {
                let name = format!("profile-explore-{model}-{length}");
                let args = ["explore", "ours", model, &length.to_string()];
                child::own(How::Fine(&name), &args)?
            }
        };
        counts.push(callgrind::read(&out.expect("under callgrind"))?);
        events.push(run.events);
    }
    let events = (events[1] - events[0]) as f64;
    let mut places: HashMap<Place, f64> = HashMap::new();
    for (counts, sign) in counts.iter().zip([-1.0, 1.0]) {
        for (place, &cost) in &counts.places {
            *places.entry(place.clone()).or_default() += sign * cost as f64 / events;
        }
    }

    let program = std::env::current_exe()?;
    let loader = Loader::new(&program).map_err(|error| io::Error::other(error.to_string()))?;
    let written: HashMap<&Place, Written> = places
        .keys()
        .map(|place| (place, Written::of(place, &loader, &program)))
        .collect();
    let total: f64 = places.values().sum();
    println!("{total:.1} instructions each");
    println!("\nby function as compiled");
    for (function, cost) in sum(&places, rows, |place| place.function.clone()) {
        println!("{cost:9.1}  {function}");
    }
    println!("\nby function as written");
    let function = |place: &Place| {
        let written = &written[place];
        (written.function.clone(), written.file.clone())
    };
    for ((function, file), cost) in sum(&places, rows, function) {
        println!("{cost:9.1}  {function}  ({})", short_name(&file));
    }
    println!("\nby line");
    let line = |place: &Place| {
        let written = &written[place];
        (written.file.clone(), written.line)
    };
    let mut sources = HashMap::new();
    for ((file, line), cost) in sum(&places, 2 * rows, line) {
        let text = sources
            .entry(file.clone())
            .or_insert_with(|| fs::read_to_string(&file).unwrap_or_default());
        let text = text.lines().nth(line.saturating_sub(1) as usize);
        println!(
            "{cost:9.1}  {}:{line}  {}",
            short_name(&file),
            text.unwrap_or("").trim()
        );
    }
    Ok(())
}

/// Where the source has it: in the innermost function that is not the standard library's.
struct Written {
    function: String,
    file: String,
    line: u32,
}

impl Written {
    fn of(place: &Place, loader: &Loader, program: &Path) -> Written {
        let mut found = Written {
            function: place.function.clone(),
            file: String::new(),
            line: 0,
        };
        let Some(address) = place
            .address
            .filter(|_| Path::new(&place.object) == program)
        else {
            return found;
        };
        let Ok(mut frames) = loader.find_frames(address) else {
            return found;
        };
        while let Ok(Some(frame)) = frames.next() {
            let Some(location) = frame.location else {
                continue;
            };
            let name = frame
                .function
                .as_ref()
                .and_then(|name| name.demangle().ok());
            found = Written {
                function: name.map_or_else(|| place.function.clone(), Cow::into_owned),
                file: location.file.unwrap_or("").to_owned(),
                line: location.line.unwrap_or(0),
            };
            if !found.file.contains("/library/") {
                break;
            }
        }
        found
    }
}

fn sum<K: Hash + Eq + Ord>(
    places: &HashMap<Place, f64>,
    rows: usize,
    key: impl Fn(&Place) -> K,
) -> Vec<(K, f64)> {
    let mut sums: HashMap<K, f64> = HashMap::new();
    for (place, cost) in places {
        *sums.entry(key(place)).or_default() += cost;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sums.truncate(rows);
    sums.retain(|(_, cost)| *cost >= 0.05);
    sums
}

/// The last components of a path: enough to know it by.
fn short_name(file: &str) -> String {
    let parts: Vec<_> = Path::new(file)
        .iter()
        .map(|part| part.to_string_lossy())
        .collect();
    parts[parts.len().saturating_sub(4)..].join("/")
}
