//! What settings cannot be, whatever the data.

use super::{ClassWeights, Settings, ValueLoss};
use crate::data::NormalizeOver;
use crate::error::{Error, ErrorKind, Result, With};
use crate::float::config::{DRAW_STEPS_MAX, HeadName};
use crate::shape::MapName;
use crate::training::augment::Augment;
use crate::training::metrics::Keep;
use bt_core::OutputKind;
use bt_core::internals::model::layout::LAYERS_MAX;

/// Most latent values of a step: more would be no code of a picture.
const LATENT_MAX: usize = 4096;

impl Settings {
    pub(super) fn validate(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs as f32),
            ("batch", self.batch as f32),
            ("lr", self.lr),
            ("clip", self.clip),
            ("huber-delta", self.huber_delta),
        ];
        for (field, value) in positive {
            if value.is_nan() || value <= 0.0 {
                return Err(Error::out_of_range(value, "give a number above 0").field(field));
            }
        }
        let shares = [
            ("warm-up", self.warm_up),
            ("label-smoothing", self.label_smoothing),
            ("input-dropout", self.input_dropout),
            ("recurrent-dropout", self.recurrent_dropout),
            ("output-dropout", self.output_dropout),
            ("hide-words", self.hide_words),
            ("beta2", self.beta2),
            ("validation", self.validation),
        ];
        for (field, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return Err(
                    Error::out_of_range(value, "give a share from 0 to below 1").field(field)
                );
            }
        }
        if !(0.0..=1.0).contains(&self.final_lr) {
            let allowed = "give a share from 0 to 1";
            return Err(Error::out_of_range(self.final_lr, allowed).field("final-lr"));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let allowed = "give 0 or more";
            return Err(Error::out_of_range(self.weight_decay, allowed).field("weight-decay"));
        }
        if !(0.0..=1.0).contains(&self.factor_decay) {
            let allowed = "give a share from 0 to 1";
            return Err(Error::out_of_range(self.factor_decay, allowed).field("factor-decay"));
        }
        for (field, value, most) in [
            ("draw-steps", self.draw_steps, DRAW_STEPS_MAX),
            ("latent", self.latent, LATENT_MAX),
        ] {
            if !(1..=most).contains(&value) {
                return Err(
                    Error::out_of_range(value, format!("1 to {most} are possible")).field(field),
                );
            }
        }
        if self.frames == 1 {
            let allowed = "give 2 or more, or 0 for all there are";
            return Err(Error::out_of_range(self.frames, allowed).field("frames"));
        }
        self.augment.validate(self.frames > 0)?;
        let (input, recurrent) = (self.input_map, self.recurrent_map);
        for (prefix, map) in [
            ("", input.with(self.blocks, self.rank)),
            (
                "recurrent-",
                recurrent.with(self.recurrent_blocks, self.recurrent_rank),
            ),
        ] {
            map.validate(prefix)?;
        }
        if !(1..=LAYERS_MAX).contains(&self.layers) {
            let allowed = format!("1 to {LAYERS_MAX} are possible");
            return Err(Error::out_of_range(self.layers, allowed).field("layers"));
        }
        if !self.cell.device().is_recurrent() {
            let why = "a minGRU has no map from the hidden state";
            let with = With::Cell;
            for (field, is_set) in [
                ("recurrent-map", self.recurrent_map != MapName::Dense),
                ("recurrent-dropout", self.recurrent_dropout > 0.0),
            ] {
                if is_set {
                    let error = Error::new(ErrorKind::Conflict { with, why }).field(field);
                    return Err(error.remedy("leave it out, or take another cell"));
                }
            }
        }
        if !(self.train_share > 0.0 && self.train_share <= 1.0) {
            let allowed = "give a share above 0, at most 1";
            return Err(Error::out_of_range(self.train_share, allowed).field("train-share"));
        }
        Ok(())
    }

    /// Checks that nothing was set that means nothing to a head.
    pub(super) fn check_head(&self, head: HeadName) -> Result<()> {
        self.keep.of(head.kind())?;
        let of_classes = match head.kind() {
            OutputKind::Classes => None,
            OutputKind::Values => Some((
                "is for classes, and y holds values",
                "are for classes, and y holds values",
            )),
            OutputKind::Bits => Some((
                "is for classes, and these are bits",
                "are for classes, and these are bits",
            )),
        };
        let of_values = match head.kind() {
            OutputKind::Values => None,
            OutputKind::Classes => Some("is for values, and y holds classes"),
            OutputKind::Bits => Some("is for values, and these are bits"),
        };
        let of_frames = match head {
            HeadName::NextBits | HeadName::Draw => {
                Some("varies what is read alone, and the frames are what is to be told")
            }
            HeadName::NextWords => Some("varies sequences of frames, and a picture is one frame"),
            _ => None,
        };
        let of_captions =
            (head != HeadName::NextWords).then_some("is for captions (`head next-words`)");
        let pictures = head == HeadName::Draw;
        let of_others =
            pictures.then_some("is not for pictures, whose pixels are read as they are");
        let of_pictures = (!pictures).then_some("is for pictures (`head draw`)");
        let default = Settings::default();
        let (smoothing, weights) = of_classes.unzip();
        let unsupported = [
            ("label-smoothing", smoothing, self.label_smoothing != 0.0),
            (
                "class-weights",
                weights,
                self.class_weights != ClassWeights::None,
            ),
            ("loss", of_values, self.loss != ValueLoss::Squared),
            ("augment", of_frames, self.augment != Augment::default()),
            ("input-dropout", of_others, self.input_dropout > 0.0),
            ("recurrent-dropout", of_others, self.recurrent_dropout > 0.0),
            ("output-dropout", of_others, self.output_dropout > 0.0),
            ("hide-words", of_captions, self.hide_words > 0.0),
            ("keep", of_captions, self.keep == Keep::Bleu),
            (
                "normalize",
                of_others,
                self.normalize != NormalizeOver::Auto,
            ),
            (
                "draw-steps",
                of_pictures,
                self.draw_steps != default.draw_steps,
            ),
            ("latent", of_pictures, self.latent != default.latent),
            ("attention", of_pictures, self.attention != 0),
        ];
        let refused = unsupported
            .into_iter()
            .find_map(|(field, why, is_set)| Some((field, why.filter(|_| is_set)?)));
        match refused {
            Some((field, why)) => Err(Error::new(ErrorKind::NotForHead { head, why })
                .field(field)
                .remedy("leave it out")),
            None => Ok(()),
        }
    }
}
