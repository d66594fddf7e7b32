//! The environment variables that a check listens to.
//! They are listed in the documentation of [`super`].

use super::portfolio::Strategy;
use super::regressions::Use;
use super::replay::Replay;

/// What the variables say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) replay: Option<Replay>,
    pub(crate) seed: Option<u64>,
    pub(crate) executions: Option<u64>,
    pub(crate) deviations: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) seconds: Option<u64>,
    pub(crate) strategy: Option<Strategy>,
    /// The step to stop at in a debugger, or `fail`.
    pub(crate) stop: Option<String>,
    /// Which part, from 0, of how many.
    pub(crate) part: Option<(u64, u64)>,
    pub(crate) regressions: Option<Use>,
    /// No line tells how far the check is.
    pub(crate) quiet: bool,
}

/// Reads a replay that stands there.
pub(crate) fn replay(text: &str, there: &str) -> Result<Replay, String> {
    text.parse::<Replay>().map_err(|malformed| {
        format!(
            "{there} can't be read {malformed}\n\
             Copy the whole line from the failure report, in single quotes; or unset the \
             variable to check from scratch."
        )
    })
}

impl Wishes {
    /// Reads the variables of this process.
    pub(crate) fn read() -> Result<Wishes, String> {
        Wishes::parse(|name| std::env::var_os(name).map(|it| it.to_string_lossy().into_owned()))
    }

    fn parse(variable: impl Fn(&str) -> Option<String>) -> Result<Wishes, String> {
        // A variable that is set to nothing counts as not set: that is how shells clear one.
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let number = |name: &str, least: u64| {
            let Some(value) = variable(name) else {
                return Ok(None);
            };
            match whole(&value) {
                Some(number) if number >= least => Ok(Some(number)),
                Some(_) => Err(format!(
                    "{name}={value} is too small: at least {least}, or unset it"
                )),
                None => Err(format!(
                    "{name}={value} is no whole number: correct it, or unset it"
                )),
            }
        };
        let replay = match variable("PROACTOR_REPLAY") {
            None => None,
            Some(text) => Some(self::replay(&text, "PROACTOR_REPLAY")?),
        };
        let stop = variable("PROACTOR_BREAK").map(|step| step.trim().to_owned());
        if stop.is_some() && replay.is_none() {
            return Err(
                "PROACTOR_BREAK stops in an execution that is repeated: set PROACTOR_REPLAY as well, \
                 or unset it"
                    .to_owned(),
            );
        }
        let part = match variable("PROACTOR_PART") {
            None => None,
            Some(text) => Some(part(&text).ok_or_else(|| {
                format!("PROACTOR_PART={text} is no part: 2/4 is the second of four; or unset it")
            })?),
        };
        let regressions = match variable("PROACTOR_REGRESSIONS").as_deref().map(str::trim) {
            None => None,
            Some("off") => Some(Use::Off),
            Some("read") => Some(Use::Read),
            Some(other) => {
                return Err(format!(
                    "PROACTOR_REGRESSIONS={other} means nothing: `off`, `read`, or unset it"
                ));
            }
        };
        let quiet = match variable("PROACTOR_PROGRESS").as_deref().map(str::trim) {
            None => false,
            Some("off") => true,
            Some(other) => {
                return Err(format!(
                    "PROACTOR_PROGRESS={other} means nothing: `off`, or unset it"
                ));
            }
        };
        let strategy = match variable("PROACTOR_STRATEGY") {
            None => None,
            Some(name) => Some(Strategy::from_name(name.trim()).ok_or_else(|| {
                let names = Strategy::ALL.map(Strategy::name).join(", ");
                format!("PROACTOR_STRATEGY={name} is no strategy: one of {names}, or unset it")
            })?),
        };
        Ok(Wishes {
            replay,
            seed: number("PROACTOR_SEED", 0)?,
            executions: number("PROACTOR_EXECUTIONS", 1)?,
            deviations: number("PROACTOR_DEVIATIONS", 0)?,
            threads: number("PROACTOR_THREADS", 1)?,
            seconds: number("PROACTOR_SECONDS", 1)?,
            strategy,
            stop,
            part,
            regressions,
            quiet,
        })
    }
}

/// `2/4`: the second of four, as (1, 4).
fn part(text: &str) -> Option<(u64, u64)> {
    let (part, of) = text.trim().split_once('/')?;
    let (part, of) = (whole(part)?, whole(of)?);
    (1..=of).contains(&part).then(|| (part - 1, of))
}

fn whole(text: &str) -> Option<u64> {
    let digits = text.trim().replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(variables: &[(&str, &str)]) -> Result<Wishes, String> {
        Wishes::parse(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_variable_is_read() {
        assert_eq!(parse(&[]), Ok(Wishes::default()));
        let wishes = parse(&[
            ("PROACTOR_REPLAY", "1;x256pp:0000000000000007"),
            ("PROACTOR_SEED", "0x2a"),
            ("PROACTOR_EXECUTIONS", "100_000"),
            ("PROACTOR_DEVIATIONS", "0"),
            ("PROACTOR_THREADS", "2"),
            ("PROACTOR_SECONDS", ""),
            ("PROACTOR_STRATEGY", "pos"),
            ("PROACTOR_BREAK", " 0.1^2"),
            ("PROACTOR_PART", "2/4"),
            ("PROACTOR_REGRESSIONS", "read"),
            ("PROACTOR_PROGRESS", "off"),
        ]);
        let replay = Replay {
            name: None,
            setting: crate::check::setting::Setting::default(),
            seed: 7,
            deviations: Vec::new(),
        };
        assert_eq!(
            wishes,
            Ok(Wishes {
                replay: Some(replay),
                seed: Some(42),
                executions: Some(100_000),
                deviations: Some(0),
                threads: Some(2),
                seconds: None,
                strategy: Some(Strategy::Pos),
                stop: Some("0.1^2".to_owned()),
                part: Some((1, 4)),
                regressions: Some(Use::Read),
                quiet: true,
            })
        );
    }

    #[test]
    fn a_variable_that_can_not_be_read_says_what_to_do() {
        for (name, value, said) in [
            (
                "PROACTOR_EXECUTIONS",
                "0",
                "PROACTOR_EXECUTIONS=0 is too small: at least 1, or unset it",
            ),
            (
                "PROACTOR_THREADS",
                "two",
                "PROACTOR_THREADS=two is no whole number",
            ),
            ("PROACTOR_SEED", "-1", "PROACTOR_SEED=-1 is no whole number"),
            (
                "PROACTOR_REPLAY",
                "1;x256pp",
                "PROACTOR_REPLAY can't be read at character 3, `x256pp`",
            ),
            ("PROACTOR_REPLAY", "1;x256pp", "Copy the whole line"),
            (
                "PROACTOR_STRATEGY",
                "best",
                "PROACTOR_STRATEGY=best is no strategy: one of portfolio, random, pct, pos, surw, walk",
            ),
            ("PROACTOR_BREAK", "fail", "set PROACTOR_REPLAY as well"),
            (
                "PROACTOR_PART",
                "0/4",
                "PROACTOR_PART=0/4 is no part: 2/4 is the second of four",
            ),
            ("PROACTOR_PART", "5/4", "PROACTOR_PART=5/4 is no part"),
            (
                "PROACTOR_REGRESSIONS",
                "on",
                "PROACTOR_REGRESSIONS=on means nothing: `off`, `read`, or unset it",
            ),
            (
                "PROACTOR_PROGRESS",
                "0",
                "PROACTOR_PROGRESS=0 means nothing: `off`, or unset it",
            ),
        ] {
            let error = parse(&[(name, value)]).expect_err(name);
            assert!(error.contains(said), "{error}");
        }
    }
}
