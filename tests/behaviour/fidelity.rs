//! The simulated file system does what this machine's own does: random scripts, each on both, every
//! result and what is left compared.

use std::io;
use std::path::Path;

use proactor::fs::{self, Dir, File, OpenOptions};

use crate::kernels::{Kernel, on_every_kernel};
use crate::tools::room;

const SCRIPTS: u64 = 300;
const STEPS: usize = 40;
/// Some below others, some with a slash too many, some that lead up.
const NAMES: [&str; 14] = [
    "a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "d/", "a/", "d/.", "d/..", "d/../e", "x/y",
];

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }

    fn is_drawn(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// How a step went, in a form that two kernels can agree on.
fn told<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?} ({:?})", error.raw_os_error(), error.kind()),
    }
}

/// Whether two kernels say the same. Numbers of errors count where both have Linux' own: a kernel behind a port has
/// none here.
fn agree(a: &str, b: &str) -> bool {
    let has_others = a.contains("None (") || b.contains("None (");
    a == b || has_others && without_number(a) == without_number(b)
}

/// The same line without the number of an error; fewer of Windows' have a kind.
fn without_number(line: &str) -> String {
    let Some((head, kind)) = line.rsplit_once(" (") else {
        return line.to_owned();
    };
    let step = head.rsplit_once(": ").map_or(head, |(step, _)| step);
    format!("{step}: {kind}").replace("Uncategorized", "Other")
}

/// Runs the script of a seed below `base`: what each step came to, and what is there at the end.
fn script(kernel: &Kernel, base: &Path, seed: u64) -> Vec<String> {
    let proactor = kernel.proactor();
    let mut draw = Draw(seed);
    let mut log = Vec::new();
    let at = |draw: &mut Draw| base.join(NAMES[draw.below(NAMES.len() as u64) as usize]);
    proactor
        .block_on(async {
            fs::create_dir(&proactor, base).await.unwrap();
            // Each with whether it can be written, for then it is no directory.
            let mut files: Vec<(File, bool)> = Vec::new();
            for step in 0..STEPS {
                let what = draw.below(16);
                let said = match what {
                    0..=3 => {
                        let (read, write, append) =
                            (draw.is_drawn(), draw.is_drawn(), draw.below(3) == 0);
                        let options = OpenOptions::new()
                            .read(read)
                            .write(write)
                            .append(append)
                            .create(draw.is_drawn())
                            .create_new(draw.below(4) == 0)
                            .truncate(draw.below(4) == 0);
                        match options.open(&proactor, at(&mut draw)).await {
                            Ok(file) => {
                                if files.len() == 4 {
                                    files.remove(draw.below(4) as usize);
                                }
                                files.push((file, write || append));
                                "open".to_owned()
                            }
                            Err(error) => told::<()>(Err(error)),
                        }
                    }
                    4 => told(fs::create_dir(&proactor, at(&mut draw)).await),
                    5 => told(fs::remove_dir(&proactor, at(&mut draw)).await),
                    6 => told(fs::remove_file(&proactor, at(&mut draw)).await),
                    7 | 8 => {
                        let (from, to) = (at(&mut draw), at(&mut draw));
                        told(fs::rename(&proactor, from, to).await)
                    }
                    9 => match Dir::open(&proactor, at(&mut draw)).await {
                        Ok(dir) => told(dir.sync().await),
                        Err(error) => told::<()>(Err(error)),
                    },
                    _ if files.is_empty() => continue,
                    _ => {
                        let (file, writable) = &files[draw.below(files.len() as u64) as usize];
                        let (offset, len) = (draw.below(2_000), draw.below(1_500) as usize);
                        match what {
                            10 => told(file.write_at(vec![step as u8 + 1; len], offset).await.0),
                            11 => told(file.append(vec![step as u8 + 1; len]).await.0),
                            12 => told(file.set_len(offset).await),
                            13 => told(file.sync_all().await),
                            14 if *writable => told(file.len().await),
                            _ => {
                                let (read, buf) = file.read_at(room(len), offset).await;
                                told(read.map(|n| buf[..n].to_vec()))
                            }
                        }
                    }
                };
                log.push(format!("step {step}, {what}: {said}"));
            }
        })
        .unwrap();
    for name in ["a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "e/b", "e/e"] {
        log.push(format!("{name}: {:?}", kernel.content(&base.join(name))));
    }
    log
}

#[test]
#[cfg_attr(
    windows,
    ignore = "the simulated file system is Linux': Windows calls its errors by other names, and refuses more of what is open"
)]
fn the_simulated_file_system_does_what_the_real_one_does() {
    let logs = std::cell::RefCell::new(Vec::<Vec<Vec<String>>>::new());
    on_every_kernel(|kernel| {
        let of = |seed: u64| script(kernel, &kernel.path(&format!("s{seed}")), seed);
        logs.borrow_mut().push((0..SCRIPTS).map(of).collect());
    });
    let logs = logs.into_inner();
    for (seed, first) in logs[0].iter().enumerate() {
        for other in &logs[1..] {
            let differs = first.iter().zip(&other[seed]).find(|(a, b)| !agree(a, b));
            assert_eq!(differs, None, "seed {seed}: {first:#?}");
        }
    }
    // The scripts say something: most kinds of error are among the results.
    let all: String = logs[0].concat().join("\n");
    for kind in [
        "NotFound",
        "AlreadyExists",
        "NotADirectory",
        "IsADirectory",
        "DirectoryNotEmpty",
        "InvalidInput",
    ] {
        assert!(all.contains(kind), "no {kind}");
    }
}
