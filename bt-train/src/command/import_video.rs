//! `bt-train import-video CLIPS --size 160x120 --frames 6 --out D.npz`

use crate::command::progress;
use crate::data::hash::Fnv;
use crate::data::video::{self, Clip, Clips, Frames};
use crate::data::{NpzWriter, memory};
use crate::error::{Error, ErrorKind, Lack, Result};
use crate::file::{check_out, create_folder, write_atomic};
use crate::{say, warn};
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

/// Arguments of `import-video`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder for each class with its clips, or with folders of clips that belong together, such as UCF11
    pub clips: PathBuf,
    /// The data set to write
    #[arg(long, value_name = "NPZ")]
    pub out: PathBuf,
    /// Columns and rows of a frame
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "160x120")]
    size: Size,
    /// Frames of a clip, evenly from its first to its last
    #[arg(long, value_name = "COUNT", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: u16,
    /// One value a pixel, not red, green and blue
    #[arg(long)]
    pub grey: bool,
    /// Share of each class for the test part, in whole groups
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub test_share: f64,
    /// Seed by which groups are drawn for the test part
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Clips that are decoded at a time [default: as many as there are processors]
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub jobs: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `160x120`.
#[derive(Debug, Clone, Copy)]
struct Size {
    width: usize,
    height: usize,
}

/// Columns and rows at most: a frame of more has no model here.
const SIDE_MAX: usize = 1024;

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Size, String> {
        let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
        match sizes.as_deref() {
            Some(&[width, height])
                if (1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height) =>
            {
                Ok(Size { width, height })
            }
            _ => Err(format!(
                "give columns and rows, 1 to {SIDE_MAX}, such as 160x120"
            )),
        }
    }
}

/// Decodes clips and writes their frames as a data set.
///
/// # Errors
/// When there are no clips, nothing decodes them, or a class is left without any.
pub fn run(args: Args) -> Result<()> {
    check_out(&args.out, &[&args.clips])?;
    if !(0.0..1.0).contains(&args.test_share) {
        let allowed = "give a share from 0 to below 1";
        let error = Error::out_of_range(args.test_share, allowed).field("test-share");
        return Err(error.into_usage());
    }
    video::program()?;
    let found = video::find(&args.clips)?;
    let wanted = Frames {
        width: args.size.width,
        height: args.size.height,
        count: args.frames.into(),
        is_grey: args.grey,
    };
    // All frames, as arrays of the file and as the file.
    let bytes = (wanted.frame_bytes() * wanted.count * found.clips.len()) as u64;
    memory::check(3 * bytes, memory::available())
        .map_err(|error| error.field("size").remedy("take smaller or fewer frames"))?;
    let parts = Parts::of(&args.out)?;
    let decoded = decoded(&found, &wanted, &parts, args.jobs)?;
    let mut kept = Clips {
        clips: Vec::new(),
        ..found.clone()
    };
    let (mut frames, mut skipped) = (Vec::new(), Vec::new());
    for (clip, decoded) in found.clips.iter().zip(decoded) {
        match decoded {
            Ok(of_clip) => {
                kept.clips.push(clip.clone());
                frames.push(of_clip);
            }
            Err(reason) => skipped.push((clip.path.display().to_string(), reason.to_string())),
        }
    }
    for (class, label) in found.labels.iter().enumerate() {
        if kept.clips.iter().all(|clip| clip.class != class) {
            let example = skipped.iter().find(|(path, _)| {
                let of_class = |clip: &&Clip| clip.class == class;
                let mut own = found.clips.iter().filter(of_class);
                own.any(|clip| clip.path.display().to_string() == *path)
            });
            let example = example.map_or_else(String::new, |(path, why)| format!("; {path} {why}"));
            let lack = Lack::UsableClips {
                class: label.as_str().into(),
                first: example.into(),
            };
            return Err(Error::new(ErrorKind::Lacks(lack))
                .file(&args.clips)
                .remedy("mend them, take the folder away, or ask for fewer `frames`"));
        }
    }
    for (path, reason) in &skipped {
        warn!("{path}: {reason}; left out");
    }
    let is_test = video::test_part(&kept, args.test_share, args.seed);
    let test = is_test.iter().filter(|&&is| is).count();
    write(&args.out, &kept, &frames, &is_test, &wanted)?;
    parts.remove();
    let learned = kept.clips.len() - test;
    if args.json {
        let skipped = skipped
            .iter()
            .map(|(path, reason)| json!({ "clip": path, "reason": reason }));
        say!(
            "{}",
            json!({
                "labels": kept.labels,
                "frame_values": wanted.frame_bytes(),
                "sequences": { "train": learned, "test": test },
                "groups": if kept.is_grouped { Some(kept.groups.len()) } else { None },
                "skipped": skipped.collect::<Vec<_>>(),
            })
        );
        return Ok(());
    }
    say!("classes: {}", kept.labels.join(", "));
    let groups = match kept.is_grouped {
        true => format!(" in {} groups, which stay whole", kept.groups.len()),
        false => String::new(),
    };
    say!(
        "{}: {} clips{groups}, {learned} to learn from, {test} to test, {} left out; {} frames of {} values each",
        args.out.display(),
        kept.clips.len(),
        skipped.len(),
        wanted.count,
        wanted.frame_bytes()
    );
    Ok(())
}

/// What became of every clip, several at a time; those that an earlier run has done are not decoded again.
fn decoded(
    found: &Clips,
    wanted: &Frames,
    parts: &Parts,
    jobs: usize,
) -> Result<Vec<video::Decoded>> {
    let bar = progress::bar(found.clips.len(), "clips");
    let of_clip = |clip: &Clip| -> Result<video::Decoded> {
        let part = parts.of_clip(clip, wanted)?;
        let length = (wanted.frame_bytes() * wanted.count) as u64;
        let is_done = std::fs::metadata(&part).is_ok_and(|about| about.len() == length);
        let decoded = match is_done {
            true => Ok(std::fs::read(&part).map_err(|error| Error::from(error).file(&part))?),
            false => video::decode(&clip.path, wanted)?,
        };
        if let (Ok(frames), false) = (&decoded, is_done) {
            write_atomic(&part, |file| Ok(file.write_all(frames)?))?;
        }
        bar.inc(1);
        Ok(decoded)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|error| Error::from(std::io::Error::other(error)))?;
    let decoded = pool.install(|| found.clips.par_iter().map(of_clip).collect());
    bar.finish_and_clear();
    decoded
}

/// The frames of the clips that are done, in a folder beside the data set until that is written.
struct Parts {
    folder: PathBuf,
}

impl Parts {
    fn of(out: &Path) -> Result<Parts> {
        let mut folder = out.as_os_str().to_owned();
        folder.push(".parts");
        let folder = PathBuf::from(folder);
        create_folder(&folder)?;
        Ok(Parts { folder })
    }

    /// The file of a clip as it is now, and of frames of this form.
    fn of_clip(&self, clip: &Clip, wanted: &Frames) -> Result<PathBuf> {
        let in_clip = |error: std::io::Error| Error::from(error).file(&clip.path);
        let path = std::fs::canonicalize(&clip.path).map_err(in_clip)?;
        let about = std::fs::metadata(&path).map_err(in_clip)?;
        let changed = about.modified().map_err(in_clip)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!(
            "{} {} {} {wanted:?}",
            path.display(),
            about.len(),
            changed.as_nanos()
        );
        Ok(self.folder.join(format!("{:016x}", Fnv::of(&name))))
    }

    /// Removes what is no longer needed; what cannot be removed does no harm.
    fn remove(self) {
        let _ = std::fs::remove_dir_all(self.folder);
    }
}

/// Writes the data set.
fn write(
    out: &Path,
    clips: &Clips,
    frames: &[Vec<u8>],
    is_test: &[bool],
    wanted: &Frames,
) -> Result<()> {
    let mut writer = NpzWriter::new();
    for (suffix, of_test) in [("train", false), ("test", true)] {
        let own: Vec<usize> = (0..clips.clips.len())
            .filter(|&at| is_test[at] == of_test)
            .collect();
        if own.is_empty() {
            continue;
        }
        let x: Vec<u8> = own
            .iter()
            .flat_map(|&at| frames[at].iter().copied())
            .collect();
        let mut shape = vec![own.len(), wanted.count, wanted.height, wanted.width];
        if !wanted.is_grey {
            shape.push(wanted.channels());
        }
        writer.array(&format!("x_{suffix}"), &shape, &x)?;
        let classes: Vec<i64> = own.iter().map(|&at| clips.clips[at].class as i64).collect();
        writer.array(&format!("y_{suffix}"), &[own.len()], &classes)?;
        if clips.is_grouped {
            let groups: Vec<i64> = own.iter().map(|&at| clips.clips[at].group as i64).collect();
            writer.array(&format!("group_{suffix}"), &[own.len()], &groups)?;
        }
    }
    writer.texts("labels", &clips.labels);
    writer.write(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_columns_by_rows() {
        let size: Size = "160x120".parse().unwrap();
        assert_eq!((size.width, size.height), (160, 120));
        for wrong in ["", "160", "160x", "0x4", "4x1025", "1x2x3", "-1x2", "4X4"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
