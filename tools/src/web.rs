//! `cargo xtask web`: one file that runs a model in the browser.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bt_train::{device, remark, say};
use serde_json::{Value, json};

use crate::{demo, firmware, setup};

/// Where to, and which model.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the page; index.html will be in it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The model that the page opens with, instead of the demo's.
    #[arg(long, value_name = "BTM")]
    model: Option<PathBuf>,
}

/// The recordings of the demo's test part that the page offers, one of a speaker.
const EXAMPLES: [&str; 6] = [
    "0_george_0.wav",
    "3_jackson_1.wav",
    "5_lucas_2.wav",
    "6_nicolas_3.wav",
    "7_theo_0.wav",
    "9_yweweler_4.wav",
];

/// Writes the page.
///
/// # Errors
///
/// The model is none, or something cannot be built or written.
pub fn run(args: Args) -> Result<()> {
    setup::target(setup::WEB_TARGET)?;
    let (model, examples) = match &args.model {
        Some(path) => (device::read_model(path)?, Vec::new()),
        None => {
            remark!("training the demo's model");
            let folder = tempfile::tempdir().context("a folder for the model")?;
            (demo::model(folder.path())?, examples()?)
        }
    };
    let page = write(&args.out, model.bytes(), &examples)?;
    let length = fs::metadata(&page).map_or(0, |about| about.len());
    say!(
        "{}: {} KB; open it in a browser",
        page.display(),
        length / 1000
    );
    Ok(())
}

/// A recording that the page offers.
#[derive(Debug)]
pub struct Example {
    /// Its file name.
    pub name: String,
    /// What is in the file.
    pub bytes: Vec<u8>,
}

fn examples() -> Result<Vec<Example>> {
    let folder = demo::recordings();
    let read = |name: &&str| {
        let path = folder.join(name);
        Ok(Example {
            name: (*name).to_owned(),
            bytes: fs::read(&path).with_context(|| path.display().to_string())?,
        })
    };
    EXAMPLES.iter().map(read).collect()
}

/// Builds the page into a folder, which is made if need be; gives the file.
///
/// # Errors
///
/// The compiler's messages have then gone to standard error, or the file cannot be written.
pub fn write(folder: &Path, model: &[u8], examples: &[Example]) -> Result<PathBuf> {
    let wasm = build()?;
    let wasm = fs::read(&wasm).with_context(|| wasm.display().to_string())?;
    let examples: Vec<Value> = examples
        .iter()
        .map(|example| json!({ "name": example.name, "file": BASE64_STANDARD.encode(&example.bytes) }))
        .collect();
    let bundle = json!({
        "wasm": BASE64_STANDARD.encode(wasm),
        "model": BASE64_STANDARD.encode(model),
        "examples": examples,
    });
    let script = concat!(
        include_str!("../../bt-embed/web/page/files.js"),
        include_str!("../../bt-embed/web/page/pictures.js"),
        include_str!("../../bt-embed/web/page/main.js"),
    );
    let page = include_str!("../../bt-embed/web/page/index.html")
        .replace(
            "/*STYLE*/",
            include_str!("../../bt-embed/web/page/style.css"),
        )
        // A script's end within a text would end it.
        .replace("/*BUNDLE*/", &bundle.to_string().replace("</", "<\\/"))
        .replace("/*SCRIPT*/", script);
    let path = folder.join("index.html");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, page))
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

/// bt-core for the browser.
fn build() -> Result<PathBuf> {
    let mut command = firmware::cargo();
    command
        .args(["build", "--quiet", "--package", "bt-web", "--lib"])
        .args(["--profile", "web", "--target", setup::WEB_TARGET]);
    let messages = firmware::messages(&mut command, || {
        "the page's program could not be built; the compiler's messages are above".to_owned()
    })?;
    firmware::built_file(&messages, "bt_web", "wasm")
}
