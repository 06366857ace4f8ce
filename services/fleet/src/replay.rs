//! `fleet record`, `fleet replay` and `fleet whatif`: the decisions of the ledger made again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use decisions::{Entry, Ledger};
use runtime::Environment;
use service_outage_monitor::replay::{
    Player, Report,
    settings::{self, Untried},
};

use crate::{
    Said, beacon,
    cli::{Decisions, Record, Replay, Whatif},
    differences, nearest,
    place::Place,
    why,
};

/// How many differences are told unless all are asked for.
const SOME: usize = 50;

/// Where a command finds the ledger.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The process's environment.
    pub environment: Environment,
    /// Where a running fleet leaves its address.
    pub folder: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Self {
        Self { environment: Environment::from_process(), folder: beacon::folder() }
    }
}

/// Writes the ledger to a file.
///
/// # Errors
/// When the ledger cannot be read or the file cannot be written; says what to do.
pub async fn record(options: &Record, around: &Surroundings) -> anyhow::Result<Said> {
    let stdout = options.file == Path::new("-");
    let out: Box<dyn Write + Send> = if stdout {
        Box::new(std::io::stdout())
    } else {
        Box::new(File::create(&options.file).with_context(|| options.file.display().to_string())?)
    };
    let mut out = BufWriter::new(out);
    let (mut records, mut failed) = (0_usize, None);
    from_ledger(&options.decisions, around, |entry| {
        records += usize::from(entry.record().is_some());
        if failed.is_none() {
            failed = line(&mut out, &entry).err();
        }
    })
    .await?;
    if let Some(error) = failed.or_else(|| out.flush().err()) {
        return Err(anyhow::Error::new(error).context(options.file.display().to_string()));
    }
    let told = format!("{records} records are in {}\n", options.file.display());
    Ok(Said::ok(if stdout { String::new() } else { told }))
}

fn line(out: &mut impl Write, entry: &Entry) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, entry)?;
    out.write_all(b"\n")
}

/// Makes decisions again by today's rules.
///
/// # Errors
/// When the recording or the ledger cannot be read; says what to do.
pub async fn replay(options: &Replay, around: &Surroundings) -> anyhow::Result<Said> {
    let report = play(options, Player::new(None)?, around).await?;
    let code = u8::from(report.different > 0);
    let text = if options.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        differences::of_rules(&report, most(options))
    };
    Ok(Said { text, code })
}

/// Makes decisions again with other settings.
///
/// # Errors
/// When a setting is unknown, cannot be tried, or has a wrong value; when the decisions cannot be read.
pub async fn what_if(options: &Whatif, around: &Surroundings) -> anyhow::Result<Said> {
    let set = settings_of(&options.set)?;
    let player = Player::new(Some(set.clone()))?;
    let report = play(&options.replay, player, around).await?;
    let text = if options.replay.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        differences::of_settings(&report, &set, most(&options.replay))
    };
    Ok(Said::ok(text))
}

fn most(options: &Replay) -> usize {
    if options.all { usize::MAX } else { SOME }
}

/// Reads `NAME=VALUE`.
fn settings_of(set: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for pair in set {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("--set {pair}: NAME=VALUE was expected");
        };
        let (name, value) = (name.trim(), value.trim());
        match settings::can_be_tried(name) {
            Ok(()) if value.is_empty() => bail!("--set {pair}: a value was expected"),
            Ok(()) => drop(settings.insert(name.to_owned(), value.to_owned())),
            Err(untried) => bail!(refusal(&untried)),
        }
    }
    Ok(settings)
}

/// Why a setting cannot be tried, and which can.
fn refusal(untried: &Untried) -> String {
    let names = || settings::ALL.iter().map(|setting| setting.name);
    let meant = match untried {
        Untried::Unknown(name) => nearest::to(name, names()),
        Untried::NotRecorded(..) => None,
    };
    let meant = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    let known: Vec<String> =
        settings::ALL.iter().map(|setting| format!("\n  {}: {}", setting.name, setting.decides)).collect();
    let known = known.concat();
    format!("{untried}{meant}\nThese can be tried:{known}")
}

async fn play(options: &Replay, mut player: Player, around: &Surroundings) -> anyhow::Result<Report> {
    match &options.recording {
        Some(file) => from_file(file, &options.decisions, |entry| player.add(entry))?,
        None => from_ledger(&options.decisions, around, |entry| player.add(entry)).await?,
    }
    Ok(player.finish())
}

fn from_file(file: &Path, which: &Decisions, mut each: impl FnMut(Entry)) -> anyhow::Result<()> {
    if which.nats.is_some() || which.hours.is_some() {
        bail!("--nats and --hours are for the ledger, not for a recording");
    }
    let input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let open = File::open(file).with_context(|| format!("the recording {}", file.display()))?;
        Box::new(BufReader::new(open))
    };
    for (number, text) in (1_usize..).zip(input.lines()) {
        let text = text.with_context(|| file.display().to_string())?;
        if text.trim().is_empty() {
            continue;
        }
        let Some(entry) = Entry::read(text.as_bytes()) else {
            bail!(
                "{}: line {number} is no line of a recording; `fleet record <file>` makes one",
                file.display()
            );
        };
        let device = entry.record().map(|record| record.device.as_str());
        if which.device.is_none() || device.is_none() || device == which.device.as_deref() {
            each(entry);
        }
    }
    Ok(())
}

async fn from_ledger(
    which: &Decisions,
    around: &Surroundings,
    each: impl FnMut(Entry) + Send,
) -> anyhow::Result<()> {
    let place = Place::find(which.nats.as_deref(), &around.environment, &around.folder)?;
    let ledger = Ledger::stream(place.connect().await?);
    let back = which.hours.map(|hours| Duration::from_secs(u64::from(hours) * 3_600));
    let read = ledger.entries(which.device.as_deref(), back, each).await;
    read.map_err(|error| why::explained(error, &place.servers()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(pair: &str) -> String {
        settings_of(&[pair.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn settings_are_named_as_in_the_environment() {
        let set = ["MONITORING__MAX_AUTORESOLVES_PER_TICKET = 1".to_owned()];
        let settings = settings_of(&set).unwrap();
        assert_eq!(settings["MONITORING__MAX_AUTORESOLVES_PER_TICKET"], "1");
        assert!(error("MONITORING__MAX_AUTORESOLVES_PER_TICKET").contains("NAME=VALUE was expected"));
        assert!(error("TIMEZONE=").contains("a value was expected"));
    }

    #[test]
    fn an_unknown_setting_is_answered_with_the_known_ones() {
        let error = error("MONITORING__MAX_AUTORESOLVE_PER_TICKET=1");
        assert!(error.contains("did you mean MONITORING__MAX_AUTORESOLVES_PER_TICKET?"), "{error}");
        for setting in settings::ALL {
            assert!(error.contains(setting.name), "{}", setting.name);
        }
    }

    #[test]
    fn a_setting_whose_facts_are_not_recorded_is_refused_with_the_reason() {
        let error = error("MONITORING__BLACKLISTED_EDGES=[]");
        assert!(error.contains("of what was not looked at nothing is recorded"), "{error}");
    }
}
