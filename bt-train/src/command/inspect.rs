//! `bt-train inspect FILE`

use crate::error::{Error, Result};
use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file.
    pub file: PathBuf,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Describes a model file.
///
/// # Errors
/// When the file is not a model.
pub fn run(args: Args) -> Result<()> {
    std::fs::metadata(&args.file).map_err(|error| Error::from(error).file(&args.file))?;
    Err(Error::malformed("neither .safetensors nor .btm").file(&args.file))
}
