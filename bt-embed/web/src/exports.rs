//! What the page's script calls. Bytes go both ways through one buffer: `room(length)` says where the script
//! may write so many; a function that answers leaves text there, `answer()` and `answer_length()` say where.
//!
//! Every function gives 1, or 0 when it refuses; the text is then the reason.

// The attribute that gives a function its name is `unsafe`, since two of one name would be confused.
#![allow(unsafe_code)]

use crate::device::Device;
use serde_json::Value;
use std::cell::RefCell;

/// The page has one thread.
#[derive(Default)]
struct Page {
    buffer: Vec<u8>,
    device: Option<Device>,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::default();
}

#[unsafe(no_mangle)]
extern "C" fn room(length: usize) -> *mut u8 {
    PAGE.with_borrow_mut(|page| {
        page.buffer.clear();
        page.buffer.resize(length, 0);
        page.buffer.as_mut_ptr()
    })
}

#[unsafe(no_mangle)]
extern "C" fn answer() -> *const u8 {
    PAGE.with_borrow(|page| page.buffer.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn answer_length() -> usize {
    PAGE.with_borrow(|page| page.buffer.len())
}

/// The model file in the buffer becomes the device; the answer says what it is.
#[unsafe(no_mangle)]
extern "C" fn open() -> u32 {
    reply(|page| {
        let device = Device::open(&page.buffer)?;
        Ok(page.device.insert(device).about())
    })
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> u32 {
    reply(|page| {
        page.device()?.reset();
        Ok(Value::Null)
    })
}

/// Pushes the f32 values in the buffer, little-endian; the answer has the steps that they completed.
#[unsafe(no_mangle)]
extern "C" fn feed() -> u32 {
    reply(|page| {
        let values: Vec<f32> = page
            .buffer
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        page.device()?.feed(&values)
    })
}

#[unsafe(no_mangle)]
extern "C" fn finish() -> u32 {
    reply(|page| page.device()?.finish())
}

/// Draws picture 0 of a seed, of which the buffer tells the low and the high half and the rows, u32 each, little-endian.
#[unsafe(no_mangle)]
extern "C" fn draw() -> u32 {
    reply(|page| {
        let &[low, high, rows] = page.buffer.as_chunks().0 else {
            return Err("a drawing is asked for in three numbers".to_owned());
        };
        let [low, high, rows] = [low, high, rows].map(u32::from_le_bytes);
        let seed = u64::from(high) << 32 | u64::from(low);
        page.device()?.draw(seed, rows as usize)
    })
}

/// Tells what is on the picture that was fed, of which the buffer tells the low and the high half of the seed, the
/// caption's number and the temperature in 256ths, u32 each, little-endian.
#[unsafe(no_mangle)]
extern "C" fn tell() -> u32 {
    reply(|page| {
        let &[low, high, number, temperature] = page.buffer.as_chunks().0 else {
            return Err("a caption is asked for in four numbers".to_owned());
        };
        let [low, high, number, temperature] =
            [low, high, number, temperature].map(u32::from_le_bytes);
        let seed = u64::from(high) << 32 | u64::from(low);
        let temperature = u16::try_from(temperature).map_err(|_| "temperatures end at 255")?;
        page.device()?.tell((seed, number.into()), temperature)
    })
}

impl Page {
    fn device(&mut self) -> Result<&mut Device, String> {
        self.device
            .as_mut()
            .ok_or_else(|| "there is no model yet".to_owned())
    }
}

fn reply(act: impl FnOnce(&mut Page) -> Result<Value, String>) -> u32 {
    PAGE.with_borrow_mut(|page| {
        let done = act(page);
        let is_done = u32::from(done.is_ok());
        page.buffer = match done {
            Ok(value) => value.to_string().into_bytes(),
            Err(reason) => reason.into_bytes(),
        };
        is_done
    })
}
