//! A model as C sources: its bytes, its sizes, and the names of its outputs as constants.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use bt_core::{InputType, Model, OutputKind};
use bt_train::device;

/// Words a line of the array.
const WORDS_A_LINE: usize = 8;

/// A header and a source file, `model.h` and `model.c`, or of another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    name: String,
    /// Sizes and names.
    pub header: String,
    /// The bytes.
    pub source: String,
}

impl Sources {
    /// The sources of a model's file; everything in them begins with `name`.
    ///
    /// # Errors
    ///
    /// Names the file: it is no model.
    pub fn read(path: &Path, name: &str) -> Result<Sources> {
        let bytes = device::read_model(path)?;
        let model = device::parse(&bytes).map_err(|error| error.file(path))?;
        Ok(Sources {
            name: name.to_owned(),
            header: header(name, &model, bytes.bytes().len()),
            source: source(name, &model, bytes.bytes()),
        })
    }

    /// Writes them into a folder.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let file = |ending| folder.join(format!("{}.{ending}", self.name));
        super::write(&file("h"), self.header.as_bytes())?;
        super::write(&file("c"), self.source.as_bytes())
    }
}

/// Headers that `bt_core.h` or a program includes: a file of that name beside them would be taken instead.
const HEADERS: [&str; 12] = [
    "assert", "errno", "float", "inttypes", "limits", "math", "stdbool", "stddef", "stdint",
    "stdio", "stdlib", "string",
];

/// What names in C may begin with, if they are not the library's.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_own = text == "bt" || text.starts_with("bt_");
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let is_taken = is_own || HEADERS.contains(&text);
    if !begins_well || is_taken || identifier(text) != text || text.to_lowercase() != text {
        return Err(
            "names of C shall begin so: small letters of ASCII, digits and low lines, a letter first, not bt_ nor a header of C"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

fn header(name: &str, model: &Model<'_>, length: usize) -> String {
    let upper = name.to_uppercase();
    let input = match model.input_type() {
        InputType::U8 => "BT_INPUT_U8",
        InputType::I8 => "BT_INPUT_I8",
        InputType::I16 => "BT_INPUT_I16",
    };
    let kind = match model.output_kind() {
        OutputKind::Classes => "BT_OUTPUT_CLASSES",
        OutputKind::Values => "BT_OUTPUT_VALUES",
        OutputKind::Bits => "BT_OUTPUT_BITS",
    };
    let mut text = format!(
        "/* Made by cargo xtask c-library of the model {}. */\n\
         #ifndef {upper}_H\n\
         #define {upper}_H\n\n\
         #include \"bt_core.h\"\n\n\
         #define {upper}_DATA_BYTES {length}u\n\
         #define {upper}_ARENA_BYTES {}u\n\
         #define {upper}_SESSION_BYTES (BT_SESSION_OVERHEAD_BYTES + {upper}_ARENA_BYTES)\n\
         #define {upper}_FRAME_VALUES {}u\n\
         #define {upper}_OUTPUTS {}u\n\
         #define {upper}_INPUT_TYPE {input}\n\
         #define {upper}_OUTPUT_KIND {kind}\n\
         #define {upper}_SCORE_SHIFT {}\n\
         #define {upper}_CRC {:#010x}u\n",
        comment(model.name()),
        model.arena_bytes(),
        model.frame_values(),
        model.outputs(),
        model.score_shift(),
        model.crc(),
    );
    for (what, value) in pictures(model) {
        let _ = writeln!(text, "#define {upper}_{what} {value}u");
    }
    let labels = constants(model);
    text.push('\n');
    if !labels.is_empty() {
        text.push_str("enum {\n");
        for (output, label) in labels {
            let _ = writeln!(text, "    {upper}_{label} = {output},");
        }
        text.push_str("};\n\n");
    }
    let _ = write!(
        text,
        "/* The file, to be left in flash. */\n\
         extern const uint32_t {name}_data[];\n\n\
         /* The names of the outputs; \"\" for one that has none. */\n\
         extern const char *const {name}_labels[{upper}_OUTPUTS];\n\n\
         #endif\n"
    );
    text
}

/// What a model of pictures has beside others: the size of those that it paints, the length of captions.
fn pictures(model: &Model<'_>) -> Vec<(&'static str, usize)> {
    let mut constants = Vec::new();
    if let Some(picture) = model.painting() {
        constants.push(("PICTURE_STEPS", picture.steps as usize));
        constants.push(("PICTURE_ROWS", picture.rows));
        constants.push(("PICTURE_COLUMNS", picture.columns));
    }
    constants.extend(model.caption_words().map(|words| ("CAPTION_WORDS", words)));
    constants
}

fn source(name: &str, model: &Model<'_>, bytes: &[u8]) -> String {
    let mut text = format!("#include \"{name}.h\"\n\nconst uint32_t {name}_data[] = {{\n");
    for line in bytes.chunks(4 * WORDS_A_LINE) {
        text.push_str("   ");
        for word in line.chunks(4) {
            let mut padded = [0; 4];
            padded[..word.len()].copy_from_slice(word);
            let _ = write!(text, " {:#010x}u,", u32::from_le_bytes(padded));
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "}};\n\nconst char *const {name}_labels[{}_OUTPUTS] = {{\n",
        name.to_uppercase()
    );
    for output in 0..model.outputs() {
        let _ = writeln!(text, "    {},", literal(model.label(output).unwrap_or("")));
    }
    text.push_str("};\n");
    text
}

/// An identifier for each output that has a label, no two alike: `CLASS_LEFT`, `CLASS_LEFT_2`.
fn constants(model: &Model<'_>) -> Vec<(usize, String)> {
    let prefix = match model.output_kind() {
        OutputKind::Classes => "CLASS",
        OutputKind::Values => "VALUE",
        OutputKind::Bits => "BIT",
    };
    let mut taken = BTreeSet::new();
    let mut constants = Vec::new();
    for output in 0..model.outputs() {
        let Some(label) = model.label(output) else {
            continue;
        };
        let name = format!("{prefix}_{}", identifier(label).to_uppercase());
        let own = (1..)
            .map(|count| match count {
                1 => name.clone(),
                _ => format!("{name}_{count}"),
            })
            .find(|candidate| !taken.contains(candidate))
            .unwrap_or(name);
        taken.insert(own.clone());
        constants.push((output, own));
    }
    constants
}

/// What C takes in the middle of a name: letters, digits and low lines of ASCII.
fn identifier(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// A string of C. Bytes beyond printable ASCII are told in octal, which ends after three digits.
fn literal(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'?' => {
                quoted.push('\\');
                quoted.push(byte.into());
            }
            b' '..=b'~' => quoted.push(byte.into()),
            _ => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Text that does not end the comment it stands in.
fn comment(text: &str) -> String {
    text.replace("*/", "* /").replace("/*", "/ *")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_strings_that_c_reads_as_they_are() {
        assert_eq!(literal("left"), r#""left""#);
        assert_eq!(literal("a\"b\\c??)"), r#""a\"b\\c\?\?)""#);
        // 0xC3 0xA4, then a digit that is no part of the octal number.
        assert_eq!(literal("ä1"), r#""\303\2441""#);
    }

    #[test]
    fn names_that_are_c_and_not_the_library_s() {
        for good in ["model", "wake_word", "a1"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "1st",
            "wake word",
            "Wake",
            "grün",
            "_a",
            "bt",
            "bt_core",
            "stdint",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_become_identifiers() {
        assert_eq!(identifier("wake word-2"), "wake_word_2");
        assert_eq!(identifier("grün"), "gr_n");
        assert_eq!(comment("a */ b"), "a * / b");
    }
}
