//! `cargo xtask c-library`: `bt-core` as a static library for C, with its header, what CMake and Zephyr need
//! to take the folder in, and a model as C sources.

mod model;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bt_train::plan::timing::Processor;
use bt_train::say;
use clap::ValueEnum;

pub use model::Sources;

use crate::{board, firmware, setup};

/// A C library.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rust's target: thumbv7em-none-eabihf for a Cortex-M4F, thumbv6m-none-eabi for an M0.
    #[arg(long, value_name = "TRIPLE")]
    target: String,
    /// The processor, where the target does not tell all of it.
    #[arg(long = "core")]
    processor: Option<Processor>,
    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A model to write as model.h and model.c.
    #[arg(long, value_name = "M.btm")]
    model: Option<PathBuf>,
    /// What its two files and all names in them begin with. Programs with several models have one for each; run the
    /// command once for each, into the same folder.
    #[arg(long, default_value = "model", requires = "model", value_parser = model::name)]
    name: String,
    /// Leave the audio front end out.
    #[arg(long)]
    no_front_end: bool,
}

/// Files of the folder beside library and model: what becomes of what.
const FILES: [(&str, &str); 3] = [
    ("bt_core.h", "bt_core.h"),
    ("package/CMakeLists.txt", "CMakeLists.txt"),
    ("package/zephyr/module.yml", "zephyr/module.yml"),
];

/// Builds the library and writes the folder.
///
/// # Errors
///
/// The target does not go with the processor, the model is none, or the compiler's messages are above.
pub fn run(args: &Args) -> Result<()> {
    let model = args.model.as_deref();
    let model = model
        .map(|path| Sources::read(path, &args.name))
        .transpose()?;
    let library = Library {
        target: &args.target,
        processor: args.processor,
        front_end: !args.no_front_end,
    };
    library.write(&args.out)?;
    let of_model = match model {
        Some(model) => {
            model.write(&args.out)?;
            format!(", {0}.h, {0}.c", args.name)
        }
        None => String::new(),
    };
    let files = FILES.map(|(_, file)| file).join(", ");
    say!("{}: libbt_core.a, {files}{of_model}", args.out.display());
    Ok(())
}

/// What is built.
#[derive(Clone, Copy, Debug)]
pub struct Library<'a> {
    /// Rust's target triple.
    pub target: &'a str,
    /// The processor, where the target does not tell all of it.
    pub processor: Option<Processor>,
    /// With the audio front end.
    pub front_end: bool,
}

impl Library<'_> {
    /// Builds it into a folder, header and all.
    ///
    /// # Errors
    ///
    /// As [`run`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        let archive = self.build()?;
        let sources = firmware::workspace().join("bt-embed/c");
        for (from, to) in FILES {
            let from = sources.join(from);
            let bytes = fs::read(&from).with_context(|| from.display().to_string())?;
            write(&folder.join(to), &bytes)?;
        }
        let bytes = fs::read(&archive).with_context(|| archive.display().to_string())?;
        write(&folder.join("libbt_core.a"), &bytes)
    }

    /// The archive.
    fn build(&self) -> Result<PathBuf> {
        self.check_processor()?;
        setup::target(self.target)?;
        let of_target = board::all()
            .iter()
            .find(|board| board.target == self.target);
        let profile = of_target.map_or("firmware", |board| board.profile);
        let mut command = firmware::cargo();
        command
            .args(["rustc", "--quiet", "--package", "bt-c", "--lib"])
            .args(["--crate-type", "staticlib", "--target", self.target])
            .args(["--profile", profile, "--config"])
            .arg(format!("profile.{profile}.debug=0"));
        if !self.front_end {
            command.arg("--no-default-features");
        }
        // An M33 without the DSP extension is built for without --core.
        match self.processor {
            Some(Processor::M33) => drop(command.args(["--features", "dsp"])),
            Some(Processor::M55) => drop(command.args(["--features", "helium"])),
            _ => {}
        }
        let messages = firmware::messages(&mut command, || {
            format!(
                "the library could not be built for {}; the compiler's messages are above",
                self.target
            )
        })?;
        firmware::built_file(&messages, "bt_c", "a")
    }

    /// Refuses a processor that the target is not for.
    fn check_processor(&self) -> Result<()> {
        let Some(processor) = self.processor else {
            return Ok(());
        };
        let fitting: &[&str] = match processor {
            Processor::M0 => &["thumbv6m-none-eabi"],
            Processor::M3 => &["thumbv7m-none-eabi"],
            Processor::M4 => &["thumbv7em-none-eabi"],
            Processor::M4f | Processor::M7 => &["thumbv7em-none-eabihf", "thumbv7em-none-eabi"],
            Processor::M33 | Processor::M55 => {
                &["thumbv8m.main-none-eabihf", "thumbv8m.main-none-eabi"]
            }
            Processor::Rv32 => &[
                "riscv32imac-unknown-none-elf",
                "riscv32imc-unknown-none-elf",
            ],
        };
        if !fitting.contains(&self.target) {
            let name = processor.to_possible_value();
            bail!(
                "--core {}: {} is no target of it; there are {}",
                name.as_ref().map_or("", |name| name.get_name()),
                self.target,
                fitting.join(", ")
            );
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(path, bytes).with_context(|| path.display().to_string())
}
