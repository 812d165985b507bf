//! Where arrays come from: an archive on the disk, or memory.

use crate::data::ElementType;
use crate::data::mapped::{Bytes, Mapped};
use crate::data::npy::Header;
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::{CompressionMethod, ZipArchive};

/// Arrays by name.
pub(super) enum Source {
    Archive(Zip),
    Arrays(BTreeMap<String, Array>),
}

/// An `.npz` file.
pub(super) struct Zip {
    zip: ZipArchive<BufReader<File>>,
    /// The same file, for arrays that stay in it.
    file: File,
    /// Its length.
    bytes: u64,
}

/// An array in memory, the last axis fastest.
pub struct Array {
    header: Header,
    bytes: Bytes,
}

impl Array {
    /// The array of this type, as NumPy writes it (`<f4`), and of these lengths of axes.
    ///
    /// # Errors
    /// When the bytes are not as many as that takes.
    pub fn new(descr: &str, shape: Vec<usize>, bytes: Bytes) -> Result<Array> {
        let header = Header::new(descr.to_owned(), false, shape, 0)?;
        let found = (*bytes).as_ref().len() as u64;
        match header.bytes() {
            Some(wanted) if wanted != found => Err(Error::malformed(format!(
                "its shape {:?} does not take {found} bytes",
                header.shape
            ))),
            _ => Ok(Array { header, bytes }),
        }
    }
}

/// Where the values of an array lie as they are.
pub(super) enum Place {
    /// In this file, from here on.
    File(File, u64),
    Memory(Bytes),
}

impl Place {
    /// The first `len` bytes there.
    pub fn mapped(self, len: usize, element: ElementType) -> Result<Mapped> {
        match self {
            Place::File(file, start) => Mapped::new(&file, start, len, element).map_err(unmappable),
            Place::Memory(bytes) => Ok(Mapped::of(bytes, element)),
        }
    }
}

/// A file that is whole but cannot be mapped, as under a limit of address space.
fn unmappable(error: Error) -> Error {
    Error::from(std::io::Error::other(format!("cannot be mapped: {error}")))
        .remedy("lift the limit of address space (ulimit -v), or split the data set")
}

/// Deflate packs no more bytes than this into one.
const DEFLATE_MAX: u64 = 1032;

impl Source {
    pub fn open(path: &Path) -> Result<Source> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let zip = ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|error| {
            Error::malformed(error)
                .remedy("the file is cut short or no .npz; write it again with numpy.savez")
        })?;
        Ok(Source::Archive(Zip { zip, file, bytes }))
    }

    pub fn has(&self, field: &str) -> bool {
        match self {
            Source::Archive(zip) => zip.zip.index_for_name(&format!("{field}.npy")).is_some(),
            Source::Arrays(arrays) => arrays.contains_key(field),
        }
    }

    /// Reads an array: `read` gets its header, its values to take all of them, and where they lie if they do so
    /// as they are. What the header promises was held against what there is before.
    pub fn array<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&Header, &mut dyn Read, Option<Place>) -> Result<T>,
    ) -> Result<T> {
        if !self.has(field) {
            return Err(Error::new(ErrorKind::Missing)
                .field(field)
                .remedy("save the array under this name"));
        }
        match self {
            Source::Archive(zip) => zip.array(field, read),
            Source::Arrays(arrays) => {
                let Array { header, bytes } = &arrays[field];
                let place = Place::Memory(bytes.clone());
                let mut reader = (**bytes).as_ref();
                read(header, &mut reader, Some(place)).map_err(|error| error.field(field))
            }
        }
    }
}

impl Zip {
    fn array<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&Header, &mut dyn Read, Option<Place>) -> Result<T>,
    ) -> Result<T> {
        let damaged = |error: &dyn std::fmt::Display| {
            Error::malformed(error)
                .field(field)
                .remedy("the file is damaged; write it again with numpy.savez")
        };
        let in_field = |error: Error| match error.kind {
            ErrorKind::Io(error) => damaged(&error),
            ErrorKind::Malformed(what) => damaged(&what),
            _ => error.field(field),
        };
        let file = self.file.try_clone()?;
        let mut entry = self
            .zip
            .by_name(&format!("{field}.npy"))
            .map_err(|error| damaged(&error))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        let stored = entry.compression() == CompressionMethod::Stored;
        let most = if stored { 1 } else { DEFLATE_MAX };
        if packed > self.bytes || size > packed.saturating_mul(most) {
            return Err(damaged(&format!(
                "it promises {size} bytes, which {} cannot hold",
                packed.min(self.bytes)
            )));
        }
        let start = entry.data_start().filter(|_| stored);
        let header = Header::read(&mut entry).map_err(in_field)?;
        if let Some(bytes) = header.bytes() {
            let found = size.saturating_sub(header.len as u64);
            if bytes > found {
                return Err(damaged(&format!(
                    "its header promises shape {:?}, which its {size} bytes cannot hold",
                    header.shape
                )));
            }
            if bytes < found {
                let left = found - bytes;
                return Err(damaged(&format!("{left} bytes follow its values")));
            }
        }
        let place = start.map(|start| Place::File(file, start + header.len as u64));
        let value = read(&header, &mut entry, place).map_err(in_field)?;
        // The archive compares its checksum when the end is reached, not before.
        match entry.read(&mut [0]).map_err(|error| damaged(&error))? {
            0 => Ok(value),
            _ => Err(damaged(&"bytes follow its values")),
        }
    }
}
