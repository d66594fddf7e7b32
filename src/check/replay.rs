//! The replay string: one execution as the short list of what the kernel did unkindly.
//!
//! ```text
//! 1;x256pp:000000000000002a;recv@9f3b12c0#0=half;next@root#2=41d7a9e3
//! │ │      │                └ a deviation: decision, at which event, which occurrence, which alternative
//! │ │      └ the seed that the model's own random numbers start from
//! │ └ the generator of those numbers
//! └ the version of this format
//! ```
//!
//! Deviations are keyed by event, not by position, so a string survives edits that do not concern
//! it. One whose key never comes up, or whose alternative is not on offer, is *stale*: it is left out
//! and named in a note. An order (`next`) reads "at this event's turn, that event goes first".
//!
//! Between version and seed `for=NAME` may stand: the string is meant for the check of that name; behind it what it was
//! recorded on, where that is not the default: `workers=N`, so many simulated workers; `kernel=NAME`, that personality;
//! `door=port`, the driver of completion ports.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::execution::{Deviation, Script};
use super::setting::Setting;
use crate::choice::random::GENERATOR;
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};

/// The version of the format.
const VERSION: &str = "1";

/// An execution, named so that another program run can repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) name: Option<String>,
    pub(crate) setting: Setting,
    pub(crate) seed: u64,
    pub(crate) deviations: Vec<Named>,
}

/// One deviation, by event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) at: Spot,
    /// The alternative's word.
    pub(crate) word: String,
}

/// A decision's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) site: Site,
    /// The upper half of the event's id: what people see, and enough to tell a run's events apart.
    pub(crate) event: u32,
    pub(crate) occurrence: u32,
}

impl Spot {
    pub(crate) fn new(site: Site, key: Key) -> Spot {
        Spot {
            site,
            event: (key.event.0 >> 32) as u32,
            occurrence: key.occurrence,
        }
    }

    pub(crate) fn is_at(&self, event: EventId) -> bool {
        self.event == (event.0 >> 32) as u32
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_at(EventId::ROOT) {
            write!(f, "{}@root#{}", self.site.name(), self.occurrence)
        } else {
            write!(
                f,
                "{}@{:08x}#{}",
                self.site.name(),
                self.event,
                self.occurrence
            )
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.at, self.word)
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION};")?;
        if let Some(name) = &self.name {
            write!(f, "for={name};")?;
        }
        write!(f, "{}{GENERATOR}:{:016x}", self.setting.parts(), self.seed)?;
        for deviation in &self.deviations {
            write!(f, ";{deviation}")?;
        }
        Ok(())
    }
}

/// Why a replay string is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where in the string, in characters from 1.
    at: usize,
    part: String,
    problem: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at character {}, `{}`: {}",
            self.at, self.part, self.problem
        )
    }
}

impl FromStr for Replay {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Replay, Malformed> {
        let text = text.trim();
        let mut at = 1;
        let mut parts = text.split(';').map(|part| {
            let here = at;
            at += part.chars().count() + 1;
            (here, part)
        });
        let wrong = |(at, part): (usize, &str), problem: String| Malformed {
            at,
            part: part.to_owned(),
            problem,
        };

        let version = parts.next().unwrap_or((1, ""));
        if version.1 != VERSION {
            return Err(wrong(
                version,
                format!(
                    "this version of proactor reads replay strings that begin with `{VERSION};`"
                ),
            ));
        }
        let cut = || {
            format!("the string ends too early; a seed `{GENERATOR}:<16 hex digits>` is missing")
        };
        let mut name = None;
        let mut setting = Setting::default();
        let seed = loop {
            let part = parts
                .next()
                .ok_or_else(|| wrong((text.len() + 1, ""), cut()))?;
            if let Some(its) = part.1.strip_prefix("for=") {
                name = Some(its.to_owned());
            } else if !setting
                .read(part.1)
                .map_err(|problem| wrong(part, problem))?
            {
                break part;
            }
        };
        let Some((generator, digits)) = seed.1.split_once(':') else {
            return Err(wrong(
                seed,
                format!("a seed reads `{GENERATOR}:<16 hex digits>`"),
            ));
        };
        if generator != GENERATOR {
            let problem =
                format!("unknown generator `{generator}`: this version has `{GENERATOR}`");
            return Err(wrong(seed, problem));
        }
        let value = match u64::from_str_radix(digits, 16) {
            Ok(value) if digits.len() == 16 => value,
            _ => {
                return Err(wrong(
                    seed,
                    "a seed has 16 hex digits; was the string cut off?".to_owned(),
                ));
            }
        };
        let mut deviations: Vec<Named> = Vec::new();
        for part in parts {
            let deviation = part.1.parse().map_err(|problem| wrong(part, problem))?;
            deviations.push(deviation);
        }
        Ok(Replay {
            name,
            setting,
            seed: value,
            deviations,
        })
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        let shape = "a deviation reads `<decision>@<event>#<occurrence>=<alternative>`; was the string cut off?";
        let (spot, word) = text.split_once('=').ok_or(shape)?;
        let (site, rest) = spot.split_once('@').ok_or(shape)?;
        let (event, occurrence) = rest.split_once('#').ok_or(shape)?;
        let site = Site::from_name(site).ok_or_else(|| {
            let known: Vec<&str> = Site::ALL.iter().map(|site| site.name()).collect();
            format!(
                "no decision is called `{site}`; there are {}",
                known.join(", ")
            )
        })?;
        let event = if event == "root" {
            (EventId::ROOT.0 >> 32) as u32
        } else {
            match u32::from_str_radix(event, 16) {
                Ok(id) if event.len() == 8 => id,
                _ => return Err(format!("`{event}` is no event: 8 hex digits, or `root`")),
            }
        };
        let occurrence = occurrence
            .parse()
            .map_err(|_| format!("`{occurrence}` is no occurrence: a number from 0"))?;
        if word.is_empty() {
            return Err(shape.to_owned());
        }
        Ok(Named {
            at: Spot {
                site,
                event,
                occurrence,
            },
            word: word.to_owned(),
        })
    }
}

/// What became of one deviation of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It happened; the label says what, for people.
    Taken(Taken),
    /// Its decision came up without that alternative; these were there.
    WordGone(Vec<String>),
    /// Its decision never came up.
    KeyGone,
}

/// A deviation that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The event that the decision belonged to.
    pub(crate) event: EventId,
    /// What the alternative is called.
    pub(crate) label: String,
    /// Where it stood among the alternatives.
    pub(crate) alternative: u32,
    /// For an order: who went first.
    pub(crate) first: Option<EventId>,
}

/// Takes the deviations of a replay when their decisions come up, and is kind otherwise.
#[derive(Default)]
pub(crate) struct Keyed {
    wanted: HashMap<Spot, usize>,
    words: Vec<String>,
    fates: Vec<Fate>,
    /// One of them is that the proactor is dropped.
    drops: bool,
}

impl Keyed {
    pub(crate) fn new(deviations: &[Named]) -> Keyed {
        let mut keyed = Keyed::default();
        keyed.begin(deviations.iter());
        keyed
    }

    /// Begins another execution with other deviations.
    pub(crate) fn begin<'a>(&mut self, deviations: impl Iterator<Item = &'a Named>) {
        self.wanted.clear();
        self.words.clear();
        self.fates.clear();
        self.drops = false;
        for (index, deviation) in deviations.enumerate() {
            self.drops |= deviation.at.site == Site::Drop;
            self.wanted.insert(deviation.at, index);
            self.words.push(deviation.word.clone());
            self.fates.push(Fate::KeyGone);
        }
    }

    /// What became of each deviation, in the order of the list.
    pub(crate) fn fates(&self) -> &[Fate] {
        &self.fates
    }
}

impl Chooser for Keyed {
    fn drops(&self) -> bool {
        self.drops
    }

    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        let Some(&index) = self.wanted.get(&Spot::new(site, key)) else {
            return 0;
        };
        match (0..count).find(|choice| those.word(*choice) == self.words[index]) {
            Some(choice) => {
                self.fates[index] = Fate::Taken(Taken {
                    event: key.event,
                    label: those.label(choice),
                    alternative: choice as u32,
                    first: those.event(choice),
                });
                choice
            }
            None => {
                self.fates[index] = Fate::WordGone((0..count).map(|i| those.word(i)).collect());
                0
            }
        }
    }
}

/// Follows deviations by place and learns their names.
pub(crate) struct Naming {
    deviations: Vec<Deviation>,
    drops: bool,
    next: usize,
    position: u32,
    pub(crate) named: Vec<Named>,
}

impl Naming {
    pub(crate) fn new(script: &Script) -> Naming {
        Naming {
            deviations: script.deviations.clone(),
            drops: script.drops,
            next: 0,
            position: 0,
            named: Vec::new(),
        }
    }
}

impl Chooser for Naming {
    fn drops(&self) -> bool {
        self.drops
    }

    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        let here = self.position;
        self.position += 1;
        match self.deviations.get(self.next) {
            Some(deviation) if deviation.position == here => {
                self.next += 1;
                let choice = (deviation.alternative as usize).min(count - 1);
                self.named.push(Named {
                    at: Spot::new(site, key),
                    word: those.word(choice),
                });
                choice
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Door, Personality};

    fn sample() -> Replay {
        Replay {
            name: None,
            setting: Setting::default(),
            seed: 42,
            deviations: vec![
                Named {
                    at: Spot {
                        site: Site::RecvSize,
                        event: 0x9f3b_12c0,
                        occurrence: 0,
                    },
                    word: "half".to_owned(),
                },
                Named {
                    at: Spot::new(
                        Site::NextStep,
                        Key {
                            event: EventId::ROOT,
                            occurrence: 2,
                        },
                    ),
                    word: "41d7a9e3".to_owned(),
                },
            ],
        }
    }

    #[test]
    fn a_string_leads_back_to_its_deviations() {
        let text = "1;x256pp:000000000000002a;recv@9f3b12c0#0=half;next@root#2=41d7a9e3";
        assert_eq!(sample().to_string(), text);
        assert_eq!(text.parse(), Ok(sample()));
        let named = Replay {
            name: Some("echo".to_owned()),
            ..sample()
        };
        assert_eq!(named.to_string().parse(), Ok(named.clone()));
        let ring = Replay {
            setting: Setting {
                workers: 3,
                personality: Personality::Ring,
                door: Door::Port,
            },
            ..named
        };
        assert!(
            ring.to_string()
                .starts_with("1;for=echo;workers=3;kernel=ring;door=port;x256pp:")
        );
        assert_eq!(ring.to_string().parse(), Ok(ring));
        let kind = Replay {
            deviations: Vec::new(),
            ..sample()
        };
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }

    #[test]
    fn a_malformed_string_says_where_and_what_to_do() {
        let whole = sample().to_string();
        for (text, said) in [
            (
                "",
                "at character 1, ``: this version of proactor reads replay strings that begin with `1;`",
            ),
            ("2;x256pp:0", "at character 1, `2`: this version"),
            ("1", "at character 2, ``: the string ends too early"),
            (
                "1;for=echo",
                "at character 11, ``: the string ends too early",
            ),
            (
                "1;workers=1;x256pp:000000000000002a",
                "at character 3, `workers=1`: `workers=` is followed by their number, from 2",
            ),
            (
                "1;kernel=hurd;x256pp:000000000000002a",
                "at character 3, `kernel=hurd`: no personality is called `hurd`; there are any, ring, port",
            ),
            (
                "1;workers=2",
                "at character 12, ``: the string ends too early",
            ),
            ("1;x256pp", "at character 3, `x256pp`: a seed reads"),
            (
                "1;pcg:000000000000002a",
                "unknown generator `pcg`: this version has `x256pp`",
            ),
            (
                "1;x256pp:2a",
                "a seed has 16 hex digits; was the string cut off?",
            ),
            (
                &whole[..40],
                "at character 27, `recv@9f3b12c0#`: a deviation reads",
            ),
            (
                &whole.replace("recv", "receive"),
                "no decision is called `receive`; there are next, late, recv",
            ),
            (
                &whole.replace("9f3b12c0", "9f3b"),
                "`9f3b` is no event: 8 hex digits, or `root`",
            ),
            (
                &whole.replace("#0", "#first"),
                "`first` is no occurrence: a number from 0",
            ),
            (
                &whole.replace("half", ""),
                "at character 27, `recv@9f3b12c0#0=`: a deviation reads",
            ),
        ] {
            let error = text.parse::<Replay>().expect_err(text).to_string();
            assert!(
                error.contains(said),
                "{text}\n  says: {error}\nwanted: {said}"
            );
        }
    }
}
