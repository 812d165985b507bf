//! The table of boards: `boards.toml`, read and checked.
//!
//! The trainer takes limits, core and clock from it, the firmware's build script its memory map and
//! constants, the tools target, chip and emulator. A board is told there and nowhere else; what cargo wants
//! besides, a feature and a binary of `bt-embed`, is tested against it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

/// One board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// As commands and QEMU spell it; `bt-embed`'s feature is `board-` and this.
    pub name: &'static str,
    /// What it is.
    pub board: &'static str,
    /// The processor in short, as `--core` and reports name it.
    pub core: &'static str,
    /// The processor's full name.
    pub cpu: &'static str,
    /// Rust's target triple.
    pub target: &'static str,
    /// Cargo's profile.
    pub profile: &'static str,
    /// Where the program lies.
    pub flash: Memory,
    /// Where its data lie.
    pub ram: Memory,
    /// What the firmware takes of both.
    pub program: Program,
    /// Where models lie, if not in the program's flash.
    pub model: Option<Memory>,
    /// Two slots for models that come over the line.
    pub slots: Option<Slots>,
    /// Clock of the processor.
    pub clock_hz: u32,
    /// Clock of the counter that tells times, where that is not the processor's.
    pub tick_hz: Option<u32>,
    /// Longest frame on the wire.
    pub line_bytes: usize,
    /// QEMU's machine, if it has one.
    pub qemu: Option<Machine>,
    /// What `probe-rs` calls its chip, if it can be bought.
    pub chip: Option<&'static str>,
    /// Folder of a firmware project of its own in the workspace; without one the drivers are `bt-embed`'s.
    pub project: Option<&'static str>,
    /// Whether this firmware has run on the board itself.
    pub silicon: bool,
}

/// A stretch of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Its first address.
    pub start: u32,
    /// Its length, K = 1024.
    pub kib: u32,
}

/// Two slots for models, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// Where the first begins.
    pub start: u32,
    /// The length of each, K = 1024.
    pub kib: u32,
    /// RAM that firmware with slots leaves to a model's session.
    pub arena_kib: u32,
}

/// Bytes of a slot that are not the model's: the record of what is in it.
pub const SLOT_RECORD_BYTES: usize = 64;

/// What the firmware itself takes, its stack included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Code and constants.
    pub flash_kib: u32,
    /// Static memory but the session's, and the stack.
    pub ram_kib: u32,
}

/// A machine of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// QEMU's name of it.
    pub machine: &'static str,
    /// Whether QEMU gives it a network card.
    pub ethernet: bool,
    /// What the machine is to do without, as QEMU's `-global` takes it.
    pub without: Option<&'static str>,
}

/// There is no such board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no board '{name}'; there are {}", names())]
pub struct Unknown {
    /// What was asked for.
    pub name: String,
}

/// A board has no slots for models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has no slots for models; {with} have", with = with_slots())]
pub struct NoSlots(
    /// The board's name.
    pub &'static str,
);

/// A model is too large for a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model needs {need} bytes of {memory}, {board} has {have} {place}")]
pub struct TooLarge {
    /// The board's name.
    pub board: &'static str,
    /// Where the model was to lie.
    pub place: Place,
    /// What there is too little of.
    pub memory: Kind,
    /// Bytes that the model needs.
    pub need: usize,
    /// Bytes that are left to it.
    pub have: usize,
}

/// Where a model lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the program.
    Program,
    /// In a program that has slots for others.
    BesideSlots,
    /// In a slot.
    Slot,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Program => "beside its program",
            Place::BesideSlots => "beside its program and its slots",
            Place::Slot => "for a model in a slot",
        })
    }
}

/// What is left to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The board's name.
    pub board: &'static str,
    /// Where the model lies.
    pub place: Place,
    /// Flash for its file.
    pub flash_bytes: usize,
    /// RAM for its session.
    pub ram_bytes: usize,
}

impl Room {
    /// Whether a model has room, by the bytes of its file and of its session.
    ///
    /// # Errors
    /// Says what there is too little of, and how much is needed.
    pub fn fits(&self, model_bytes: usize, session_bytes: usize) -> Result<(), TooLarge> {
        let needs = [
            (Kind::Ram, session_bytes, self.ram_bytes),
            (Kind::Flash, model_bytes, self.flash_bytes),
        ];
        match needs.into_iter().find(|(_, need, have)| need > have) {
            None => Ok(()),
            Some((memory, need, have)) => Err(TooLarge {
                board: self.board,
                place: self.place,
                memory,
                need,
                have,
            }),
        }
    }
}

/// The two memories of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where the model lies.
    Flash,
    /// Where its session lies.
    Ram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Flash => "flash",
            Kind::Ram => "RAM",
        })
    }
}

static TABLE: LazyLock<Vec<Board>> = LazyLock::new(|| {
    // What is read at start-up is what a test of this crate has read.
    let table: BTreeMap<String, Vec<Board>> = toml::from_str(include_str!("../boards.toml"))
        .unwrap_or_else(|error| panic!("boards.toml: {error}"));
    table.into_values().flatten().collect()
});

/// Every board.
pub fn all() -> &'static [Board] {
    &TABLE
}

/// The boards that QEMU emulates and whose drivers are `bt-embed`'s: all of its programs run there.
pub fn emulated() -> impl Iterator<Item = &'static Board> {
    let is_ours = |board: &&Board| board.qemu.is_some() && board.project.is_none();
    all().iter().filter(is_ours)
}

/// The boards that have a firmware project of their own.
pub fn projects() -> impl Iterator<Item = &'static Board> {
    all().iter().filter(|board| board.project.is_some())
}

fn with_slots() -> String {
    let with = all().iter().filter(|board| board.slots.is_some());
    let names: Vec<&str> = with.map(|board| board.name).collect();
    names.join(", ")
}

fn names() -> String {
    let names: Vec<&str> = all().iter().map(|board| board.name).collect();
    names.join(", ")
}

impl Memory {
    /// Its length.
    pub fn bytes(self) -> usize {
        self.kib as usize * 1024
    }
}

impl Slots {
    /// The length of each.
    pub fn bytes(self) -> usize {
        self.kib as usize * 1024
    }
}

impl Board {
    /// The board of this name.
    ///
    /// # Errors
    /// Names the boards there are.
    pub fn find(name: &str) -> Result<&'static Board, Unknown> {
        let found = all().iter().find(|board| board.name == name);
        found.ok_or_else(|| Unknown {
            name: name.to_owned(),
        })
    }

    /// Clock of the counter that tells times.
    pub fn ticks_hz(&self) -> u32 {
        self.tick_hz.unwrap_or(self.clock_hz)
    }

    /// Name of the board's firmware: a binary of `bt-embed`, or of its project.
    pub fn binary(&self) -> String {
        match self.project {
            None => self.name.replace('-', "_"),
            Some(folder) => folder.rsplit('/').next().unwrap_or(folder).to_owned(),
        }
    }

    /// QEMU's program for its processor.
    pub fn emulator(&self) -> &'static str {
        if self.target.starts_with("riscv32") {
            "qemu-system-riscv32"
        } else {
            "qemu-system-arm"
        }
    }

    /// What the firmware leaves to the model in it.
    pub fn room(&self) -> Room {
        Room {
            board: self.name,
            place: Place::Program,
            flash_bytes: match self.model {
                Some(memory) => memory.bytes(),
                None => self.beside_program(self.project.is_some()),
            },
            ram_bytes: self.ram.bytes() - self.program.ram_kib as usize * 1024,
        }
    }

    /// What firmware with slots leaves to the model that is built in; nothing where there are no slots.
    pub fn room_beside_slots(&self) -> Option<Room> {
        let slots = self.slots?;
        Some(Room {
            board: self.name,
            place: Place::BesideSlots,
            flash_bytes: self.beside_program(true),
            ram_bytes: slots.arena_kib as usize * 1024,
        })
    }

    /// What a slot leaves to a model; nothing where there are no slots.
    pub fn room_in_slot(&self) -> Option<Room> {
        let slots = self.slots?;
        Some(Room {
            board: self.name,
            place: Place::Slot,
            flash_bytes: slots.bytes() - SLOT_RECORD_BYTES,
            ram_bytes: slots.arena_kib as usize * 1024,
        })
    }

    /// Flash that the program leaves.
    fn beside_program(&self, has_slots: bool) -> usize {
        self.program_flash(has_slots).bytes() - self.program.flash_kib as usize * 1024
    }

    /// Flash of the program and the model in it: all of it, or what the slots leave.
    fn program_flash(&self, has_slots: bool) -> Memory {
        match self.slots.filter(|_| has_slots) {
            None => self.flash,
            Some(slots) => Memory {
                kib: (slots.start - self.flash.start) / 1024,
                ..self.flash
            },
        }
    }

    /// The linker's map of the memory, for cortex-m-rt's `memory.x`; without the slots, where the firmware has them.
    pub fn memory_x(&self, has_slots: bool) -> String {
        let flash = self.program_flash(has_slots);
        let region = |name: &str, memory: Memory| {
            format!(
                "  {name} : ORIGIN = {:#010x}, LENGTH = {}K\n",
                memory.start, memory.kib
            )
        };
        let model = self
            .model
            .map_or(String::new(), |memory| region("MODEL", memory));
        let section = match self.model {
            Some(_) => {
                "SECTIONS { .model : ALIGN(4) { KEEP(*(.model)); } > MODEL } INSERT AFTER .rodata;\n"
            }
            None => "",
        };
        format!(
            "/* {}. Made from boards.toml. */\nMEMORY\n{{\n{}{}{model}}}\n{section}",
            self.board,
            region("FLASH", flash),
            region("RAM  ", self.ram)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert!(all().len() >= 6);
        for (at, board) in all().iter().enumerate() {
            let name = board.name;
            assert!(
                all()[..at].iter().all(|other| other.name != name),
                "{name} stands twice"
            );
            assert!(board.program.flash_kib < board.flash.kib, "{name}");
            assert!(board.program.ram_kib < board.ram.kib, "{name}");
            assert_eq!(board.ram.start % 4, 0, "{name}");
            if let Some(slots) = board.slots {
                let end = board.flash.start + 1024 * board.flash.kib;
                assert_eq!(slots.start + 2 * 1024 * slots.kib, end, "{name}");
                let program = board.flash.start + 1024 * board.program.flash_kib;
                assert!(slots.start >= program, "{name}");
                let arena_bytes = slots.arena_kib as usize * 1024;
                assert!(arena_bytes <= board.room().ram_bytes, "{name}");
            }
            assert!(
                board.qemu.is_some() || board.chip.is_some(),
                "{name}: a board that is neither sold nor emulated"
            );
            assert_eq!(Board::find(name), Ok(board));
        }
    }

    /// What cargo makes one tell again: a feature and a binary for each board.
    #[test]
    fn the_firmware_has_a_feature_and_a_binary_for_each_board() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let features = manifest["features"].as_table().unwrap();
        let mut told: Vec<_> = features
            .keys()
            .filter_map(|feature| feature.strip_prefix("board-"))
            .collect();
        let ours = || all().iter().filter(|board| board.project.is_none());
        let mut wanted: Vec<_> = ours().map(|board| board.name).collect();
        told.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(told, wanted);
        let binaries = manifest["bin"].as_array().unwrap();
        for board in ours() {
            let needs = toml::Value::from(vec![format!("board-{}", board.name)]);
            assert!(
                binaries
                    .iter()
                    .any(|binary| binary["name"].as_str() == Some(&board.binary())
                        && binary["required-features"] == needs),
                "{}",
                board.name
            );
        }
    }

    /// What a project that is copied must have itself is what the table says.
    #[test]
    fn projects_are_of_this_table() {
        for board in projects() {
            let folder = board.project.unwrap();
            let folder = format!("{}/../../{folder}", env!("CARGO_MANIFEST_DIR"));
            let read = |name: &str| {
                let path = format!("{folder}/{name}");
                std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
            };
            // A chip may want more of the linker besides.
            assert!(
                read("memory.x").starts_with(&board.memory_x(true)),
                "{}",
                board.name
            );
            let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some(&*board.binary()));
            let config: toml::Table = toml::from_str(&read(".cargo/config.toml")).unwrap();
            assert_eq!(config["build"]["target"].as_str(), Some(board.target));
            let chips = "cfg(all(target_arch = \"arm\", target_os = \"none\"))";
            let runner = config["target"][chips]["runner"].as_str().unwrap();
            assert_eq!(runner.split(' ').next_back(), board.chip, "{}", board.name);
            if let Some(slots) = board.slots {
                let flash = read("src/slots.rs");
                let told =
                    [slots.start - board.flash.start, slots.kib].map(|number| number.to_string());
                let [start, kib] = &told;
                let start = format!("SLOTS_OFFSET: usize = {start};");
                let bytes = format!("SLOT_BYTES: usize = {kib} * 1024;");
                assert!(
                    flash.replace('_', "").contains(&start.replace('_', "")),
                    "{start}"
                );
                assert!(flash.contains(&bytes), "{bytes}");
            }
            let program = read("src/main.rs");
            if let Some(slots) = board.slots {
                let arena = format!("SLOT_ARENA_BYTES: usize = {} * 1024;", slots.arena_kib);
                assert!(program.contains(&arena), "{}: {arena}", board.name);
            }
            let line = format!("LINE_BYTES: usize = {};", board.line_bytes);
            if let Some(hertz) = board.tick_hz {
                let told = program.replace('_', "").contains(&hertz.to_string());
                assert!(told, "{}: {hertz}", board.name);
            }
            for told in [format!("name: {:?}", board.name), line] {
                assert!(program.contains(&told), "{}: {told}", board.name);
            }
        }
    }

    #[test]
    fn an_unknown_board_is_answered_with_those_there_are() {
        let error = Board::find("microbit-v9").unwrap_err().to_string();
        assert!(
            error.starts_with("no board 'microbit-v9'; there are microbit, mps2-an385,"),
            "{error}"
        );
    }

    /// By the figures of the nRF51822 xxAA: 256 KiB of flash, 16 KiB of RAM.
    #[test]
    fn a_model_that_is_too_large_is_refused_with_need_and_have() {
        let board = Board::find("microbit").unwrap();
        let (flash, ram) = ((256 - 120) * 1024, (16 - 6) * 1024);
        let room = board.room();
        assert_eq!(room.fits(flash, ram), Ok(()));
        let error = room.fits(flash + 1, ram + 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model needs 10244 bytes of RAM, microbit has 10240 beside its program"
        );
        let error = room.fits(flash + 1, ram).unwrap_err();
        assert_eq!(
            (error.memory, error.need, error.have),
            (Kind::Flash, flash + 1, flash)
        );
        // Slots leave 9 KiB of RAM; of flash a slot has 64 KiB, the program 128 in front of both.
        let (slot, beside) = (board.room_in_slot(), board.room_beside_slots());
        let error = slot.unwrap().fits(64 * 1024 - 64, 9 * 1024 + 4);
        assert_eq!(
            error.unwrap_err().to_string(),
            "the model needs 9220 bytes of RAM, microbit has 9216 for a model in a slot"
        );
        let error = slot.unwrap().fits(64 * 1024, 9 * 1024).unwrap_err();
        assert_eq!((error.memory, error.have), (Kind::Flash, 65_472));
        let error = beside.unwrap().fits(8 * 1024 + 1, 4).unwrap_err();
        assert_eq!((error.memory, error.have), (Kind::Flash, 8 * 1024));
        assert_eq!(Board::find("nrf52840dk").unwrap().room_in_slot(), None);
    }

    #[test]
    fn the_memory_map_is_the_linkers() {
        let map = Board::find("mps2-an505").unwrap().memory_x(true);
        assert!(
            map.contains("FLASH : ORIGIN = 0x10000000, LENGTH = 4096K\n"),
            "{map}"
        );
        assert!(
            map.contains("RAM   : ORIGIN = 0x38000000, LENGTH = 2048K\n"),
            "{map}"
        );
        assert!(!map.contains("MODEL"), "{map}");
        let board = Board::find("mps3-an547").unwrap();
        let map = board.memory_x(false);
        assert!(
            map.contains("MODEL : ORIGIN = 0x38000000, LENGTH = 8192K\n"),
            "{map}"
        );
        assert_eq!(board.room().flash_bytes, 8 << 20);
        // Two slots of 64 KiB at the end of 256 are not the linker's.
        let board = Board::find("microbit").unwrap();
        for (has_slots, kib) in [(false, 256), (true, 128)] {
            let flash = format!("FLASH : ORIGIN = 0x00000000, LENGTH = {kib}K\n");
            assert!(board.memory_x(has_slots).contains(&flash), "{kib}");
        }
    }
}
