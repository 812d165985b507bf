//! `.npz` files of results, written whole or not at all.

use crate::error::{Error, Result};
use crate::file::write_atomic;
use npyz::WriterBuilder;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;

/// Arrays under way to a file.
#[derive(Default)]
pub struct NpzWriter {
    arrays: Vec<(String, Vec<u8>)>,
}

impl NpzWriter {
    /// Nothing yet.
    pub fn new() -> NpzWriter {
        NpzWriter::default()
    }

    /// Adds an array, row-major.
    ///
    /// # Errors
    /// When the shape does not match the number of values.
    pub fn array<T: npyz::AutoSerialize + Copy>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> Result<()> {
        let expected = shape.iter().product::<usize>();
        if expected != values.len() {
            let of_shape = format!("the shape {shape:?} takes");
            return Err(Error::mismatch("values", values.len(), expected, of_shape).field(name));
        }
        let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(&mut bytes)
            .begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()?;
        self.arrays.push((name.to_owned(), bytes));
        Ok(())
    }

    /// Adds a list of texts, of NumPy's type `<U`.
    pub fn texts(&mut self, name: &str, texts: &[String]) {
        let longest = texts.iter().map(|text| text.chars().count()).max();
        let longest = longest.unwrap_or(0).max(1);
        let about = format!(
            "{{'descr': '<U{longest}', 'fortran_order': False, 'shape': ({},), }}",
            texts.len()
        );
        // Values begin at a multiple of 64 bytes.
        let length = (10 + about.len() + 1).next_multiple_of(64) - 10;
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((length as u16).to_le_bytes());
        bytes.extend(format!("{about:<0$}\n", length - 1).bytes());
        for text in texts {
            let letters = text.chars().map(u32::from).chain(std::iter::repeat(0));
            bytes.extend(letters.take(longest).flat_map(u32::to_le_bytes));
        }
        self.arrays.push((name.to_owned(), bytes));
    }

    /// Writes all arrays, stored.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomic(path, |file| {
            // In memory first: an archive that cannot be finished on a full disk would complain
            // on standard error by itself.
            let mut archive = Cursor::new(Vec::new());
            let mut zip = zip::ZipWriter::new(&mut archive);
            for (name, bytes) in &self.arrays {
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored)
                    .large_file(bytes.len() > 1 << 30);
                zip.start_file(format!("{name}.npy"), options)
                    .map_err(std::io::Error::from)?;
                zip.write_all(bytes)?;
            }
            zip.finish().map_err(std::io::Error::from)?;
            Ok(file.write_all(archive.get_ref())?)
        })
    }
}
