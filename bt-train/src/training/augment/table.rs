//! The table `[augment]` of the settings.

use crate::error::{Error, ErrorKind, Result, With};
use crate::training::modes::Modes;
use serde::{Deserialize, Serialize};

/// Name of the table.
pub const AUGMENT: &str = "augment";

/// One list makes the fields and their keys.
macro_rules! table {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty;)*) => {
        /// How training sequences are varied, anew in every epoch; what is not named is left as it is.
        ///
        /// Every draw is one for a whole sequence, from an even distribution unless it says otherwise. Values stay
        /// of the type that the data have: rounded, and saturated where that is one of integers.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", default)]
        pub struct Augment {
            $($(#[doc = $doc])*
            #[serde(skip_serializing_if = "is_off")]
            pub $name: $type,)*
        }

        impl Augment {
            /// Its keys in the TOML.
            pub fn keys() -> impl Iterator<Item = &'static str> {
                [$(kebab(stringify!($name)),)*].into_iter()
            }

            /// The keys that are named.
            fn named(&self) -> Vec<&'static str> {
                let mut named = Vec::new();
                $(if !is_off(&self.$name) { named.push(kebab(stringify!($name))); })*
                named
            }
        }
    };
}

table! {
    /// Rows and columns of a frame that is an image, and its channels where it has several: 60x80, 60x80x3.
    frame: Modes;
    /// Noise: each value gets a normal draw of its own, whose deviation is drawn from 0 to this, in units of the
    /// data.
    noise: f32;
    /// Frames: all values times 1 − this to 1 + this.
    scale: f32;
    /// Frames: −this to +this added to all values, in units of the data.
    brightness: f32;
    /// Images: moved by up to so many pixels in both directions; the edge is repeated.
    shift: usize;
    /// Images: share of the sequences that are mirrored, left to right.
    flip: f32;
    /// Images: a window with sides of 1 − this to 1 of the image's, anywhere in it, stretched to the whole.
    crop: f32;
    /// Images: rows and columns, each by its own draw, 1 − this to 1 + this times as large, about the middle; the edge
    /// is repeated.
    stretch: f32;
    /// Frames: time runs up to 1 + this times as fast at one end, and as much slower at the other.
    time_warp: f32;
    /// Frames that are drawn (`frames`): each by up to half of this share of their distance earlier or later, and all
    /// together by as much.
    jitter: f32;
    /// Sound: up to so many seconds of silence before and behind.
    silence: f32;
    /// Sound: up to so many decibels louder or less loud.
    gain: f32;
    /// Sound: up to so many seconds earlier or later, at most half of it; the length stays.
    time_shift: f32;
    /// Sound: 1 − this to 1 + this times as long, at the same pitch.
    time_stretch: f32;
}

fn is_off<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The keys of two words; all others are as their fields.
fn kebab(name: &'static str) -> &'static str {
    match name {
        "time_warp" => "time-warp",
        "time_shift" => "time-shift",
        "time_stretch" => "time-stretch",
        name => name,
    }
}

/// Keys that say something of images.
const IMAGES: [&str; 4] = ["shift", "flip", "crop", "stretch"];
/// Keys that say something of frames, images or not.
const FRAMES: [&str; 5] = ["frame", "scale", "brightness", "time-warp", "jitter"];
/// Keys that say something of sound.
const SOUND: [&str; 4] = ["silence", "gain", "time-shift", "time-stretch"];

/// Those of them that move it in time.
const MOVES: [&str; 3] = ["silence", "time-shift", "time-stretch"];

impl Augment {
    /// Whether nothing is varied.
    pub fn is_off(&self) -> bool {
        self.named().iter().all(|&key| key == "frame")
    }

    /// Checks what can be said without the data; `draws`: whether frames are drawn.
    ///
    /// # Errors
    /// Names the key, as `augment.flip`.
    pub fn validate(&self, draws: bool) -> Result<()> {
        let share = "give a share from 0 to below 1";
        let limited = [
            ("crop", self.crop, 0.999, share),
            ("stretch", self.stretch, 0.999, share),
            ("scale", self.scale, 0.999, share),
            ("time-warp", self.time_warp, 0.999, share),
            (
                "time-stretch",
                self.time_stretch,
                0.5,
                "give a share from 0 to 0.5",
            ),
            ("flip", self.flip, 1.0, "give a share from 0 to 1"),
            ("jitter", self.jitter, 1.0, "give a share from 0 to 1"),
            ("gain", self.gain, 60.0, "give 0 to 60 decibels"),
            ("silence", self.silence, 60.0, "give 0 to 60 seconds"),
            ("time-shift", self.time_shift, 60.0, "give 0 to 60 seconds"),
            ("noise", self.noise, f32::MAX, "give 0 or more"),
            ("brightness", self.brightness, f32::MAX, "give 0 or more"),
        ];
        for (key, value, most, allowed) in limited {
            if !(0.0..=most).contains(&value) {
                return Err(Error::out_of_range(value, allowed).field(field(key)));
            }
        }
        if self.jitter > 0.0 && !draws {
            return Err(conflict(
                "jitter",
                With::Nothing,
                "moves frames that are drawn, and none are",
            )
            .remedy("set `frames` to the number that is drawn from a sequence"));
        }
        Ok(())
    }

    /// Checks that nothing is moved in time: events of streams stand at theirs.
    ///
    /// # Errors
    /// Names the key.
    pub fn check_stays(&self) -> Result<()> {
        let named = self.named();
        match named.iter().find(|key| MOVES.contains(*key)) {
            Some(key) => {
                let why = "would move streams away from the times of their events";
                Err(conflict(key, With::Streams, why).remedy("leave it out"))
            }
            None => Ok(()),
        }
    }

    /// Checks it against data: sound, or frames of so many values.
    ///
    /// # Errors
    /// Names the key.
    pub fn check(&self, is_sound: bool, width: usize) -> Result<()> {
        let named = self.named();
        let foreign = |key: &&&str| match is_sound {
            true => IMAGES.contains(*key) || FRAMES.contains(*key),
            false => SOUND.contains(*key),
        };
        if let Some(key) = named.iter().find(foreign) {
            let (with, why) = match is_sound {
                true => (With::Sound, "is for frames, and the data are sound"),
                false => (With::Frames, "is for sound, and the data are frames"),
            };
            return Err(conflict(key, with, why).remedy("leave it out"));
        }
        let sizes = &self.frame.0;
        if sizes.is_empty() {
            return match named.iter().find(|key| IMAGES.contains(*key)) {
                Some(key) => Err(conflict(
                    key,
                    With::Nothing,
                    "is for images, of which the sides must be known",
                )
                .remedy("give the rows and columns of a frame, as frame = \"60x80\" beside it")),
                None => Ok(()),
            };
        }
        if !matches!(sizes.len(), 2 | 3) {
            let allowed = "give rows and columns, and channels where there are several";
            return Err(Error::out_of_range(&self.frame, allowed).field(field("frame")));
        }
        let product = sizes
            .iter()
            .try_fold(1usize, |all, &size| all.checked_mul(size));
        match product {
            Some(product) if product == width => Ok(()),
            product => Err(Error::new(ErrorKind::Modes {
                modes: sizes.clone(),
                product: product.unwrap_or(usize::MAX),
                width,
            })
            .field(field("frame"))
            .remedy("give the rows and columns of a frame of the data")),
        }
    }
}

fn field(key: &str) -> String {
    format!("{AUGMENT}.{key}")
}

fn conflict(key: &str, with: With, why: &'static str) -> Error {
    Error::new(ErrorKind::Conflict { with, why }).field(field(key))
}
