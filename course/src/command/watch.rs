//! `watch`: grades an exercise again whenever its file has changed. It looks; no part of the system has to tell it.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, SystemTime};

use super::Workshop;
use crate::exercises::{EXERCISES, Exercise};

/// So often it looks.
const EVERY: Duration = Duration::from_millis(300);

impl Workshop<'_> {
    pub(super) fn watch(&mut self, exercise: &Exercise) -> io::Result<bool> {
        let mut place = exercise.number();
        loop {
            let exercise = &EXERCISES[place];
            writeln!(
                self.out,
                "Watching examples/{0}.rs, ctrl-c ends it. (By hand: cargo run --example {0})\n",
                exercise.name
            )?;
            if !self.until_it_passes(exercise)? {
                return Ok(true);
            }
            place += 1;
            if place == EXERCISES.len() {
                writeln!(self.out, "That was the last one.")?;
                return Ok(true);
            }
        }
    }

    /// False: it was looked at often enough.
    fn until_it_passes(&mut self, exercise: &Exercise) -> io::Result<bool> {
        let path = self.path(exercise);
        // An editor that writes a new file and renames it leaves a moment without one.
        let changed = || fs::metadata(&path).and_then(|it| it.modified()).ok();
        let mut graded: Option<SystemTime> = None;
        loop {
            match changed() {
                now @ Some(_) if now != graded => {
                    graded = now;
                    if self.check(exercise)? {
                        return Ok(true);
                    }
                }
                _ => {}
            }
            if let Some(looks) = &mut self.looks {
                if *looks == 0 {
                    return Ok(false);
                }
                *looks -= 1;
            }
            self.out.flush()?;
            thread::sleep(EVERY);
        }
    }
}
