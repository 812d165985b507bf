//! What rounding costs and fine-tuning wins back, level by level coarser than a device ever is:
//! `cargo run --release -p bt-train --example coarse_levels -- RUN DATA EPOCHS`
//!
//! Accuracy on the test part, the fine-tuned one of the epoch that validates best.

use bt_train::data::{PartName, load};
use bt_train::error::{Error, Result};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::quantize::export::{Options, Scheme};
use bt_train::quantize::fine_tune;
use bt_train::training::evaluate::{self, Score};
use bt_train::training::metrics::Figures;
use bt_train::training::run::RunFolder;
use bt_train::training::settings::{Flags, Settings};
use bt_train::training::trainer::Trainer;
use std::ops::ControlFlow;
use std::path::Path;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [run, data, epochs] = words.as_slice() else {
        return Err(Error::usage("give a run's folder, its data and epochs"));
    };
    let epochs = epochs.parse().map_err(Error::malformed)?;
    let folder = RunFolder::new(run);
    let settings = Settings::resolve(Some(&folder.config()), &Flags::default())?;
    let checkpoint = Checkpoint::read(&folder.best())?;
    let parts = [PartName::Train, PartName::Validation, PartName::Test];
    let data = load(
        Path::new(data),
        &settings.recordings()?,
        &parts,
        settings.head.name(),
    )?;
    let frames = data.clone().for_model(&checkpoint.config)?;
    let options = Options {
        name: "coarse".into(),
        limits: Default::default(),
        sequences: 128,
    };
    let part = frames.part(PartName::Train)?;
    let test = frames.part(PartName::Test)?;
    let targets = test.known_targets(PartName::Test)?;
    let model = checkpoint.model()?;
    let floats = Score::of(&model, &evaluate::told(&model, test), targets).figures;
    println!("floats    {floats} of {} test sequences", test.sequences());
    let settings = settings.fine_tuning(epochs);
    for bits in [16, 8, 6, 5, 4, 3] {
        let mut scheme = Scheme::calibrate(&checkpoint, part, &[], &options)?;
        scheme.coarsen(bits);
        let mut trainer = Trainer::fine_tune(&settings, &checkpoint, &scheme, &data)?;
        let figures = |trainer: &Trainer<'_>| -> Result<Figures> {
            let model = trainer.checkpoint().model()?;
            let logits = fine_tune::logits(&scheme, &model, test)?;
            Ok(Score::of(&model, &logits.into(), targets).figures)
        };
        let before = figures(&trainer)?;
        while !trainer.finished() {
            trainer.epoch(&mut |_| ControlFlow::Continue(()))?;
        }
        let after = figures(&trainer)?;
        println!("{bits:>2} bits   {before}   fine-tuned {after}");
    }
    Ok(())
}
