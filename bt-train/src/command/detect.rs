//! `bt-train detect M.btm --data RECORDINGS`

use crate::detection::{self, Count, Looks, Recording, Rules, Told};
use crate::error::{Error, Result};
use crate::{device, say};
use bt_core::Model;
use bt_core::detection::Rule;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Q0.15.
const ONE: f64 = 32_768.0;

/// Arguments of `detect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A quantized model of sound
    pub model: PathBuf,
    /// A folder of long recordings (.wav, .flac) with `events.csv`: file,label,start,end in seconds
    #[arg(long)]
    pub data: PathBuf,
    /// Classes to look for [default: all but those that begin with _]
    #[arg(long, value_name = "LABEL,…", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Smoothed probability from which on a class is detected
    #[arg(long, default_value_t = 0.8, value_name = "P")]
    pub threshold: f64,
    /// Likewise of one class; may be given several times
    #[arg(long, value_name = "LABEL=P")]
    pub threshold_of: Vec<String>,
    /// Looks that probabilities are smoothed over, a power of two, 1 to 1024
    #[arg(long, default_value_t = 8, value_name = "LOOKS")]
    pub smoothing: u32,
    /// Seconds after a detection in which there is no other
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub hold_off: f64,
    /// Steps after which the state begins anew, with one look at their end [default: it goes on, a look a step]
    #[arg(
        long,
        default_value_t = 0,
        value_name = "STEPS",
        hide_default_value = true
    )]
    pub window: u32,
    /// Seconds after the end of an event in which its detection may come
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS")]
    pub tolerance: f64,
    /// Choose thresholds: the fewest misses at no more than so many false alarms an hour
    #[arg(long, value_name = "RATE", requires = "validation")]
    pub choose: Option<f64>,
    /// Recordings to choose them on, a folder as that of --data
    #[arg(long, value_name = "FOLDER", requires = "choose")]
    pub validation: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Detects in recordings by the device's own code, and counts what is missed and what is false.
///
/// # Errors
/// When a file cannot be used, or a rule cannot be.
pub fn run(args: Args) -> Result<()> {
    let bytes = device::read_model(&args.model)?;
    let model = device::parse(&bytes)?;
    let recordings = detection::read(&args.data, &model)?;
    let rate = f64::from(recordings[0].rate);
    let look_seconds = (model.frame_values() * args.window.max(1) as usize) as f64 / rate;
    let mut rules = rules(&model, &args, look_seconds)?;
    let known = |name: &str, value: f64| match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => Err(Error::out_of_range(value, "give a number of at least 0")
            .field(name)
            .into_usage()),
    };
    let tolerance = known("tolerance", args.tolerance)?;
    if let (Some(rate), Some(folder)) = (args.choose, &args.validation) {
        let rate = known("choose", rate)?;
        let validation = detection::read(folder, &model)?;
        let looks = detection::look(&model, &validation, args.window)?;
        let allowed = (rate * hours(&validation)).floor() as usize;
        detection::choose(
            &model,
            &mut rules,
            (&validation, &looks),
            tolerance,
            allowed,
        )?;
    }
    let looks = detection::look(&model, &recordings, args.window)?;
    let (counts, told) = detection::evaluate(&model, &rules, (&recordings, &looks), tolerance)?;
    let report = Report {
        model: &model,
        rules: &rules,
        recordings: &recordings,
        looks: &looks,
        counts: &counts,
        told: &told,
    };
    match args.json {
        true => say!("{}", report.json()),
        false => report.print(),
    }
    Ok(())
}

fn hours(recordings: &[Recording]) -> f64 {
    let seconds = recordings.iter().map(|one| one.seconds(one.samples.len()));
    seconds.sum::<f64>() / 3600.0
}

/// The rules that the flags ask for.
fn rules(model: &Model<'_>, args: &Args, look_seconds: f64) -> Result<Rules> {
    let labels: Vec<&str> = (0..model.classes())
        .map(|class| model.label(class).unwrap_or_default())
        .collect();
    let class = |flag: &str, label: &str| {
        labels
            .iter()
            .position(|known| *known == label)
            .ok_or_else(|| {
                let all = labels.join(", ");
                Error::out_of_range(label, format!("the classes are {all}"))
                    .field(flag)
                    .into_usage()
            })
    };
    let threshold = |flag: &str, p: f64| {
        let q15 = (p * ONE).round();
        if (1.0..=f64::from(Rule::THRESHOLD_MAX)).contains(&q15) {
            return Ok(q15 as u16);
        }
        Err(
            Error::out_of_range(p, "give a probability above 0 and below 1")
                .field(flag)
                .into_usage(),
        )
    };
    let smoothing = args.smoothing;
    if !smoothing.is_power_of_two() || smoothing.ilog2() > u32::from(Rule::SMOOTHING_MAX) {
        return Err(
            Error::out_of_range(smoothing, "give a power of two, 1 to 1024")
                .field("smoothing")
                .into_usage(),
        );
    }
    let looks = (args.hold_off / look_seconds).round();
    if !(0.0..=f64::from(u16::MAX)).contains(&looks) {
        let most = look_seconds * f64::from(u16::MAX);
        return Err(
            Error::out_of_range(args.hold_off, format!("give 0 to {most:.0} seconds"))
                .field("hold-off")
                .into_usage(),
        );
    }
    let rule = Rule {
        threshold: threshold("threshold", args.threshold)?,
        smoothing: smoothing.ilog2() as u8,
        hold_off: looks as u16,
    };
    let mut rules: Rules = labels
        .iter()
        .map(|label| (args.classes.is_empty() && !label.starts_with('_')).then_some(rule))
        .collect();
    for label in &args.classes {
        rules[class("classes", label)?] = Some(rule);
    }
    for given in &args.threshold_of {
        let parts = given.split_once('=');
        let (label, p) = parts
            .and_then(|(label, p)| Some((label, p.parse().ok()?)))
            .ok_or_else(|| {
                Error::out_of_range(given, "give a class and its threshold, such as yes=0.9")
                    .field("threshold-of")
                    .into_usage()
            })?;
        let class = class("threshold-of", label)?;
        let threshold = threshold("threshold-of", p)?;
        rules[class] = Some(Rule { threshold, ..rule });
    }
    Ok(rules)
}

struct Report<'a> {
    model: &'a Model<'a>,
    rules: &'a Rules,
    recordings: &'a [Recording],
    looks: &'a [Looks],
    counts: &'a [Count],
    told: &'a [Vec<Told>],
}

impl Report<'_> {
    /// Classes that are looked for.
    fn watched(&self) -> impl Iterator<Item = (&str, Rule, Count)> {
        let rules = self.rules.iter().zip(self.counts).enumerate();
        rules.filter_map(|(class, (rule, count))| {
            Some((
                self.model.label(class).unwrap_or_default(),
                (*rule)?,
                *count,
            ))
        })
    }

    fn total(&self) -> Count {
        self.watched()
            .fold(Count::default(), |sum, (_, _, count)| Count {
                events: sum.events + count.events,
                hits: sum.hits + count.hits,
                false_alarms: sum.false_alarms + count.false_alarms,
            })
    }

    fn json(&self) -> Value {
        let (total, hours) = (self.total(), hours(self.recordings));
        let classes: Vec<Value> = self
            .watched()
            .map(|(label, rule, count)| {
                json!({
                    "label": label,
                    "threshold": f64::from(rule.threshold) / ONE,
                    "rule": {
                        "threshold": rule.threshold,
                        "smoothing": rule.smoothing,
                        "hold_off": rule.hold_off,
                    },
                    "events": count.events,
                    "misses": count.misses(),
                    "false_alarms": count.false_alarms,
                    "false_alarms_per_hour": count.false_alarms as f64 / hours,
                })
            })
            .collect();
        let detections: Vec<Value> = self
            .recordings
            .iter()
            .zip(self.told)
            .flat_map(|(recording, told)| told.iter().map(|told| (&recording.name, told)))
            .map(|(name, told)| {
                json!({
                    "file": name,
                    "label": self.model.label(told.class).unwrap_or_default(),
                    "seconds": told.seconds,
                    "confidence": told.confidence,
                })
            })
            .collect();
        json!({
            "hours": hours,
            "looks": self.looks.iter().map(|looks| looks.seconds.len()).sum::<usize>(),
            "events": total.events,
            "misses": total.misses(),
            "miss_rate": match total.events {
                0 => Value::Null,
                events => json!(total.misses() as f64 / events as f64),
            },
            "false_alarms": total.false_alarms,
            "false_alarms_per_hour": total.false_alarms as f64 / hours,
            "classes": classes,
            "detections": detections,
        })
    }

    fn print(&self) {
        let (total, hours) = (self.total(), hours(self.recordings));
        say!("class             threshold  events  misses  false alarms");
        for (label, rule, count) in self.watched() {
            say!(
                "{label:16}  {:9.3}  {:6}  {:6}  {:12}",
                f64::from(rule.threshold) / ONE,
                count.events,
                count.misses(),
                count.false_alarms
            );
        }
        let missed = 100.0 * total.misses() as f64 / total.events.max(1) as f64;
        say!(
            "{:.2} hours: {} of {} events missed ({missed:.1} %), {:.2} false alarms an hour",
            hours,
            total.misses(),
            total.events,
            total.false_alarms as f64 / hours
        );
    }
}
