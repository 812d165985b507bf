//! Which clips a folder holds, and what belongs together.

use crate::error::{Error, ErrorKind, Lack, Result};
use std::path::{Path, PathBuf};

/// A clip of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// Its file.
    pub path: PathBuf,
    /// Which of the labels.
    pub class: usize,
    /// What must not be in two parts, such as the takes of one scene.
    pub group: usize,
}

/// All clips of a folder, sorted by class and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clips {
    /// Names of the classes, those of their folders.
    pub labels: Vec<String>,
    /// They.
    pub clips: Vec<Clip>,
    /// Names of the groups.
    pub groups: Vec<String>,
    /// Whether any two clips are of one group; otherwise each is its own.
    pub is_grouped: bool,
}

/// How files of video end.
const ENDINGS: [&str; 14] = [
    "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "ts", "webm",
    "wmv",
];

/// Finds `folder/class/clip.mpg` and `folder/class/group/clip.mpg`, as UCF11 has them. In a class's folder clips
/// named `v_…_GROUP_CLIP`, as UCF101 has them, are grouped by that. Other files are none of its business.
///
/// # Errors
/// When there are fewer than two classes, or a folder cannot be read.
pub fn find(folder: &Path) -> Result<Clips> {
    let (mut labels, mut clips) = (Vec::new(), Vec::new());
    let mut groups: Vec<String> = Vec::new();
    for class_folder in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let label = name(&class_folder);
        let mut found: Vec<(PathBuf, String)> = Vec::new();
        for path in entries(&class_folder)? {
            if path.is_dir() {
                let group = name(&path);
                let own = entries(&path)?.into_iter().filter(|path| is_clip(path));
                found.extend(own.map(|path| (path, group.clone())));
            } else if is_clip(&path) {
                let group = group_of_name(&path).unwrap_or_else(|| name(&path));
                found.push((path, group));
            }
        }
        if found.is_empty() {
            continue;
        }
        for (path, group) in found {
            let group = format!("{label}/{group}");
            let at = groups.iter().position(|known| *known == group);
            let group = at.unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            let class = labels.len();
            clips.push(Clip { path, class, group });
        }
        labels.push(label);
    }
    if labels.len() < 2 {
        let what = match labels.as_slice() {
            [] => Lack::Clips,
            [class, ..] => Lack::SecondClass {
                class: class.as_str().into(),
            },
        };
        return Err(Error::new(ErrorKind::Lacks(what)).file(folder).remedy(
            "put the clips of each class into a folder of its name: swing/1.mpg or swing/scene/1.mpg",
        ));
    }
    Ok(Clips {
        is_grouped: groups.len() < clips.len(),
        labels,
        clips,
        groups,
    })
}

/// What a folder holds but hidden files, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let in_folder = |error: std::io::Error| Error::from(error).file(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(in_folder)? {
        let entry = entry.map_err(in_folder)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn is_clip(path: &Path) -> bool {
    let is_of_video = path.extension().is_some_and(|ending| {
        let is = |known: &&str| ending.eq_ignore_ascii_case(known);
        ENDINGS.iter().any(is)
    });
    is_of_video && path.is_file()
}

/// `v_Diving_g01` of `v_Diving_g01_c04.avi`.
fn group_of_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let (group, _) = stem.strip_prefix("v_")?.rsplit_once('_')?;
    group.contains('_').then(|| format!("v_{group}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for file in files {
            let path = place.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        place
    }

    #[test]
    fn groups_are_those_of_folders_or_of_names() {
        let place = folder(&[
            "jump/v_jump_01/v_jump_01_01.mpg",
            "jump/v_jump_01/v_jump_01_02.MPG",
            "jump/v_jump_02/v_jump_02_01.mpg",
            "jump/Annotation/v_jump_01_01.xgtf",
            "dive/v_Dive_g01_c01.avi",
            "dive/v_Dive_g01_c02.avi",
            "dive/v_Dive_g02_c01.avi",
            "dive/alone.mp4",
            "dive/notes.txt",
            "dive/.hidden.mp4",
            "empty/readme.md",
            "readme.mp4",
        ]);
        let found = find(place.path()).unwrap();
        assert_eq!(found.labels, ["dive", "jump"]);
        assert!(found.is_grouped);
        let of = |class: usize| -> Vec<&str> {
            let own = found.clips.iter().filter(|clip| clip.class == class);
            own.map(|clip| found.groups[clip.group].as_str()).collect()
        };
        assert_eq!(
            of(0),
            [
                "dive/alone.mp4",
                "dive/v_Dive_g01",
                "dive/v_Dive_g01",
                "dive/v_Dive_g02"
            ]
        );
        assert_eq!(
            of(1),
            ["jump/v_jump_01", "jump/v_jump_01", "jump/v_jump_02"]
        );
        let alone = folder(&["a/1.mp4", "b/1.mp4", "b/2.mp4"]);
        assert!(!find(alone.path()).unwrap().is_grouped);
    }

    #[test]
    fn a_folder_without_classes_is_refused_by_name() {
        for (files, expected) in [
            (&["a.mp4", "b.mp4"][..], "holds no clips in folders"),
            (&["a/1.mp4"], "holds clips of one class, `a`"),
        ] {
            let place = folder(files);
            let line = find(place.path()).unwrap_err().to_string();
            assert!(line.contains(expected) && line.contains("swing"), "{line}");
        }
    }
}
