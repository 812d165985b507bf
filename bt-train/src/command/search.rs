//! `bt-train search --data D.npz --ram 12K --flash 128K --ms-per-step 20 --trials 16 --epochs 20`

use crate::command::device::{CLOCK_HZ, DeviceArgs};
use crate::command::load;
use crate::command::progress::{Progress, catch_interrupts};
use crate::command::scores::merge;
use crate::data::hash::Fnv;
use crate::data::{DataSet, PartName};
use crate::error::{Error, Result};
use crate::say;
use crate::search::{Asked, Bounds, Front, Search, Standing};
use crate::training::metrics::{Figures, ValueFigures, digits};
use crate::training::settings::{Flags, Settings};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data set; only its training and validation parts are used
    #[arg(long)]
    pub data: PathBuf,
    /// Folder of the search [default: search- and a number that stands for what is asked for]
    ///
    /// The same command again goes on with what is there.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Models to try: all for a quarter of the epochs, the better half for half of them, the best quarter to the end
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub trials: u64,
    #[command(flatten)]
    device: DeviceArgs,
    /// Milliseconds that the maps may take in a step, as the planner predicts them [default: no limit]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    ms_per_step: Option<f64>,
    /// Wait states of the flash that weights are read from
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait_states: u32,
    /// Train nothing; print the commands that are to be run next, one a line
    ///
    /// Each trains one trial, on any machine that sees the folder, in any order. Once all are done, --list prints those
    /// of the next rung, at last nothing.
    #[arg(long, conflicts_with_all = ["trial", "collect"])]
    list: bool,
    /// Train only this trial, as far as the search stands
    #[arg(long, value_name = "NUMBER", conflicts_with = "collect")]
    trial: Option<usize>,
    /// Train nothing; print the front of what is done
    #[arg(long)]
    collect: bool,
    /// Settings in TOML, keys named like the flags; flags win
    ///
    /// What these or a flag say of the model is not searched for.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Time a step.
fn milliseconds(text: &str) -> std::result::Result<f64, String> {
    let value: Option<f64> = text.trim_end_matches("ms").trim().parse().ok();
    value
        .filter(|value| value.is_finite() && *value > 0.0)
        .ok_or_else(|| format!("`{text}` is not a time such as 20 or 0.5"))
}

/// Searches, or does the part of it that was asked for.
///
/// # Errors
/// When nothing keeps to the limits, the folder holds another search, or a file cannot be used.
pub fn run(args: Args) -> Result<()> {
    let asked = asked(&args)?;
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => named_folder(&args, &asked)?,
    };
    let is_part = args.list || args.collect || args.trial.is_some();
    if is_part && Search::is_in(&folder) {
        let search = Search::open(&folder)?;
        if asked != blank() {
            search.check(&asked)?;
        }
        return part(&args, &search, &folder);
    }
    if args.collect || args.trial.is_some() {
        let name = folder.display();
        return Err(Error::usage(format!(
            "{name} holds no search; start one without --collect and --trial"
        )));
    }
    let data = read(&args, &asked.settings)?;
    let search = Search::start(&folder, &asked, &data).map_err(|error| error_of(error, &args))?;
    if args.list {
        return part(&args, &search, &folder);
    }
    catch_interrupts()?;
    let rungs = search.rungs();
    while let Some((rung, waiting)) = search.pending()? {
        for trial in waiting {
            let name = format!("rung {} of {}, trial {trial}: ", rung + 1, rungs.len());
            search.train(trial, &data, &mut Progress::new(&name))?;
        }
    }
    tell(&args, &search, &folder)
}

/// What was asked for.
fn asked(args: &Args) -> Result<Asked> {
    let mut told = Settings::told(args.config.as_deref(), &args.settings)?;
    // Said of training, not of a model.
    told.retain(|key| MODEL_KEYS.contains(&key.as_str()));
    let limits = args.device.limits()?;
    Ok(Asked {
        settings: Settings::resolve(args.config.as_deref(), &args.settings)?,
        told,
        bounds: Bounds {
            ram_bytes: limits.ram_bytes,
            flash_bytes: limits.flash_bytes,
            ms_per_step: args.ms_per_step,
            processor: args.device.processor(),
            clock_hz: args.device.clock(),
            wait_states: args.wait_states,
        },
        trials: usize::try_from(args.trials).unwrap_or(usize::MAX),
    })
}

/// What is drawn where nobody says it.
const MODEL_KEYS: [&str; 11] = [
    "blocks",
    "cell",
    "hidden-modes",
    "input-map",
    "input-modes",
    "layers",
    "rank",
    "recurrent-blocks",
    "recurrent-map",
    "recurrent-rank",
    "units",
];

/// What is asked for by a command that says nothing but which folder.
fn blank() -> Asked {
    Asked {
        settings: Settings::default(),
        told: std::collections::BTreeSet::new(),
        bounds: Bounds {
            ram_bytes: None,
            flash_bytes: None,
            ms_per_step: None,
            processor: crate::plan::timing::Processor::M4f,
            clock_hz: CLOCK_HZ,
            wait_states: 0,
        },
        trials: 16,
    }
}

/// A folder that the same command finds again.
fn named_folder(args: &Args, asked: &Asked) -> Result<PathBuf> {
    let text = serde_json::to_string(asked).map_err(Error::malformed)?;
    let hash = Fnv::of(&format!("{}\n{text}", args.data.display()));
    Ok(PathBuf::from(format!("search-{:08x}", hash as u32)))
}

fn read(args: &Args, settings: &Settings) -> Result<DataSet> {
    let parts = [PartName::Train, PartName::Validation];
    load(
        &args.data,
        &settings.recordings()?,
        &parts,
        settings.head.name(),
    )
}

fn error_of(error: Error, args: &Args) -> Error {
    match error.field.as_deref() {
        // A limit is a flag's affair, whatever the data.
        Some("ram" | "flash" | "ms-per-step") => error,
        _ if error.file.is_some() => error,
        _ => error.file(&args.data),
    }
}

/// What was asked for of a search that is there.
fn part(args: &Args, search: &Search, folder: &Path) -> Result<()> {
    if args.list {
        let waiting = search.pending()?.map_or(Vec::new(), |(_, waiting)| waiting);
        for trial in waiting {
            say!("{}", command_of_trial(args, folder, trial));
        }
        return Ok(());
    }
    let Some(trial) = args.trial else {
        return tell(args, search, folder);
    };
    let count = search.trials().len();
    if trial >= count {
        let allowed = format!("the search has trials 0 to {}", count - 1);
        return Err(Error::out_of_range(trial, allowed)
            .field("trial")
            .into_usage());
    }
    let data = read(args, &search.asked().settings)?;
    search.check_data(&data)?;
    catch_interrupts()?;
    search.train(
        trial,
        &data,
        &mut Progress::new(&format!("trial {trial}: ")),
    )?;
    let result = search.result(trial)?;
    if args.json {
        say!("{}", json!(result));
        return Ok(());
    }
    say!("trial {trial}: {}", search.words(trial));
    if let Some(result) = result {
        let score = result
            .validation
            .map_or(String::new(), |score| format!(": {}", score.figures));
        say!("{} epochs{score}", result.epochs);
        if let Some(failed) = result.failed {
            say!("failed: {failed}");
        }
    }
    Ok(())
}

fn command_of_trial(args: &Args, folder: &Path, trial: usize) -> String {
    let words = [
        "bt-train".to_owned(),
        "search".to_owned(),
        "--data".to_owned(),
        quoted(&args.data.to_string_lossy()),
        "--out".to_owned(),
        quoted(&folder.to_string_lossy()),
        "--trial".to_owned(),
        trial.to_string(),
    ];
    words.join(" ")
}

/// The command that trains a trial's model anew, to the same weights.
fn command_of_model(args: &Args, search: &Search, trial: usize) -> Result<String> {
    let base = Settings::resolve(args.config.as_deref(), &Flags::default())?;
    let out = format!("model-{trial}");
    let mut words = [
        "bt-train train --data",
        &quoted(&args.data.to_string_lossy()),
        "--out",
        &out,
    ]
    .join(" ");
    if let Some(config) = &args.config {
        words += &format!(" --config {}", quoted(&config.to_string_lossy()));
    }
    for (key, value) in search.trials()[trial].settings.beyond(&base)? {
        words += &match value.as_str() {
            "true" => format!(" --{key}"),
            "false" => format!(" --{key}=false"),
            value => format!(" --{key} {}", quoted(value)),
        };
    }
    Ok(words)
}

/// A word as shells take it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The front of what is done.
fn tell(args: &Args, search: &Search, folder: &Path) -> Result<()> {
    let found = search.collect()?;
    let pending = search.pending()?;
    let validation = search.validation();
    if args.json {
        let rows = found.front.iter().map(|one| row(args, search, one));
        say!(
            "{}",
            json!({
                "front": rows.collect::<Result<Vec<Value>>>()?,
                "keep": found.keep,
                "baseline": validation.majority,
                "sequences": { "validation": validation.sequences },
                "seed": search.asked().settings.seed,
                "trials": search.trials().len(),
                "looked_at": search.looked_at(),
                "rungs": search.rungs(),
                "trained": found.all.len(),
                "pending": pending.map_or(Vec::new(), |(_, waiting)| waiting),
                "core": search.asked().bounds.processor,
                "clock_hz": search.asked().bounds.clock_hz,
                "limits": {
                    "ram_bytes": search.asked().bounds.ram_bytes,
                    "flash_bytes": search.asked().bounds.flash_bytes,
                    "ms_per_step": search.asked().bounds.ms_per_step,
                },
                "folder": folder,
                "plot": search.plot(),
            })
        );
        return Ok(());
    }
    if let Some((rung, waiting)) = &pending {
        say!(
            "rung {} of {} waits for trials {}; --list prints their commands",
            rung + 1,
            search.rungs().len(),
            waiting
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    if found.front.is_empty() {
        return Ok(());
    }
    print(search, &found)?;
    for one in &found.front {
        say!("{}", command_of_model(args, search, one.trial)?);
    }
    say!("{}", search.plot().display());
    Ok(())
}

fn row(args: &Args, search: &Search, one: &Standing) -> Result<Value> {
    let trial = one.trial;
    let result = search.result(trial)?;
    let mut row = json!({
        "trial": trial,
        "model": search.words(trial),
        "command": command_of_model(args, search, trial)?,
        "run": search.trial(trial),
    });
    merge(&mut row, &json!(one.needs));
    if let Some(result) = result {
        row["epochs"] = result.epochs.into();
        merge(
            &mut row,
            &json!(result.validation.map(|score| score.figures)),
        );
        match result.device.map(|device| device.fixed) {
            Some(Figures::Classes { accuracy, .. }) => row["fixed_accuracy"] = accuracy.into(),
            Some(Figures::Values(ValueFigures { rmse, .. })) => row["fixed_rmse"] = rmse.into(),
            Some(Figures::Bits(bits)) => row["fixed_nats"] = bits.nats.into(),
            None => {}
        }
    }
    Ok(row)
}

fn print(search: &Search, found: &Front) -> Result<()> {
    let validation = search.validation();
    let rungs = search.rungs();
    let rungs = rungs
        .iter()
        .map(|rung| format!("{} for {} epochs", rung.trials, rung.epochs));
    say!(
        "{} models looked at, trained: {}; figures of {} validation sequences, the best epoch of each, seed {}",
        search.looked_at(),
        rungs.collect::<Vec<_>>().join(", "),
        validation.sequences,
        search.asked().settings.seed
    );
    if let Some(majority) = validation.majority {
        say!("always telling the commonest class is right in {majority:.4} of them");
    }
    say!(
        "{:>5}{:>12}{:>10}{:>9}{:>9}{:>14}{:>9}{:>9}  model",
        "trial",
        found.keep.name(),
        "integers",
        "RAM",
        "flash",
        "instructions",
        "ms",
        "weights"
    );
    for one in &found.front {
        let result = search.result(one.trial)?;
        let device = result.as_ref().and_then(|result| result.device);
        let score = result.and_then(|result| result.validation);
        let figure = score.and_then(|score| score.get(found.keep));
        let fixed = device.and_then(|device| device.fixed.get(found.keep));
        let told = |value: Option<f64>| value.map_or("-".into(), digits);
        say!(
            "{:>5}{:>12}{:>10}{:>9}{:>9}{:>14}{:>9.3}{:>9}  {}",
            one.trial,
            told(figure),
            told(fixed),
            one.needs.ram_bytes,
            one.needs.flash_bytes,
            one.needs.instructions,
            one.needs.milliseconds,
            one.needs.parameters,
            search.words(one.trial)
        );
    }
    say!(
        "The best of many looks better on the validation part than it is; what a model is worth, bt-train eval tells \
         of the test part, once."
    );
    Ok(())
}
