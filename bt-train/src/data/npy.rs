//! Arrays in NumPy's format: a header in the form of a Python dictionary, then the values.

use crate::error::{Error, ErrorKind, Result};
use std::io::Read;

/// What the header of an array promises.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Type as NumPy writes it, such as `<i2`.
    pub descr: String,
    /// Its kind, such as `i`; `V` for records.
    pub kind: char,
    /// Bytes of an item; none where the type does not tell.
    pub item_bytes: Option<usize>,
    /// Whether items have their highest byte first.
    pub big_endian: bool,
    /// Whether the first axis is the fastest.
    pub columns_first: bool,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// Their product.
    pub items: usize,
    /// Bytes of the header itself.
    pub len: usize,
}

/// A longer header is none that NumPy writes.
const HEADER_MAX: usize = 1 << 16;

impl Header {
    /// Reads a header and nothing behind it.
    ///
    /// # Errors
    /// When it is none, or promises more items than can be counted, or items without bytes.
    pub fn read(reader: &mut dyn Read) -> Result<Header> {
        let mut start = [0; 10];
        reader.read_exact(&mut start)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(Error::malformed("it does not start as an array"));
        }
        let low = [start[8], start[9]];
        let (before, length) = match start[6] {
            1 => (10, usize::from(u16::from_le_bytes(low))),
            2 | 3 => {
                let mut high = [0; 2];
                reader.read_exact(&mut high)?;
                let length = u32::from_le_bytes([low[0], low[1], high[0], high[1]]);
                (12, length as usize)
            }
            version => {
                return Err(Error::malformed(format!(
                    "version {version} of the format is not known"
                )));
            }
        };
        if length > HEADER_MAX {
            return Err(Error::malformed(format!("its header takes {length} bytes")));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        let parsed = std::str::from_utf8(&text).ok().and_then(dictionary);
        let Some((descr, columns_first, shape)) = parsed else {
            return Err(Error::malformed("its header cannot be understood"));
        };
        Header::new(descr, columns_first, shape, before + length)
    }

    /// What a type as NumPy writes it, an order and lengths of axes promise.
    ///
    /// # Errors
    /// As [`Header::read`].
    pub fn new(
        descr: String,
        columns_first: bool,
        shape: Vec<usize>,
        len: usize,
    ) -> Result<Header> {
        let items = shape
            .iter()
            .try_fold(1usize, |product, &n| product.checked_mul(n))
            .ok_or_else(|| Error::malformed(format!("its header promises shape {shape:?}")))?;
        let mut letters = descr.chars();
        let order = letters.next().unwrap_or('|');
        let kind = letters.next().unwrap_or('V');
        let digits: String = letters.take_while(char::is_ascii_digit).collect();
        let size: Option<usize> = digits.parse().ok();
        let item_bytes = match kind {
            'U' => size.and_then(|characters| characters.checked_mul(4)),
            _ => size,
        };
        if item_bytes == Some(0) {
            return Err(Error::malformed(format!("its type {descr} has no bytes")));
        }
        Ok(Header {
            kind,
            item_bytes,
            big_endian: order == '>',
            columns_first,
            items,
            len,
            descr,
            shape,
        })
    }

    /// Bytes of all values, where the type tells.
    pub fn bytes(&self) -> Option<u64> {
        (self.items as u64).checked_mul(self.item_bytes? as u64)
    }

    /// Calls `f` with the bytes of each item of `N` bytes, the lowest first.
    ///
    /// # Errors
    /// When the file ends before, or `f` fails.
    pub fn for_each<const N: usize>(
        &self,
        reader: &mut dyn Read,
        mut f: impl FnMut([u8; N]) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; N * 8192];
        let mut left = self.items;
        while left > 0 {
            let some = left.min(8192);
            reader.read_exact(&mut buffer[..some * N])?;
            for &(mut item) in buffer[..some * N].as_chunks::<N>().0 {
                if self.big_endian {
                    item.reverse();
                }
                f(item)?;
            }
            left -= some;
        }
        Ok(())
    }

    /// All items of `N` bytes, in the file's order.
    ///
    /// # Errors
    /// When the file ends before, or there is no room for so many.
    pub fn values<T, const N: usize>(
        &self,
        reader: &mut dyn Read,
        from: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>> {
        let mut values = Vec::new();
        values
            .try_reserve_exact(self.items)
            .map_err(|_| Error::new(ErrorKind::NoRoom { values: self.items }))?;
        self.for_each(reader, |item| {
            values.push(from(item));
            Ok(())
        })?;
        Ok(values)
    }

    /// All texts, the zeros behind each cut off.
    ///
    /// # Errors
    /// When the file ends before, or a character is none.
    pub fn texts(&self, reader: &mut dyn Read) -> Result<Vec<String>> {
        let mut item = vec![0; self.item_bytes.unwrap_or(0)];
        let mut texts = Vec::new();
        for _ in 0..self.items {
            reader.read_exact(&mut item)?;
            let text: Option<String> = item
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&bytes| {
                    let code = match self.big_endian {
                        true => u32::from_be_bytes(bytes),
                        false => u32::from_le_bytes(bytes),
                    };
                    char::from_u32(code)
                })
                .collect();
            let text = text.ok_or_else(|| Error::malformed("a character is none"))?;
            texts.push(text.trim_end_matches('\0').to_owned());
        }
        Ok(texts)
    }
}

/// Type, order and shape of a header's dictionary. A type that is no text, as of records, stands as
/// `|V`.
fn dictionary(text: &str) -> Option<(String, bool, Vec<usize>)> {
    let mut rest = Rest(text.trim_end());
    let (mut descr, mut columns_first, mut shape) = (None, None, None);
    rest.expect("{")?;
    while rest.expect("}").is_none() {
        let key = rest.quoted()?;
        rest.expect(":")?;
        match key {
            "descr" => {
                descr = Some(match rest.quoted() {
                    Some(plain) => plain.to_owned(),
                    None => {
                        rest.skip_list()?;
                        "|V".to_owned()
                    }
                });
            }
            "fortran_order" => {
                columns_first = Some(rest.expect("True").is_some());
                if columns_first == Some(false) {
                    rest.expect("False")?;
                }
            }
            "shape" => shape = Some(rest.numbers()?),
            _ => return None,
        }
        if rest.expect(",").is_none() {
            rest.expect("}")?;
            break;
        }
    }
    let is_whole = rest.0.trim().is_empty();
    Some((descr?, columns_first?, shape?)).filter(|_| is_whole)
}

/// What of a text is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Goes past this word, if it comes next.
    fn expect(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(word)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (inside, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(inside)
    }

    /// `(60, 4, 12)`; old NumPy wrote `60L`.
    fn numbers(&mut self) -> Option<Vec<usize>> {
        self.expect("(")?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let inside = inside.trim();
        if inside.is_empty() {
            return Some(Vec::new());
        }
        inside
            .strip_suffix(',')
            .unwrap_or(inside)
            .split(',')
            .map(|number| number.trim().trim_end_matches('L').parse().ok())
            .collect()
    }

    /// Goes past a list, whatever is in it.
    fn skip_list(&mut self) -> Option<()> {
        let text = self.0.trim_start();
        if !text.starts_with('[') {
            return None;
        }
        let mut depth = 0usize;
        let end = text.char_indices().find_map(|(at, letter)| {
            match letter {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => (),
            }
            (depth == 0).then_some(at + 1)
        })?;
        self.0 = &text[end..];
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u8, text: &str) -> Result<Header> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((text.len() as u16).to_le_bytes()),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text.as_bytes());
        Header::read(&mut &bytes[..])
    }

    #[test]
    fn reads_headers_of_every_version() {
        let text = "{'descr': '>i2', 'fortran_order': True, 'shape': (60, 4, 12), }   \n";
        for (version, before) in [(1, 10), (2, 12), (3, 12)] {
            let header = header(version, text).unwrap();
            assert_eq!((header.kind, header.item_bytes), ('i', Some(2)));
            assert!(header.big_endian && header.columns_first);
            assert_eq!(header.shape, [60, 4, 12]);
            assert_eq!(header.bytes(), Some(5760));
            assert_eq!(header.len, before + text.len());
        }
        let shape = |text: &str| {
            header(
                1,
                &format!("{{'shape':{text},'descr':\"|u1\",'fortran_order':False}}"),
            )
            .unwrap()
            .shape
        };
        assert!(shape("()").is_empty());
        assert_eq!(shape("(7,)"), [7]);
        assert_eq!(shape("(7L, 2L)"), [7, 2]);
    }

    #[test]
    fn types_that_are_not_read_are_told_apart() {
        let of = |descr: &str| {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,)}}");
            let header = header(1, &text).unwrap();
            (header.kind, header.item_bytes)
        };
        assert_eq!(of("'<U3'"), ('U', Some(12)));
        assert_eq!(of("'|O'"), ('O', None));
        assert_eq!(of("'<M8[ns]'"), ('M', Some(8)));
        assert_eq!(
            of("[('a', '<f4', (2, 2)), ('b', [('c', '|u1')])]"),
            ('V', None)
        );
    }

    #[test]
    fn refuses_headers_that_promise_nonsense() {
        let line = |descr: &str, shape: &str| {
            let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}");
            header(2, &text).unwrap_err().to_string()
        };
        for descr in ["<U0", "|V0", "|S0", "<i0"] {
            let expected = format!("its type {descr} has no bytes");
            assert!(line(descr, "(4294967296,)").ends_with(&expected), "{descr}");
        }
        let huge = line("|u1", "(4294967296, 4294967296, 2)");
        assert!(huge.contains("promises shape [4294967296"), "{huge}");
        assert!(line("|u1", "(-1,)").contains("cannot be understood"));
        assert!(line("|u1", "(99999999999999999999999,)").contains("cannot be understood"));
        for text in [
            "",
            "{",
            "{'shape': (",
            &"[".repeat(60_000),
            &"(".repeat(60_000),
        ] {
            header(1, text).unwrap_err();
        }
        let mut long = b"\x93NUMPY\x02\0".to_vec();
        long.extend(u32::MAX.to_le_bytes());
        let line = Header::read(&mut &long[..]).unwrap_err().to_string();
        assert!(line.contains("takes 4294967295 bytes"), "{line}");
    }
}
