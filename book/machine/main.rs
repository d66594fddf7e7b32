//! `cargo run -p proactor-book`: builds the book, and says where to look.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let into = match std::env::args_os().nth(1) {
        Some(into) => PathBuf::from(into),
        None => proactor_book::home().join("../target/book"),
    };
    std::fs::create_dir_all(&into)?;
    let into = into.canonicalize()?;
    let home = proactor_book::home();
    let mut faults = proactor_book::sources(&home.join("src"))?;
    proactor_book::build(&home, &into)?;
    faults.extend(proactor_book::pages(&into)?);
    for fault in &faults {
        eprintln!("{fault}");
    }
    println!("{}", into.join("index.html").display());
    match faults.len() {
        0 => Ok(()),
        count => Err(format!("{count} faults in the book").into()),
    }
}
