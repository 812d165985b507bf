//! Builds firmware: one board, one model, one ELF file.

use std::env;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use bt_boards::NoSlots;
use bt_core::Model;
use bt_core::detection::Detector;
use bt_core::drawing::NextFrame;
use bt_core::health::Crc32c;
use bt_train::device;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::board::Board;

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Firmware<'a> {
    /// The board.
    pub board: &'a Board,
    /// The model that goes into it.
    pub model: ModelIn<'a>,
    /// Log over semihosting.
    pub log: bool,
    /// Another binary of `bt-embed` than the board's firmware.
    pub binary: Option<&'a str>,
}

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To run.
    Use,
    /// To run, the registers of the FPU left alone by the kernels.
    NoFpRegisters,
    /// To count its flash: with these features of `bt-core`, as a product is built whose model needs no other.
    Flash(&'a str),
}

/// How a model gets into a firmware.
#[derive(Clone, Copy, Debug)]
pub enum ModelIn<'a> {
    /// None does.
    Nowhere,
    /// Built in; all memory is made to measure.
    Program(&'a Path),
    /// Two, for the binary `wake_word`.
    Pair {
        /// Listens for the wake word.
        wake: &'a Path,
        /// Listens for a command behind it.
        commands: &'a Path,
    },
    /// Built in, and two slots beside it for models that come over the line; all of the board's memory is theirs.
    Slots(Option<&'a Path>),
    /// Written into the finished program by [`fill`]: one build for many models.
    Slot {
        /// Longest model file.
        flash_bytes: usize,
        /// Largest arena.
        arena_bytes: usize,
        /// Most classes.
        classes: usize,
    },
}

/// Scores that firmware with slots has room for; as many are counted as the program's in the table of boards.
const SLOTS_CLASSES: usize = 64;

/// A score, a rule of detection, and a bit of a drawing.
const SCORE_BYTES: usize = 4 + 12 + 1;

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
    tools.parent().unwrap_or(tools).to_owned()
}

/// The cargo that runs us, in the workspace.
pub(crate) fn cargo() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace());
    command
}

/// The cargo that builds a project of its own: from its folder, where its configuration is, into a folder that
/// all of them share.
fn in_project(folder: &str) -> Command {
    let mut command = cargo();
    command
        .current_dir(workspace().join(folder))
        .arg("build")
        .arg("--target-dir")
        .arg(workspace().join("target/examples"));
    command
}

impl Firmware<'_> {
    /// Builds it and returns the ELF file's path, which no later build writes to.
    ///
    /// # Errors
    ///
    /// The compiler's messages have then gone to standard error.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_for(Purpose::Use)
    }

    /// As [`build`](Self::build), for one purpose.
    ///
    /// # Errors
    ///
    /// As of [`build`](Self::build).
    pub fn build_for(&self, purpose: Purpose<'_>) -> Result<PathBuf> {
        let board = self.board;
        let mut features = format!("board-{}", board.name);
        let mut level = None;
        if self.log {
            if board.target.starts_with("riscv") {
                bail!("{}: firmware for RISC-V has no log", board.name);
            }
            features.push_str(",log");
            // defmt leaves out all but errors unless it is told.
            level = Some(env::var_os("DEFMT_LOG").unwrap_or_else(|| "debug".into()));
        }
        let binary = self.binary.map_or_else(|| board.binary(), str::to_owned);
        let mut command = match board.project {
            None => {
                let mut command = cargo();
                command
                    .args(["build", "--package", "bt-embed"])
                    .args(["--features", &features]);
                command
            }
            Some(folder)
                if self.log
                    || purpose != Purpose::Use
                    || !matches!(
                        self.model,
                        ModelIn::Program(_) | ModelIn::Slots(Some(_)) | ModelIn::Pair { .. }
                    ) =>
            {
                bail!(
                    "{}: {folder} is a project of its own, which builds firmware with a model; it logs over RTT",
                    board.name
                )
            }
            Some(folder) => {
                let mut command = in_project(folder);
                if let (ModelIn::Slots(_), Some(_)) = (self.model, board.slots) {
                    command.args(["--features", "slots"]);
                }
                command
            }
        };
        command.args(["--quiet", "--profile", board.profile]).args([
            "--target",
            board.target,
            "--bin",
            &binary,
        ]);
        if purpose == Purpose::NoFpRegisters {
            command.args(["--features", "no-fp-registers"]);
        }
        if let Purpose::Flash(features) = purpose {
            command.args(["--no-default-features", "--features", features]);
        }
        command.envs(level.map(|level| ("DEFMT_LOG", level)));
        for variable in ["BT_MODEL", "BT_WAKE_MODEL", "BT_MODEL_SLOT", "BT_SLOTS"] {
            command.env_remove(variable);
        }
        if let ModelIn::Slots(_) = self.model {
            let room = board.room_in_slot().ok_or(NoSlots(board.name))?;
            command.env("BT_SLOTS", format!("{},{SLOTS_CLASSES}", room.ram_bytes));
        }
        match self.model {
            ModelIn::Nowhere | ModelIn::Slots(None) => {}
            ModelIn::Program(path) | ModelIn::Slots(Some(path)) => {
                command.env("BT_MODEL", self.with_room(path)?);
            }
            ModelIn::Pair { wake, commands } => {
                command.env("BT_WAKE_MODEL", self.with_room(wake)?);
                command.env("BT_MODEL", self.with_room(commands)?);
            }
            ModelIn::Slot {
                flash_bytes,
                arena_bytes,
                classes,
            } => {
                let sizes = format!("{flash_bytes},{arena_bytes},{classes}");
                command.env("BT_MODEL_SLOT", sizes);
            }
        }
        let folder = workspace().join("target/programs");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        // Another program that builds this board's firmware, for another model, waits until ours is kept.
        let lock = File::create(folder.join("lock")).context("the lock of builds")?;
        lock.lock().context("the lock of builds")?;
        let messages = messages(&mut command, || {
            format!(
                "the firmware of {} could not be built; the compiler's messages are above \
                 (cargo xtask setup installs its target, {})",
                board.name, board.target
            )
        })?;
        let name = format!("{}-{binary}", board.name);
        keep(&built(&messages, &binary)?, &folder, &name)
    }

    /// The whole path of a model. One that the board has no room for is refused; one that is damaged is flashed all
    /// the same: the firmware says what is wrong with it.
    fn with_room(&self, path: &Path) -> Result<PathBuf> {
        let bytes = device::read_model(path)?;
        if let Ok(model) = Model::parse(bytes.bytes()) {
            let board = self.board;
            let room = match self.model {
                ModelIn::Slots(_) => board.room_beside_slots().ok_or(NoSlots(board.name))?,
                _ => board.room(),
            };
            let session_bytes = model.arena_bytes();
            let fits = |ram_bytes| room.fits(model.flash_bytes(), ram_bytes);
            let scores_bytes = scores_bytes(board, &model);
            fits(session_bytes + scores_bytes)
                .with_context(|| path.display().to_string())
                .with_context(|| match fits(session_bytes) {
                    Ok(()) => format!(
                        "{scores_bytes} bytes are for its {} scores: train it with fewer, or take a larger board",
                        model.outputs()
                    ),
                    // What `--board` alone plans for is more than slots leave beside them.
                    Err(_) if matches!(self.model, ModelIn::Slots(_)) => format!(
                        "export it for what is left beside the slots, bt-train quantize … --board {} --ram {} --flash {}",
                        board.name, room.ram_bytes, room.flash_bytes
                    ),
                    Err(_) => format!(
                        "export it for this board, bt-train quantize … --board {}",
                        board.name
                    ),
                })?;
        }
        path.canonicalize()
            .with_context(|| path.display().to_string())
    }
}

/// What is kept of programs that nobody has built for so long is removed.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A copy of a program under a name of its contents: the next build writes where cargo left this one.
fn keep(elf: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let place = || folder.display().to_string();
    let bytes = std::fs::read(elf).with_context(|| elf.display().to_string())?;
    let crc = Crc32c::new().with(&bytes).value();
    let kept = folder.join(format!("{name}-{crc:08x}.elf"));
    let now = SystemTime::now();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let is_program = entry.path().extension().is_some_and(|end| end == "elf");
        let changed = entry.metadata().and_then(|about| about.modified());
        let age = changed.map(|changed| now.duration_since(changed).unwrap_or_default());
        if is_program && age.is_ok_and(|age| age > KEPT) {
            std::fs::remove_file(entry.path()).with_context(place)?;
        }
    }
    // Whole or not at all, and never in place of one that runs.
    let mut copy = NamedTempFile::new_in(folder).with_context(place)?;
    copy.write_all(&bytes).with_context(place)?;
    copy.persist(&kept).with_context(place)?;
    Ok(kept)
}

/// RAM that a model's scores take of the firmware, beyond those that the table of boards counts as the program's.
fn scores_bytes(board: &Board, model: &Model<'_>) -> usize {
    let scores = model.outputs();
    let own = match (board.project, model.next_frame()) {
        // A place of each kind for every score.
        (Some(_), _) => SCORE_BYTES * scores,
        (None, NextFrame::Drawn) => 5 * scores,
        (None, _) => 4 * scores + 12 * Detector::places(model),
    };
    own.saturating_sub(SCORE_BYTES * SLOTS_CLASSES)
}

/// Runs a build to its end; what cargo tells of it, for [`built`] and [`built_file`].
///
/// # Errors
///
/// What `failed` says; the compiler's messages have then gone to standard error.
pub(crate) fn messages(command: &mut Command, failed: impl FnOnce() -> String) -> Result<Vec<u8>> {
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .context("cargo could not be started")?;
    if !output.status.success() {
        bail!(failed());
    }
    Ok(output.stdout)
}

/// The file of a library with this ending among cargo's messages.
pub(crate) fn built_file(messages: &[u8], library: &str, ending: &str) -> Result<PathBuf> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == library)
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .find(|path| path.extension().is_some_and(|end| end == ending))
        .with_context(|| format!("cargo built no .{ending} file"))
}

/// The program of this name among cargo's messages.
pub(crate) fn built(messages: &[u8], name: &str) -> Result<PathBuf> {
    String::from_utf8_lossy(messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo built no program")
}

/// Puts a model into the slot of a finished program.
///
/// # Errors
///
/// The program has no slot, or a smaller one.
pub fn fill(program: &[u8], model: &[u8]) -> Result<Vec<u8>> {
    let mark = include_bytes!("../../bt-embed/src/slot.mark");
    let start = program
        .windows(mark.len())
        .position(|window| window == mark)
        .context("the firmware has no slot for a model")?;
    let mut filled = program.to_vec();
    let room = filled[start + mark.len()..]
        .iter()
        .take_while(|&&byte| byte == 0xFF)
        .count();
    if model.len() > mark.len() + room {
        bail!(
            "the model has {} bytes, its slot {}",
            model.len(),
            mark.len() + room
        );
    }
    filled[start..start + model.len()].copy_from_slice(model);
    Ok(filled)
}
