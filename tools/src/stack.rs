//! How deep the stack of a firmware can get: the frames that the compiler states for its functions
//! (`-Z emit-stack-sizes`), added up along the calls found in the machine code.
//!
//! Functions in assembly and those of Rust's precompiled crates have no stated frame; theirs is the
//! sum of everything they push. A jump out of a function counts as a call. Recursion and calls through
//! pointers have no bound and are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::read::Bytes;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind, U32};

/// What the compiler must be told so that it states frames; it is a switch of nightly compilers.
pub const RUSTFLAGS: &str = "-Zemit-stack-sizes";

/// A function of a firmware.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Path, without type parameters' values where the compiler leaves them out.
    pub name: String,
    /// Bytes of stack of its own.
    pub frame_bytes: u64,
    /// Addresses of what it calls.
    calls: BTreeSet<u64>,
    /// Whether it calls through a pointer.
    indirect: bool,
}

/// All functions of a firmware, by address.
#[derive(Debug)]
pub struct Program(BTreeMap<u64, Function>);

/// The deepest chain of calls from a function on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth<'p> {
    /// Bytes of all frames.
    pub bytes: u64,
    /// The functions, the caller first.
    pub chain: Vec<&'p Function>,
}

impl Program {
    /// Reads an ELF file for Cortex-M that was built with [`RUSTFLAGS`].
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn read(elf: &Path) -> Result<Self> {
        let bytes = fs::read(elf).with_context(|| elf.display().to_string())?;
        let file = object::File::parse(&*bytes).with_context(|| elf.display().to_string())?;
        if file.architecture() != object::Architecture::Arm {
            bail!(
                "{}: only the machine code of Cortex-M is understood",
                elf.display()
            );
        }
        let stated = file
            .section_by_name(".stack_sizes")
            .with_context(|| format!("{}: states no stack sizes", elf.display()))?;
        let stated = stated_frames(stated.data()?);
        let text = file
            .section_by_name(".text")
            .with_context(|| format!("{}: has no code", elf.display()))?;
        let (start, code) = (text.address(), text.data()?);
        let end = start + code.len() as u64;
        // Where instructions ($t) and data ($d) begin.
        let mut kinds = BTreeMap::new();
        let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
        for symbol in file.symbols() {
            let (name, address) = (symbol.name().unwrap_or(""), symbol.address() & !1);
            if !(start..end).contains(&address) {
                continue;
            }
            if let Some(kind) = name.strip_prefix('$') {
                kinds.insert(address, kind.starts_with('t'));
            } else if symbol.kind() == SymbolKind::Text {
                functions.entry(address).or_default().name = demangled(name);
            }
        }
        let starts: Vec<u64> = functions.keys().copied().collect();
        for (index, (&address, function)) in functions.iter_mut().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(end);
            let half = |at: u64| -> u16 {
                let at = (at - start) as usize;
                code.get(at..at + 2)
                    .map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]))
            };
            let mut pushed = 0;
            let mut at = address;
            while at < end {
                if kinds
                    .range(..=at)
                    .next_back()
                    .is_some_and(|(_, &code)| !code)
                {
                    at += 2;
                    continue;
                }
                let first = half(at);
                let long = first >> 11 >= 0b11101;
                let second = if long { half(at + 2) } else { 0 };
                match effect(first, second, at) {
                    Effect::Jump(target) if !(address..end).contains(&target) => {
                        function.calls.insert(target);
                    }
                    Effect::Pointer => function.indirect = true,
                    Effect::Push(bytes) => pushed += bytes,
                    _ => {}
                }
                at += if long { 4 } else { 2 };
            }
            function.frame_bytes = stated.get(&address).copied().unwrap_or(pushed);
        }
        Ok(Self(functions))
    }

    /// Functions whose path satisfies `wanted`.
    pub fn find(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (u64, &Function)> {
        let all = self
            .0
            .iter()
            .map(|(&address, function)| (address, function));
        all.filter(move |(_, function)| wanted(&function.name))
    }

    /// The stack that the function at `address` and all it calls can need.
    ///
    /// # Errors
    ///
    /// There is no bound.
    pub fn depth(&self, address: u64) -> Result<Depth<'_>> {
        self.below(address, &mut Vec::new())
    }

    fn below(&self, address: u64, callers: &mut Vec<u64>) -> Result<Depth<'_>> {
        // A jump may lead into the middle of a function in assembly.
        let (&address, function) = self
            .0
            .range(..=address)
            .next_back()
            .with_context(|| format!("no function lies at {address:#x}"))?;
        if callers.contains(&address) {
            bail!("{} calls itself", function.name);
        }
        if function.indirect {
            bail!("{} calls through a pointer", function.name);
        }
        callers.push(address);
        let mut deepest: Option<Depth<'_>> = None;
        for &call in &function.calls {
            let depth = self.below(call, callers)?;
            if deepest
                .as_ref()
                .is_none_or(|found| depth.bytes > found.bytes)
            {
                deepest = Some(depth);
            }
        }
        callers.pop();
        let mut depth = deepest.unwrap_or(Depth {
            bytes: 0,
            chain: Vec::new(),
        });
        depth.bytes += function.frame_bytes;
        depth.chain.insert(0, function);
        Ok(depth)
    }
}

/// A name as people write it, without its hash.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Entries of an address in 4 bytes and a frame in LEB128; one that is cut short ends them.
fn stated_frames(bytes: &[u8]) -> BTreeMap<u64, u64> {
    let mut bytes = Bytes(bytes);
    let mut entry = || {
        let address = bytes.read::<U32<LittleEndian>>().ok()?;
        let frame = bytes.read_uleb128().ok()?;
        Some((u64::from(address.get(LittleEndian)) & !1, frame))
    };
    std::iter::from_fn(&mut entry).collect()
}

/// What an instruction does to the stack or to the flow of control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    /// Goes, or may go, to an address.
    Jump(u64),
    /// Calls what a register points to.
    Pointer,
    /// Takes so many bytes of stack.
    Push(u64),
}

/// The effect of a Thumb instruction at `at`; encodings by the Armv7-M manual, A7.7.
fn effect(first: u16, second: u16, at: u64) -> Effect {
    let bits = |value: u16, from: u32, count: u32| u32::from(value) >> from & ((1 << count) - 1);
    let jump = |offset: u32, width: u32| {
        let signed = (offset << (32 - width)) as i32 >> (32 - width);
        Effect::Jump((at + 4).wrapping_add_signed(signed.into()) & 0xFFFF_FFFF)
    };
    let words = |count: u32| Effect::Push(u64::from(count) * 4);
    match first >> 11 {
        // B, conditional or not.
        0b11100 => jump(bits(first, 0, 11) << 1, 12),
        0b11010 | 0b11011 if bits(first, 8, 4) < 14 => jump(bits(first, 0, 8) << 1, 9),
        // BLX register.
        _ if first & 0xFF80 == 0x4780 => Effect::Pointer,
        // PUSH, SUB SP.
        _ if first & 0xFE00 == 0xB400 => words(bits(first, 0, 9).count_ones()),
        _ if first & 0xFF80 == 0xB080 => words(bits(first, 0, 7)),
        0b11110 if second & 0x8000 != 0 => {
            let (s, j1, j2) = (bits(first, 10, 1), bits(second, 13, 1), bits(second, 11, 1));
            let low = bits(second, 0, 11) << 1;
            if second & 0x5000 != 0 {
                // BL and B.W.
                let (i1, i2) = (1 ^ j1 ^ s, 1 ^ j2 ^ s);
                let high = s << 24 | i1 << 23 | i2 << 22 | bits(first, 0, 10) << 12;
                jump(high | low, 25)
            } else if bits(first, 6, 4) < 14 {
                let high = s << 20 | j2 << 19 | j1 << 18 | bits(first, 0, 6) << 12;
                jump(high | low, 21)
            } else {
                Effect::None
            }
        }
        // PUSH.W, VPUSH, STRD and STR below SP.
        _ if first == 0xE92D => words(u32::from(second).count_ones()),
        _ if first & 0xFFBF == 0xED2D => words(bits(second, 0, 8)),
        _ if first == 0xE96D => words(bits(second, 0, 8)),
        _ if first == 0xF84D && second & 0x0FFF == 0x0D04 => words(1),
        // SUB.W SP with a rotated constant, SUBW with 12 bits.
        _ if first & 0xFBEF == 0xF1AD && bits(second, 8, 4) == 13 => {
            let code = bits(first, 10, 1) << 11 | bits(second, 12, 3) << 8 | bits(second, 0, 8);
            Effect::Push(u64::from(match code >> 10 {
                0 => code & 0xFF,
                _ => (0x80 | code & 0x7F).rotate_right(code >> 7),
            }))
        }
        _ if first & 0xFBFF == 0xF2AD && bits(second, 8, 4) == 13 => Effect::Push(u64::from(
            bits(first, 10, 1) << 11 | bits(second, 12, 3) << 8 | bits(second, 0, 8),
        )),
        _ => Effect::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as `llvm-mc -triple=thumbv7em -show-encoding` gives them.
    #[test]
    fn instructions() {
        for (first, second, expected) in [
            (0xB5F0, 0, Effect::Push(20)),         // push {r4-r7, lr}
            (0xB088, 0, Effect::Push(32)),         // sub sp, #32
            (0xE92D, 0x4FF0, Effect::Push(36)),    // push.w {r4-r11, lr}
            (0xED2D, 0x8B10, Effect::Push(64)),    // vpush {d8-d15}
            (0xF84D, 0x8D04, Effect::Push(4)),     // str r8, [sp, #-4]!
            (0xF5AD, 0x7D28, Effect::Push(672)),   // sub.w sp, sp, #672
            (0xF2AD, 0x4D04, Effect::Push(1028)),  // subw sp, sp, #1028
            (0xF000, 0xF802, Effect::Jump(0x108)), // bl +4
            (0xF7FF, 0xFFFE, Effect::Jump(0x100)), // bl −4
            (0xF7FF, 0xBFFE, Effect::Jump(0x100)), // b.w −4
            (0xF43F, 0xAFFE, Effect::Jump(0x100)), // beq.w −4
            (0xE7FE, 0, Effect::Jump(0x100)),      // b −4
            (0xD0FE, 0, Effect::Jump(0x100)),      // beq −4
            (0x4798, 0, Effect::Pointer),          // blx r3
            (0x4770, 0, Effect::None),             // bx lr
            (0xBDF0, 0, Effect::None),             // pop {r4-r7, pc}
        ] {
            let found = effect(first, second, 0x100);
            assert_eq!(found, expected, "{first:04x} {second:04x}");
        }
    }

    #[test]
    fn frames_in_leb128() {
        // The last entry is cut short.
        let bytes = [1, 2, 0, 0, 8, 5, 3, 0, 0, 0xA0, 5, 7, 3, 0, 0, 0xA0];
        let expected = BTreeMap::from([(0x200, 8), (0x304, 672)]);
        assert_eq!(stated_frames(&bytes), expected);
    }

    #[test]
    fn the_deepest_chain() {
        let function = |frame_bytes: u64, calls: &[u64]| Function {
            name: frame_bytes.to_string(),
            frame_bytes,
            calls: calls.iter().copied().collect(),
            indirect: false,
        };
        let mut program = Program(BTreeMap::from([
            (0, function(8, &[2, 4])),
            (2, function(100, &[])),
            (4, function(40, &[6])),
            (6, function(80, &[])),
        ]));
        let depth = program.depth(0).unwrap();
        assert_eq!(depth.bytes, 128);
        let frames: Vec<u64> = depth.chain.iter().map(|f| f.frame_bytes).collect();
        assert_eq!(frames, [8, 40, 80]);
        program.0.get_mut(&6).unwrap().calls.insert(4);
        let error = program.depth(0).unwrap_err().to_string();
        assert_eq!(error, "40 calls itself");
    }
}
