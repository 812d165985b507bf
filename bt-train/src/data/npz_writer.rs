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
