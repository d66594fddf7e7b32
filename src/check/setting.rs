//! What a check's executions run on: how many simulated workers, which kernel, behind which door. It is part of replay
//! strings, since decisions mean something else on another one, and of what summaries and reports say.

use std::fmt;

use crate::sim::words::plural;
use crate::sim::{Door, Personality, UnknownPersonality};

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// At least 1.
    pub(crate) workers: usize,
    pub(crate) personality: Personality,
    pub(crate) door: Door,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            workers: 1,
            personality: Personality::Any,
            door: Door::Plain,
        }
    }
}

/// As it reads behind "the check fails": nothing of what is so by default.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.workers > 1 {
            write!(f, " with {} workers", self.workers)?;
        }
        if self.personality != Personality::Any {
            write!(f, " on the {} kernel", self.personality)?;
        }
        if self.door == Door::Port {
            f.write_str(" behind the driver of completion ports")?;
        }
        Ok(())
    }
}

impl Setting {
    /// As it stands in replay strings: nothing of what is so by default.
    pub(super) fn parts(&self) -> String {
        let mut parts = String::new();
        if self.workers > 1 {
            parts += &format!("workers={};", self.workers);
        }
        if self.personality != Personality::Any {
            parts += &format!("kernel={};", self.personality);
        }
        if self.door == Door::Port {
            parts += "door=port;";
        }
        parts
    }

    /// Takes what one part of a replay string says. False: it says nothing of a setting.
    pub(super) fn read(&mut self, part: &str) -> Result<bool, String> {
        let Some((key, value)) = part.split_once('=') else {
            return Ok(false);
        };
        match key {
            "workers" => match value.parse() {
                Ok(number) if number > 1 => self.workers = number,
                _ => return Err("`workers=` is followed by their number, from 2".to_owned()),
            },
            "kernel" => {
                self.personality = value
                    .parse()
                    .map_err(|unknown: UnknownPersonality| unknown.to_string())?;
            }
            "door" if value == "port" => self.door = Door::Port,
            "door" => return Err("`door=` is followed by `port`".to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What to set so that a check with this one repeats what was recorded on `recorded`: none if it is the same.
    pub(super) fn how_to_be(&self, recorded: &Setting) -> Option<String> {
        let mut calls = Vec::new();
        if self.workers != recorded.workers {
            calls.push(format!("`workers({})`", recorded.workers));
        }
        if self.personality != recorded.personality {
            calls.push(format!(
                "`personality(Personality::{:?})`",
                recorded.personality
            ));
        }
        if self.door != recorded.door {
            calls.push(format!("`door(Door::{:?})`", recorded.door));
        }
        (!calls.is_empty()).then(|| calls.join(" and "))
    }

    /// In words, whole.
    pub(super) fn in_words(&self) -> String {
        let workers = plural(self.workers as u64, "worker");
        let (kernel, door) = (self.personality, self.door);
        let door = match door {
            Door::Plain => "",
            Door::Port => ", behind the driver of completion ports",
        };
        format!("{workers} on the personality `{kernel}` of the simulated kernel{door}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_it_reads() {
        for setting in [
            Setting::default(),
            Setting {
                workers: 3,
                personality: Personality::Ring,
                door: Door::Port,
            },
        ] {
            let mut read = Setting::default();
            for part in setting.parts().split_terminator(';') {
                assert_eq!(read.read(part), Ok(true), "{part}");
            }
            assert_eq!(read, setting);
            assert_eq!(read.how_to_be(&setting), None);
        }
        let mut read = Setting::default();
        for wrong in ["workers=1", "workers=many", "kernel=toaster", "door=back"] {
            assert!(read.read(wrong).is_err(), "{wrong}");
        }
        for other in ["for=me", "x256pp:0000000000000000", "workers"] {
            assert_eq!(read.read(other), Ok(false), "{other}");
        }
        assert_eq!(read, Setting::default());
    }
}
