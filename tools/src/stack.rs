//! How deep the stack of a program can get, read off its ELF file: the frame of a function is all that it pushes,
//! and frames are added up along the calls that its machine code makes. Linked with [`LINK`] the file says which
//! functions something points to, too.
//!
//! What that takes for granted, and what it leaves out:
//! - A jump out of a function counts as a call of where it goes.
//! - What calls through a pointer reaches every function that something points to. Formatting (`core::fmt`) has its
//!   own: it reaches what formats, each once in a chain, if a caller in the chain points to it, or a table in memory;
//!   nothing else reaches those. A type that formats itself is not seen.
//! - Functions that calls reach again, and those that set the stack pointer to what is not known here, have no bound.
//! - A panic, a fault and the handler of interrupts that nobody expects end a program. What they need is not counted.
//! - Handlers of interrupts stand in the section `.vector_table`. Vectors that a program moves to RAM, and the stacks of
//!   an RTOS's threads, are not seen.
//! - A pointer from elsewhere (a ROM) is not seen. Kernels in assembly jump through tables of their own places.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf::{
    R_ARM_ABS32, R_ARM_NONE, R_ARM_PREL31, R_ARM_THM_JUMP6, R_ARM_THM_JUMP19, R_ARM_THM_JUMP24,
    R_ARM_THM_PC9, R_ARM_THM_PC11, R_ARM_THM_PC22,
};
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionKind, SymbolKind,
};

use thumb::Effect;

mod thumb;

/// What the linker must be told so that the file says what points to a function.
pub const LINK: &str = "--emit-relocs";

/// Registers that the processor stores when an interrupt comes, and what aligns them: of the core, and with those of
/// the floating-point unit.
const INTERRUPT_BYTES: u64 = 32 + 4;
const FLOAT_INTERRUPT_BYTES: u64 = 104 + 4;

/// Where `cortex-m-rt` and most linker scripts put the vectors.
const VECTORS: &str = ".vector_table";

/// Vectors of reset and faults, by their numbers.
const RESET_AND_FAULTS: [u64; 6] = [1, 3, 4, 5, 6, 7];

/// A function of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Path, without type parameters' values where the compiler leaves them out.
    pub name: String,
    /// Bytes of stack of its own.
    pub frame_bytes: u64,
    /// Addresses of what it calls.
    calls: BTreeSet<u64>,
    /// Whether it calls through a pointer.
    by_pointer: bool,
    /// Addresses of functions that its code makes pointers to.
    points_to: BTreeSet<u64>,
    /// Where it sets the stack pointer to something unknown.
    unknown: Option<u64>,
    /// Behind its last instruction and its constants.
    end: u64,
}

/// All functions of a program, by address.
#[derive(Debug, Default)]
pub struct Program {
    functions: BTreeMap<u64, Function>,
    /// Functions that tables in memory point to.
    in_tables: BTreeSet<u64>,
    /// Handlers of interrupts, reset and faults left out.
    handlers: BTreeSet<u64>,
    entry: u64,
    interrupt_bytes: u64,
}

/// The deepest chain of calls from a function on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth<'p> {
    /// Bytes of all frames.
    pub bytes: u64,
    /// The functions, the caller first.
    pub chain: Vec<&'p Function>,
}

/// The most stack that a program can need.
#[derive(Debug, PartialEq, Eq)]
pub struct Bound<'p> {
    /// Bytes of all that follows.
    pub bytes: u64,
    /// From reset on.
    pub program: Depth<'p>,
    /// What each interrupt adds, should all of them come, one within the other; what the processor stores counted.
    pub interrupts: Vec<Depth<'p>>,
    /// Functions that call through a pointer, and the deepest of what each may reach.
    pub pointers: BTreeMap<&'p str, Option<&'p str>>,
    /// Functions that a program does not come back from, not counted.
    pub ends: BTreeSet<&'p str>,
}

impl Program {
    /// Reads the ELF file of a program for Cortex-M.
    ///
    /// # Errors
    ///
    /// It is none, or was linked without [`LINK`].
    pub fn read(elf: &Path) -> Result<Self> {
        let bytes = fs::read(elf).with_context(|| elf.display().to_string())?;
        Self::parse(&bytes).with_context(|| elf.display().to_string())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes)?;
        if file.architecture() != object::Architecture::Arm {
            bail!("only the machine code of Cortex-M is understood");
        }
        let mut program = Self {
            entry: file.entry() & !1,
            interrupt_bytes: INTERRUPT_BYTES,
            ..Self::default()
        };
        if file.section_by_name(VECTORS).is_none() {
            bail!("it has no section {VECTORS}, where handlers of interrupts are looked for");
        }
        let sections: Vec<_> = file.sections().filter(is_loaded).collect();
        for section in &sections {
            program.read_code(&file, section)?;
        }
        let mut is_linked_so = false;
        for section in &sections {
            is_linked_so |= program.read_pointers(&file, section)?;
        }
        if !is_linked_so {
            bail!("it does not say what points to a function; link it with -C link-arg={LINK}");
        }
        let unexpected = file.symbol_by_name("DefaultHandler");
        if let Some(symbol) = unexpected {
            program.handlers.remove(&(symbol.address() & !1));
        }
        Ok(program)
    }

    /// Adds the functions of a section.
    fn read_code(
        &mut self,
        file: &object::File<'_>,
        section: &object::Section<'_, '_>,
    ) -> Result<()> {
        let (start, code) = (section.address(), section.data()?);
        let end = start + code.len() as u64;
        let half = |at: u64| -> u16 {
            let at = at
                .checked_sub(start)
                .and_then(|at| usize::try_from(at).ok());
            let pair = at.and_then(|at| code.get(at..)?.first_chunk::<2>());
            pair.map_or(0, |pair| u16::from_le_bytes(*pair))
        };
        let word = |at: u64| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        // Where instructions ($t) and data ($d) begin.
        let mut kinds = BTreeMap::new();
        let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
        for symbol in file.symbols() {
            let (name, address) = (symbol.name().unwrap_or(""), symbol.address() & !1);
            if symbol.section_index() != Some(section.index()) {
                continue;
            }
            if let Some(kind) = name.strip_prefix('$') {
                kinds.insert(address, kind.starts_with('t'));
            } else if symbol.kind() == SymbolKind::Text {
                let function = functions.entry(address).or_default();
                function.name = demangled(name);
                function.end = function.end.max(address + symbol.size());
            }
        }
        let starts: Vec<u64> = functions.keys().copied().collect();
        for (index, (&address, function)) in functions.iter_mut().enumerate() {
            // Assembly may state no length.
            let next = starts.get(index + 1).copied().unwrap_or(end);
            if function.end == address || function.end > next {
                function.end = next;
            }
            let mut reader = Reader {
                range: address..function.end,
                stays: is_kernel(&function.name),
                function,
                last: None,
            };
            let mut at = address;
            while at < reader.range.end {
                if kinds
                    .range(..=at)
                    .next_back()
                    .is_some_and(|(_, &code)| !code)
                {
                    at += 2;
                    continue;
                }
                let first = half(at);
                let is_long = thumb::is_long(first);
                let second = if is_long { half(at + 2) } else { 0 };
                if thumb::is_float(first, second) {
                    self.interrupt_bytes = FLOAT_INTERRUPT_BYTES;
                }
                reader.take(thumb::effect(first, second, at), at, word);
                at += if is_long { 4 } else { 2 };
            }
        }
        self.functions.append(&mut functions);
        Ok(())
    }

    /// Adds what a section's words and instructions point to; whether the linker has left anything to read.
    fn read_pointers(
        &mut self,
        file: &object::File<'_>,
        section: &object::Section<'_, '_>,
    ) -> Result<bool> {
        let data = section.data()?;
        let mut any = false;
        for (at, relocation) in section.relocations() {
            any = true;
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                continue;
            };
            // A call, a jump, a table of unwinding.
            if let R_ARM_NONE | R_ARM_PREL31 | R_ARM_THM_JUMP6 | R_ARM_THM_JUMP19
            | R_ARM_THM_JUMP24 | R_ARM_THM_PC9 | R_ARM_THM_PC11 | R_ARM_THM_PC22 = r_type
            {
                continue;
            }
            let named = match relocation.target() {
                RelocationTarget::Symbol(index) => {
                    let symbol = file.symbol_by_index(index)?;
                    (symbol.kind() == SymbolKind::Text).then(|| symbol.address())
                }
                _ => None,
            };
            let word = at.checked_sub(section.address()).and_then(|offset| {
                let bytes = data.get(offset as usize..)?.first_chunk::<4>()?;
                (r_type == R_ARM_ABS32).then(|| u64::from(u32::from_le_bytes(*bytes)))
            });
            let Some(target) = named.or(word).map(|address| address & !1) else {
                continue;
            };
            if !self.functions.contains_key(&target) {
                continue;
            }
            if section.name() == Ok(VECTORS) {
                let vector = (at - section.address()) / 4;
                if !RESET_AND_FAULTS.contains(&vector) {
                    self.handlers.insert(target);
                }
                continue;
            }
            let holder = self.functions.range_mut(..=at).next_back();
            match holder.filter(|(_, function)| at < function.end) {
                Some((_, function)) => function.points_to.insert(target),
                None => self.in_tables.insert(target),
            };
        }
        Ok(any)
    }

    /// Functions whose path satisfies `wanted`.
    pub fn find(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (u64, &Function)> {
        let all = self.functions.iter();
        all.map(|(&address, function)| (address, function))
            .filter(move |(_, function)| wanted(&function.name))
    }

    /// The stack that the function at `address` and all it calls can need.
    ///
    /// # Errors
    ///
    /// There is no bound.
    pub fn depth(&self, address: u64) -> Result<Depth<'_>> {
        Walk::new(self).below(address)
    }

    /// The stack that the program can need.
    ///
    /// # Errors
    ///
    /// There is no bound.
    pub fn bound(&self) -> Result<Bound<'_>> {
        let mut walk = Walk::new(self);
        let program = walk.below(self.entry)?;
        let mut interrupts = Vec::new();
        for &handler in &self.handlers {
            let mut depth = walk.below(handler)?;
            depth.bytes += self.interrupt_bytes;
            interrupts.push(depth);
        }
        let nested: u64 = interrupts.iter().map(|depth| depth.bytes).sum();
        Ok(Bound {
            bytes: program.bytes + nested,
            program,
            interrupts,
            pointers: walk
                .pointers
                .into_iter()
                .map(|(caller, (_, deepest))| (caller, deepest))
                .collect(),
            ends: walk.ends,
        })
    }
}

/// Whether a section is in the chip's memory, with bytes of its own.
fn is_loaded(section: &object::Section<'_, '_>) -> bool {
    use SectionKind::{Data, ReadOnlyData, Text};
    matches!(section.kind(), Text | Data | ReadOnlyData)
}

/// A name as people write it, without its hash.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Whether a program ends with this function: it panics.
fn is_end(name: &str) -> bool {
    let of_core = name.starts_with("core::")
        && (name.contains("panic") || name.ends_with("_fail") || name.ends_with("_failed"));
    of_core || name == "_defmt_panic" || name.ends_with("rust_begin_unwind")
}

/// Whether it is assembly of `bt-core`, which calls nothing and jumps through tables of its own places.
fn is_kernel(name: &str) -> bool {
    name.starts_with("bt_core_")
}

/// Whether a function formats, or makes text.
fn is_text(name: &str) -> bool {
    name.starts_with("core::fmt::")
        || name.starts_with("<core::fmt::")
        || name.contains(" as core::fmt::")
}

/// Reads the instructions of a function, in the order in which they stand.
struct Reader<'f> {
    function: &'f mut Function,
    range: Range<u64>,
    /// Jumps through pointers lead to places of its own.
    stays: bool,
    /// What the instruction before left in a register.
    last: Option<(u16, Value)>,
}

/// What is known of a register.
#[derive(Clone, Copy)]
enum Value {
    Constant(u32),
    /// So many bytes below the frame pointer.
    Below(u64),
}

impl Reader<'_> {
    fn take(&mut self, effect: Effect, at: u64, word: impl Fn(u64) -> u32) {
        let of = |register| match self.last {
            _ if register == thumb::FP => Some(Value::Below(0)),
            Some((known, value)) if known == register => Some(value),
            _ => None,
        };
        let mut now = None;
        let function = &mut *self.function;
        match effect {
            Effect::None => {}
            Effect::Jump(target) => {
                if !self.range.contains(&target) {
                    function.calls.insert(target);
                }
            }
            // A function that calls its beginning calls itself, and has no bound. Into its middle Armv6-M jumps so, which
            // has no other jump as long.
            Effect::Call(target) => {
                if !self.range.contains(&target) || (target == self.range.start && !self.stays) {
                    function.calls.insert(target);
                }
            }
            Effect::CallPointer => function.by_pointer = true,
            Effect::JumpPointer => function.by_pointer |= !self.stays,
            Effect::Push(bytes) => function.frame_bytes += bytes,
            Effect::Load { to, place } => now = Some((to, Value::Constant(word(place)))),
            // Frames of 512 bytes and more on Armv6-M; a positive constant gives them back.
            Effect::Add(register) => match of(register) {
                Some(Value::Constant(value)) => {
                    let change = value.cast_signed();
                    function.frame_bytes += u64::from(change.min(0).unsigned_abs());
                }
                _ => function.unknown = Some(at),
            },
            Effect::Less {
                to: thumb::SP,
                from: thumb::SP,
                bytes,
            } => function.frame_bytes += bytes,
            // Back to what was pushed first.
            Effect::Less {
                to: thumb::SP,
                from,
                bytes,
            } => match of(from) {
                Some(Value::Below(below)) if below + bytes <= function.frame_bytes => {}
                _ => function.unknown = Some(at),
            },
            Effect::Less { to, from, bytes } => {
                if let Some(Value::Below(below)) = of(from) {
                    now = Some((to, Value::Below(below + bytes)));
                }
            }
            Effect::Unknown => function.unknown = Some(at),
        }
        self.last = now;
    }
}

/// The deepest chains, found caller by caller.
struct Walk<'p> {
    program: &'p Program,
    /// Functions that an ordinary call through a pointer may reach.
    pointed: BTreeSet<u64>,
    /// The chain from the last formatting function that was reached through a pointer.
    callers: Vec<u64>,
    /// Formatting functions of the chain that were reached through a pointer.
    formatting: BTreeSet<u64>,
    /// Formatting functions that the chain points to.
    known: BTreeSet<u64>,
    /// Depths found, by function and the two sets.
    found: BTreeMap<(u64, BTreeSet<u64>, BTreeSet<u64>), Depth<'p>>,
    /// By caller the bytes and the name of the deepest.
    pointers: BTreeMap<&'p str, (u64, Option<&'p str>)>,
    ends: BTreeSet<&'p str>,
}

impl<'p> Walk<'p> {
    fn new(program: &'p Program) -> Self {
        let in_code = program.functions.values().flat_map(|f| &f.points_to);
        let pointed = in_code.chain(&program.in_tables).copied();
        Self {
            program,
            pointed: pointed.filter(|&at| !program.is_text(at)).collect(),
            callers: Vec::new(),
            formatting: BTreeSet::new(),
            known: BTreeSet::new(),
            found: BTreeMap::new(),
            pointers: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }

    fn below(&mut self, address: u64) -> Result<Depth<'p>> {
        // A jump may lead into the middle of a function in assembly.
        let mut before = self.program.functions.range(..=address);
        let (&address, function) = before
            .next_back()
            .filter(|(_, function)| address < function.end)
            .with_context(|| format!("no function lies at {address:#x}"))?;
        if is_end(&function.name) {
            self.ends.insert(&function.name);
            return Ok(Depth {
                bytes: 0,
                chain: Vec::new(),
            });
        }
        if self.callers.contains(&address) {
            bail!("{} calls itself", function.name);
        }
        if let Some(at) = function.unknown {
            bail!(
                "{} sets the stack pointer to what is not known here, at {at:#x}",
                function.name
            );
        }
        let key = (address, self.formatting.clone(), self.known.clone());
        if let Some(depth) = self.found.get(&key) {
            return Ok(depth.clone());
        }
        self.callers.push(address);
        let text = function.points_to.iter().copied();
        self.known
            .extend(text.filter(|&at| self.program.is_text(at)));
        let mut deepest = Depth {
            bytes: 0,
            chain: Vec::new(),
        };
        for &call in &function.calls {
            deepest.or(self.below(call)?);
        }
        if function.by_pointer {
            let depth = self.through_pointer(function)?;
            let reached = depth.chain.first().map(|found| found.name.as_str());
            // A caller is met anew for each set of what formats; the deepest is what is told.
            let told = self.pointers.entry(&function.name).or_default();
            if depth.bytes > told.0 {
                *told = (depth.bytes, reached);
            }
            deepest.or(depth);
        }
        self.callers.pop();
        self.known.clone_from(&key.2);
        deepest.bytes += function.frame_bytes;
        deepest.chain.insert(0, function);
        self.found.insert(key, deepest.clone());
        Ok(deepest)
    }

    /// The deepest of what a function may reach through a pointer.
    fn through_pointer(&mut self, function: &Function) -> Result<Depth<'p>> {
        let mut deepest = Depth {
            bytes: 0,
            chain: Vec::new(),
        };
        if !is_text(&function.name) {
            if self.pointed.is_empty() {
                bail!(
                    "{} calls through a pointer, and nothing points to a function",
                    function.name
                );
            }
            for address in self.pointed.clone() {
                deepest.or(self.below(address)?);
            }
            return Ok(deepest);
        }
        let tables = self.program.in_tables.iter().copied();
        let tables = tables.filter(|&at| self.program.is_text(at));
        let reached: BTreeSet<u64> = tables.chain(self.known.iter().copied()).collect();
        let callers = std::mem::take(&mut self.callers);
        for &address in reached.difference(&self.formatting.clone()) {
            self.formatting.insert(address);
            deepest.or(self.below(address)?);
            self.formatting.remove(&address);
        }
        self.callers = callers;
        Ok(deepest)
    }
}

impl Program {
    fn is_text(&self, address: u64) -> bool {
        let function = self.functions.get(&address);
        function.is_some_and(|function| is_text(&function.name))
    }
}

impl<'p> Depth<'p> {
    /// Becomes the deeper of two.
    fn or(&mut self, other: Self) {
        if other.bytes > self.bytes {
            *self = other;
        }
    }
}

#[cfg(test)]
mod tests;
