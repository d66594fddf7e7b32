//! The program `book`, and what the tool `mdbook` needs: a `book.toml` that loads, and a preprocessor that answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mdbook_driver::MDBook;
use mdbook_driver::book::BookItem;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

fn book() -> Command {
    Command::new(env!("CARGO_BIN_EXE_book"))
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Ends with the test, however that ends.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn mdbook_finds_its_preprocessor() {
    let loaded = MDBook::load(proactor_book::home()).unwrap();
    let name = proactor_book::Expand.name();
    let command = format!("preprocessor.{name}.command");
    let command: Option<String> = loaded.config.get(&command).unwrap();
    assert_eq!(
        command.as_deref(),
        Some("cargo run --quiet -p proactor-book -- preprocess")
    );
    let supports = book().args(["preprocess", "supports", "html"]).status();
    assert!(supports.unwrap().success());
}

#[test]
fn the_preprocessor_expands_a_book_that_comes_as_json() {
    let loaded = MDBook::load(proactor_book::home()).unwrap();
    let (root, config) = (loaded.root.clone(), loaded.config.clone());
    let context = PreprocessorContext::new(root, config, "html".to_owned());
    let input = serde_json::to_vec(&(context, &loaded.book)).unwrap();
    let mut child = book();
    child
        .arg("preprocess")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = Ends(child.spawn().unwrap());
    let mut stdin = child.0.stdin.take().unwrap();
    let mut stdout = child.0.stdout.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let mut output = Vec::new();
    stdout.read_to_end(&mut output).unwrap();
    writer.join().unwrap();
    let expanded: mdbook_driver::book::Book = serde_json::from_slice(&output).unwrap();
    let chapters: Vec<&str> = expanded
        .iter()
        .filter_map(|item| match item {
            BookItem::Chapter(chapter) => Some(chapter.content.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        chapters.len(),
        loaded
            .book
            .iter()
            .filter(|it| matches!(it, BookItem::Chapter(_)))
            .count()
    );
    assert!(
        chapters
            .iter()
            .any(|text| text.contains("<svg class=\"dg\""))
    );
    assert!(
        chapters
            .iter()
            .any(|text| text.contains("<form class=\"quiz\""))
    );
    assert!(
        chapters
            .iter()
            .all(|text| !text.contains("```mermaid") && !text.contains("{{#quiz"))
    );
}

#[test]
fn it_says_where_the_book_is_and_serves_it() {
    let mut child = book();
    child
        .args(["--serve", "0"])
        .arg(place("served"))
        .stdout(Stdio::piped());
    let mut child = Ends(child.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let index = PathBuf::from(lines.next().unwrap().unwrap());
    assert!(index.is_file(), "{}", index.display());
    let url = lines.next().unwrap().unwrap();
    let addr = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .write_all(b"GET /lending.html HTTP/1.1\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(page.contains("Lending buffers"));
}

#[test]
fn an_option_that_is_not_there_is_told() {
    let output = book().arg("--serv").output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("no option --serv") && told.contains("usage:"),
        "{told}"
    );
}
