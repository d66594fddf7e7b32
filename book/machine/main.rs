//! `cargo run -p proactor-book`: builds the book, checks it, and says where to look.

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;

use mdbook_preprocessor::Preprocessor;
use proactor_book::Expand;

const USAGE: &str = "usage: cargo run -p proactor-book [-- [--serve [PORT]] [DIRECTORY]]

Builds the book into target/book, or into DIRECTORY, checks it, and prints where it is.

  --serve [PORT]   serves it at http://127.0.0.1:PORT/ until interrupted; PORT is 3000, or any free one if 0
  preprocess       what the tool mdbook calls: a book as JSON comes in, and goes out";

fn main() -> Result<(), Box<dyn Error>> {
    let mut into = None;
    let mut serve = None;
    let mut arguments = std::env::args().skip(1).peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "preprocess" => return preprocess(arguments.next().as_deref()),
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            "--serve" => {
                let port = arguments.next_if(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
                serve = Some(port.map_or(Ok(3000), |port| port.parse::<u16>())?);
            }
            option if option.starts_with('-') => {
                return Err(format!("no option {option}\n{USAGE}").into());
            }
            directory => into = Some(PathBuf::from(directory)),
        }
    }
    let home = proactor_book::home();
    let into = into.unwrap_or_else(|| home.join("../target/book"));
    std::fs::create_dir_all(&into)?;
    let into = into.canonicalize()?;
    let mut faults = proactor_book::sources(&home.join("src"))?;
    match proactor_book::build(&home, &into) {
        Ok(()) => faults.extend(proactor_book::pages(&into)?),
        // What the sources have told already stops the build.
        Err(error) if faults.is_empty() => return Err(error.into()),
        Err(_) => {}
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    println!("{}", into.join("index.html").display());
    if let Some(port) = serve {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        println!("http://{}/", listener.local_addr()?);
        proactor_book::serve(&listener, &into);
    }
    match faults.len() {
        0 => Ok(()),
        count => Err(format!("{count} faults in the book").into()),
    }
}

/// The protocol of mdBook's preprocessors: `supports RENDERER` is answered by the exit code, else a book comes on the
/// standard input.
fn preprocess(argument: Option<&str>) -> Result<(), Box<dyn Error>> {
    if argument == Some("supports") {
        return Ok(());
    }
    let (context, book) = mdbook_preprocessor::parse_input(std::io::stdin())?;
    let book = Expand.run(&context, book)?;
    serde_json::to_writer(std::io::stdout(), &book)?;
    Ok(())
}
