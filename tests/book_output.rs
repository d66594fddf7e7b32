//! What the book prints is what its examples print today. `BOOK=write cargo test --test book_output` renews it.

use std::fs;
use std::path::Path;

use proactor::sim::Oracle;

#[allow(dead_code)]
#[path = "../examples/ch00_hello_kernel.rs"]
mod ch00_hello_kernel;
#[allow(dead_code)]
#[path = "../examples/ch01_two_models.rs"]
mod ch01_two_models;
#[allow(dead_code)]
#[path = "../examples/ch02_kernel_in_hand.rs"]
mod ch02_kernel_in_hand;
#[allow(dead_code)]
#[path = "../examples/ch03_first_proactor.rs"]
mod ch03_first_proactor;
#[allow(dead_code)]
#[path = "../examples/ch04_engines.rs"]
mod ch04_engines;
#[allow(dead_code)]
#[path = "../examples/ch05_lending.rs"]
mod ch05_lending;
#[allow(dead_code)]
#[path = "../examples/ch06_frames.rs"]
mod ch06_frames;
#[allow(dead_code)]
#[path = "../examples/ch07_never_block.rs"]
mod ch07_never_block;

#[track_caller]
fn is_printed(name: &str, story: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("book/src/output")
        .join(name);
    // The commands at the end of a report depend on how this very test was called.
    let lines = story.lines().take_while(|line| *line != "Repeat it:");
    let story: String = lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    if std::env::var_os("BOOK").is_some_and(|how| how == "write") {
        fs::write(&path, story).unwrap();
        return;
    }
    let printed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        printed, story,
        "book/src/output/{name} is not what the example prints: look at it, and renew it with \
         `BOOK=write cargo test --test book_output`"
    );
}

#[test]
fn chapter_0() {
    is_printed("ch00.txt", &ch00_hello_kernel::story().unwrap());
}

#[test]
fn chapter_1() {
    is_printed("ch01-glance.txt", &ch01_two_models::lost().unwrap());
    is_printed("ch01.txt", &ch01_two_models::story().unwrap());
}

#[test]
fn chapter_2() {
    is_printed("ch02-ask.txt", &ch02_kernel_in_hand::unasked().unwrap());
    is_printed("ch02.txt", &ch02_kernel_in_hand::story().unwrap());
    is_printed("ch02-trace.txt", &ch02_kernel_in_hand::trace().unwrap());
}

#[test]
fn chapter_3() {
    let stories = ch03_first_proactor::stories().unwrap();
    for (name, story) in ["hasty", "patient", "honest"].iter().zip(stories) {
        is_printed(&format!("ch03-{name}.txt"), &story);
    }
}

#[test]
fn chapter_4() {
    is_printed("ch04-silent.txt", &ch04_engines::silent().unwrap());
    is_printed("ch04-honest.txt", &ch04_engines::honest().unwrap());
    is_printed("ch04-emulated.txt", &ch04_engines::emulated().unwrap());
    is_printed("ch04-pool.txt", &ch04_engines::pool().unwrap());
    is_printed("ch04-kernels.txt", &ch04_engines::kernels().unwrap());
}

#[test]
fn chapter_5() {
    is_printed("ch05-member.txt", &ch05_lending::one_page().unwrap());
    is_printed("ch05-owned.txt", &ch05_lending::one_each().unwrap());
    is_printed("ch05-cancelled.txt", &ch05_lending::cancelled().unwrap());
    is_printed("ch05-parts.txt", &ch05_lending::parts().unwrap());
}

#[test]
fn chapter_6() {
    is_printed("ch06-one-read.txt", &ch06_frames::one_read().unwrap());
    is_printed("ch06-any-end.txt", &ch06_frames::cut().unwrap());
    is_printed("ch06-huge.txt", &ch06_frames::huge().unwrap());
    is_printed("ch06-whole.txt", &ch06_frames::whole().unwrap());
}

#[test]
fn chapter_7() {
    is_printed("ch07-budget.txt", &ch07_never_block::over_budget().unwrap());
    is_printed(
        "ch07-within.txt",
        &ch07_never_block::within_budget().unwrap(),
    );
    is_printed(
        "ch07-latencies.txt",
        &ch07_never_block::latencies().unwrap(),
    );
    is_printed("ch07-full.txt", &ch07_never_block::full().unwrap());
    is_printed("ch07-nested.txt", &ch07_never_block::nested().unwrap());
}

/// The catalogue of what a check watches, as a page prints it.
#[test]
fn oracles() {
    let mut page = String::from("| oracle | holds | level | it speaks when |\n|---|---|---|---|\n");
    for oracle in Oracle::ALL {
        page += &format!(
            "| <span id=\"{0}\">`{0}`</span> | {1} | {2} | {3} |\n",
            oracle.name(),
            oracle.invariant(),
            oracle.default_level(),
            oracle.about()
        );
    }
    is_printed("oracles.md", &page);
}
