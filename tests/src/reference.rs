//! What a model file tells a device to do, in plain loops over the file's own numbers: every sum in i64
//! and held to 32 bits, every word touched held to where the map may be. Kernels in assembly check
//! neither.

use std::ops::Range;

use bt_core::about::Cell;
use bt_core::health::Gate;
use bt_core::internals::model::layout::{self, DenseRecord, Section};
use bt_core::internals::model::{Map, bound};
use bt_core::internals::nonlinearity;
use bt_core::internals::program::panel::pair_order;
use bt_core::internals::program::{DISCARD, NONE, Program, StageRecord, Store};
use bt_core::{InputType, Model};

/// The maps of a model and the words of an arena they work on.
#[derive(Debug)]
pub struct Reference<'m> {
    model: &'m Model<'m>,
    weights: Vec<u32>,
    tables: Vec<u16>,
    bias: Vec<i16>,
    /// What z of a frame starts from, and what a filter keeps of those before in i64; none before the first.
    start: Vec<i16>,
    means: Vec<i64>,
    /// Of a model that tells captions its words, and the share of the picture.
    words: Option<Words>,
    picture: Vec<i16>,
    memory: Vec<u32>,
    /// Which halves of words somebody has written since the map began.
    written: Vec<[bool; 2]>,
    is_told: bool,
    /// Which stage keeps a partial sum in a word, if one does.
    kept: Vec<Option<*const StageRecord>>,
}

/// What words add to z.
#[derive(Debug)]
struct Words {
    shift: u32,
    scales: Vec<u16>,
    /// A row of z's values for each.
    table: Vec<i8>,
}

impl Words {
    /// Those of a file, where it has them.
    fn of(model: &Model<'_>, file: &[u8]) -> Option<Words> {
        model.caption_words()?;
        let bytes: Vec<u8> = section(file, Section::Words);
        let shift = u32::from_le_bytes(*bytes.first_chunk()?);
        let count = model.outputs();
        // Two words of sizes; scales, which zeros pad to a word.
        let (scales, table) = bytes.get(8..)?.split_at(4 * count.div_ceil(2));
        Some(Words {
            shift,
            scales: scales
                .chunks(2)
                .map(|half| u16::from_le_bytes([half[0], half[1]]))
                .collect(),
            table: table.iter().map(|&byte| byte as i8).collect(),
        })
    }
}

/// The elements of a section of a file.
fn section<T: bytemuck::Pod>(file: &[u8], wanted: Section) -> Vec<T> {
    let word =
        |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut entries = (layout::HEADER_LEN..).step_by(layout::ENTRY_LEN);
    let at = entries
        .find(|&at| file[at..at + 4] == wanted.tag())
        .expect("parsed");
    let bytes = &file[word(at + 4)..][..word(at + 8)];
    let elements = bytes.chunks_exact(size_of::<T>());
    elements.map(bytemuck::pod_read_unaligned).collect()
}

/// Half a word.
fn half(word: u32, high: bool) -> i64 {
    i64::from(if high { word >> 16 } else { word } as i16)
}

/// Sums are in range at every product.
fn held(sum: i64) -> i64 {
    assert!(i32::try_from(sum).is_ok(), "a sum of {sum} leaves 32 bits");
    sum
}

fn saturate(value: i64) -> i16 {
    value.clamp(-32_768, 32_767) as i16
}

/// c and h after a step, unit by unit in i64: the formulas of `bt_core`'s cells, with its tables of the
/// nonlinearities. `z` is z and, where the cell keeps it apart, the recurrent map's share.
///
/// # Panics
///
/// `z` are not those of such a cell.
pub fn cell(
    (cell, gate): (Cell, Gate),
    fraction: u32,
    (z, apart): (&[i16], &[i16]),
    c: &[i32],
) -> (Vec<i32>, Vec<i16>) {
    let units = c.len();
    let open = |z: i16| {
        i64::from(match gate {
            Gate::Sigmoid => nonlinearity::sigmoid(z),
            Gate::HardSigmoid => nonlinearity::hard_sigmoid(z),
        })
    };
    let held = |c: i64| i32::try_from(c).expect("c stays in 32 bits");
    // Down by 16 bits of a product, twice: what a blend adds.
    let blend = |from: i64, to: i64, weight: i64| held(from + 2 * (((to - from) * weight) >> 16));
    let rounded = |c: i32| saturate((i64::from(c) + (1 << 13)) >> 14);
    let unit = |j: usize| {
        let before = i64::from(c[j]);
        let z = |gate: usize| z[gate * units + j];
        match cell {
            Cell::Lstm => {
                let added = (open(z(0)) * i64::from(nonlinearity::tanh(z(2)))) >> (31 - fraction);
                let c = 2 * (added + ((before * open(z(1))) >> 16));
                let c = c.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                let wide = i64::from(c) << (24 - fraction);
                let wide = wide.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                let squashed = i64::from(nonlinearity::tanh_of_cell(wide));
                (c, ((open(z(3)) * squashed + (1 << 14)) >> 15) as i16)
            }
            Cell::Gru => {
                let back = |gate: usize| i64::from(apart[gate * units + j]);
                let sum = |gate: usize| saturate(i64::from(z(gate)) + back(gate));
                let reset = (open(sum(0)) * back(2) + (1 << 14)) >> 15;
                let candidate = nonlinearity::tanh(saturate(i64::from(z(2)) + reset));
                let c = blend(i64::from(candidate) << 14, before, open(sum(1)));
                (c, rounded(c))
            }
            Cell::MinGru => {
                let c = blend(before, i64::from(z(1)) << 14, open(z(0)));
                (c, rounded(c))
            }
        }
    };
    (0..units).map(unit).unzip()
}

impl<'m> Reference<'m> {
    /// At rest; `file` is the model's.
    pub fn new(model: &'m Model<'m>, file: &[u8]) -> Self {
        Self {
            model,
            weights: section(file, Section::Weights),
            tables: section(file, Section::Tables),
            bias: section(file, Section::Bias),
            start: match model.filter() {
                // Behind the record's two words.
                Some(_) => section(file, Section::Filter).split_off(4),
                None => Vec::new(),
            },
            means: Vec::new(),
            words: Words::of(model, file),
            picture: Vec::new(),
            memory: vec![0; model.arena_bytes() / 4],
            written: vec![[false; 2]; model.arena_bytes() / 4],
            is_told: true,
            kept: vec![None; model.arena_bytes() / 4],
        }
    }

    /// Whether the file alone says what z has been so far. A damaged file can have a stage multiply a column of
    /// its panel that nothing fills, by a weight that is not 0: the sum stays in its bounds whatever the
    /// scratch holds there, but depends on it from then on.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// z after a frame of pushed values, before the recurrent map.
    pub fn frame(&mut self, pushed: &[i16]) -> Vec<i16> {
        let scratch = self.scratch();
        self.clear(&self.model.input_map(), scratch);
        self.begin(0);
        for (at, start) in self.start.clone().into_iter().enumerate() {
            self.put(0, at, start);
        }
        let (meta, format) = (self.model.meta(), self.model.format());
        // One number for all values, or their own from a table.
        let number = |table: u32, one: i32, at: usize| match table {
            NONE => i64::from(one),
            table => i64::from(self.tables[table as usize + at] as i16),
        };
        let scaled = meta.element_scale_table != NONE || format.element_scale != 0;
        let shared = format.element_offset_table == NONE;
        let middle =
            self.model.input_type() == InputType::U8 && meta.input_zero == InputType::MIDDLE;
        let raw = !scaled && shared && (meta.input_zero == 0 || middle);
        let left = match self.model.input_type() {
            _ if !raw => 0,
            kind => kind.left_shift(meta.input_zero),
        };
        let is_byte = raw && self.model.input_type() != InputType::I16;
        let values = pushed.iter().enumerate().map(|(at, &value)| {
            let offset = number(format.element_offset_table, meta.input_zero, at);
            let value = i64::from(saturate(i64::from(value) - offset));
            if !scaled {
                return (value << left) as i16;
            }
            let scale = number(meta.element_scale_table, format.element_scale, at);
            let shift = number(format.element_shift_table, meta.element_shift.into(), at);
            let half = (1i64 << shift) >> 1;
            saturate((value * scale + half) >> shift)
        });
        let values: Vec<i16> = values.collect();
        self.map(self.model.input_map(), 0, &values, is_byte);
        self.z()
    }

    /// Turns z of a frame into what a cell reads, where there is a filter: less the mean of those before, which
    /// begins as the first and has 14 bits more, in Q4.11 and with the bias.
    pub fn filter(&mut self) {
        let Some((record, _)) = self.model.filter() else {
            return;
        };
        let z = self.z();
        let fine = |z: i16| i64::from(z) << 14;
        if self.means.is_empty() {
            self.means = z.iter().map(|&z| fine(z)).collect();
        }
        let rounded = |value: i64, bits: u32| (value + ((1 << bits) >> 1)) >> bits;
        for (at, (z, bias)) in z.into_iter().zip(self.biases(0)).enumerate() {
            let distance = fine(z) - self.means[at];
            self.means[at] += rounded(distance, record.horizon_shift);
            let passed = rounded(distance, record.fraction + 3) + i64::from(bias);
            self.put(0, at, saturate(passed));
        }
    }

    /// Keeps z of a frame as the share of a picture.
    pub fn picture(&mut self) {
        self.picture = self.z();
    }

    /// z of a step on a word, before the recurrent map: the picture's share and the word's.
    ///
    /// # Panics
    ///
    /// The model tells no captions, or has no such word.
    pub fn read(&mut self, word: usize) {
        let words = self.words.as_ref().expect("words");
        let (scale, half) = (i64::from(words.scales[word]), (1i64 << words.shift) >> 1);
        let row = &words.table[word * self.picture.len()..];
        let sums = self.picture.iter().zip(row).map(|(&z, &entry)| {
            let share = (i64::from(entry) * scale + half) >> words.shift;
            saturate(i64::from(z) + share)
        });
        for (at, sum) in sums.collect::<Vec<_>>().into_iter().enumerate() {
            self.put(0, at, sum);
        }
    }

    /// z of a layer above the first, from h of the one below, before its recurrent map.
    ///
    /// # Panics
    ///
    /// There is no such layer.
    pub fn later(&mut self, layer: usize, below: &[i16]) {
        let map = self.model.input_of(layer).expect("a layer");
        let scratch = self.scratch();
        self.clear(&map, scratch);
        self.begin(layer);
        self.map(map, 0, below, false);
    }

    /// Adds the recurrent map's share to z, or gives it where the cell keeps it apart.
    pub fn recur(&mut self, layer: usize, h: &[i16]) -> Vec<i16> {
        let layout = self.model.arena_layout();
        let (first, words) = (layout.scratch_word, layout.apart_words());
        let Some(map) = self.model.recurrent_of(layer) else {
            return Vec::new();
        };
        self.clear(&map, first + words);
        self.zero(first..first + words);
        let (hidden, values) = (h.len(), self.values());
        let biases = self.biases(layer);
        for (at, bias) in biases
            .into_iter()
            .skip(2 * layout.z_words())
            .take(hidden)
            .enumerate()
        {
            self.put(first, values - hidden + at, bias);
        }
        let z = if words > 0 { first } else { 0 };
        self.map(map, z, h, false);
        let halves: &[i16] = bytemuck::cast_slice(&self.memory[first..first + words]);
        halves.iter().copied().take(values).collect()
    }

    /// z as it stands.
    pub fn z(&self) -> Vec<i16> {
        let halves: &[i16] = bytemuck::cast_slice(&self.memory);
        halves[..self.values()].to_vec()
    }

    /// Pre-activations of a layer.
    fn values(&self) -> usize {
        self.model.cell().gates() * self.model.hidden()
    }

    /// What a layer has in the section of biases, the padding included.
    fn biases(&self, layer: usize) -> Vec<i16> {
        let layers = self.bias.chunks(self.bias.len() / self.model.layers());
        layers.map(<[i16]>::to_vec).nth(layer).expect("a layer")
    }

    /// z starts as the bias.
    fn begin(&mut self, layer: usize) {
        let biases = self.biases(layer);
        for (at, bias) in biases
            .into_iter()
            .take(2 * self.model.arena_layout().z_words())
            .enumerate()
        {
            self.put(0, at, bias);
        }
    }

    fn scratch(&self) -> usize {
        self.model.arena_layout().scratch_word
    }

    /// The scratch is zero where the bounds rely on it; where they do not it holds anything, here the worst.
    fn clear(&mut self, map: &Map<'_>, first: usize) {
        self.written[first..].fill([false; 2]);
        self.memory[first..].fill(0x8000_8000);
        self.kept[first..].fill(None);
        if let Map::Program(program) = map
            && program
                .stages
                .iter()
                .any(|stage| !bound::fits(stage, &self.weights, 1 << 15))
        {
            self.zero(first..self.memory.len());
        }
    }

    fn zero(&mut self, words: Range<usize>) {
        self.memory[words.clone()].fill(0);
        self.written[words.clone()].fill([true; 2]);
        self.kept[words].fill(None);
    }

    fn word(&mut self, at: usize) -> &mut u32 {
        let z = self.model.arena_layout().z_words();
        assert!(
            at < z || at >= self.scratch(),
            "word {at} is neither of z nor of the scratch"
        );
        &mut self.memory[at]
    }

    fn get(&mut self, word: usize, half_at: usize) -> i64 {
        half(*self.word(word + half_at / 2), half_at % 2 == 1)
    }

    fn put(&mut self, word: usize, half_at: usize, value: i16) {
        self.kept[word + half_at / 2] = None;
        self.written[word + half_at / 2][half_at % 2] = true;
        let place = self.word(word + half_at / 2);
        let shift = half_at % 2 * 16;
        *place = *place & !(0xFFFF << shift) | u32::from(value as u16) << shift;
    }

    /// Adds a map's share to z, which lies at word `z`; a program knows where.
    fn map(&mut self, map: Map<'_>, z: usize, values: &[i16], is_byte: bool) {
        match map {
            Map::Program(program) => self.program(&program, values, is_byte),
            Map::Dense(record) => self.dense(record, z, values),
        }
    }

    fn program(&mut self, program: &Program<'_>, values: &[i16], is_byte: bool) {
        let record = program.record;
        let extents: Vec<usize> = program.extents().iter().map(|&e| e.into()).collect();
        let row = record.row_values as usize;
        for (slab, values) in values.chunks(record.slab_values as usize).enumerate() {
            let mut digits = vec![0; extents.len()];
            let mut rest = slab;
            for (digit, extent) in digits.iter_mut().zip(&extents).rev() {
                (*digit, rest) = (rest % extent, rest / extent);
            }
            for (at, &value) in values.iter().enumerate() {
                let place = if record.gather_table == NONE {
                    let (n, k) = (at / row, at % row);
                    let k = if is_byte { pair_order(k, row) } else { k };
                    (n / 4 * row.div_ceil(2) + k / 2) * 8 + n % 4 * 2 + k % 2
                } else {
                    self.tables[record.gather_table as usize + at].into()
                };
                self.put(record.slab_word as usize, place, value);
            }
            for stage in program.stages {
                let inner = stage.depth as usize..;
                if digits[inner.clone()]
                    .iter()
                    .zip(&extents[inner])
                    .all(|(d, e)| d + 1 == *e)
                {
                    self.stage(program, stage, &digits);
                }
            }
        }
    }

    fn stage(&mut self, program: &Program<'_>, stage: &StageRecord, digits: &[usize]) {
        let (m_tiles, n_tiles) = (usize::from(stage.m_tiles), usize::from(stage.n_tiles));
        let (pairs, slices) = (usize::from(stage.k_pairs), usize::from(stage.slices));
        let slice = if slices > 1 {
            digits[stage.depth as usize - 1]
        } else {
            0
        };
        let accumulates = slices > 1 && stage.acc_word != NONE;
        let store = Store::from_number(stage.store).expect("parsed");
        let moved = match stage.out_digit {
            u8::MAX => 0,
            digit => digits[usize::from(digit)] * stage.out_stride as usize,
        };
        let out = stage.out_word as usize + moved;
        for tile in 0..m_tiles * n_tiles {
            let (m_tile, n_tile) = (tile / n_tiles, tile % n_tiles);
            for (m, n) in (0..2).flat_map(|m| (0..4).map(move |n| (m, n))) {
                // Without sums that are kept the word is none.
                let acc = match accumulates {
                    true => stage.acc_word as usize + tile * 8 + m * 4 + n,
                    false => usize::MAX,
                };
                let start = if accumulates && slice > 0 {
                    let is_own = self.kept[acc] == Some(std::ptr::from_ref(stage));
                    assert!(is_own, "word {acc} is no sum of this stage any more");
                    i64::from(*self.word(acc) as i32)
                } else {
                    1 << (stage.shift - 1)
                };
                let mut is_told = !(accumulates && slice > 0) || self.written[acc] == [true; 2];
                let shifts = accumulates && stage.slice_shift > 0;
                let mut sum = if shifts { 0 } else { start };
                for k in 0..2 * pairs {
                    let w = ((slice * m_tiles + m_tile) * pairs + k / 2) * 2 + m;
                    let w = half(self.weights[stage.weights_word as usize + w], k % 2 == 1);
                    let x = stage.input_word as usize + (n_tile * pairs + k / 2) * 4 + n;
                    let stages = program.stages.as_ptr_range();
                    let is_sum = self.kept[x].is_some_and(|keeper| stages.contains(&keeper));
                    assert!(!is_sum, "word {x} of a panel is half a sum");
                    is_told &= w == 0 || self.written[x][k % 2];
                    let x = half(*self.word(x), k % 2 == 1);
                    sum = held(sum + w * x);
                }
                if shifts {
                    let half = held(sum + (1 << (stage.slice_shift - 1)));
                    sum = held(start + (half >> stage.slice_shift));
                }
                if accumulates && slice + 1 < slices {
                    *self.word(acc) = sum as i32 as u32;
                    self.kept[acc] = Some(std::ptr::from_ref(stage));
                    self.written[acc] = [is_told; 2];
                    continue;
                }
                let most = (1 << (stage.bits - 1)) - 1;
                let value = (sum >> stage.shift).clamp(-most - 1, most) as i16;
                let table = |first: u32, at: usize| usize::from(self.tables[first as usize + at]);
                let place = if store.is_table() {
                    match table(stage.rows_table, tile * 8 + m * 4 + n) {
                        at if at == usize::from(DISCARD) => continue,
                        at => at,
                    }
                } else {
                    let column = match stage.col_stride {
                        0 => table(stage.cols_table, n_tile),
                        stride => n_tile * usize::from(stride),
                    };
                    let base = 2 * (table(stage.rows_table, m_tile) + column);
                    base + match store {
                        Store::Pairs => 2 * n + m,
                        Store::Columns => n / 2 * 8 + m * 2 + n % 2,
                        _ => m * 2 * stage.row_stride as usize + n,
                    }
                };
                let value = if store.adds() {
                    saturate(self.get(out, place) + i64::from(value))
                } else {
                    value
                };
                self.put(out, place, value);
                if store.adds() {
                    self.is_told &= is_told;
                } else {
                    self.written[out + place / 2][place % 2] = is_told;
                }
            }
        }
    }

    fn dense(&mut self, record: &DenseRecord, z_word: usize, values: &[i16]) {
        let (rows, part) = (record.rows as usize, record.slice_values as usize);
        let (pairs, shift) = (part.div_ceil(2), record.slice_shift);
        if record.form == 1 {
            self.bytes(record, z_word, values);
            return;
        }
        let mut sums = vec![0i64; rows];
        for (index, values) in values.chunks(part).enumerate() {
            for (row, total) in sums.iter_mut().enumerate() {
                let first = record.weights_word as usize + (index * rows / 2 + row / 2) * pairs;
                let mut sum = (1 << shift) >> 1;
                // What pads an odd number of values can be anything; its weight is zero.
                let padded = values.iter().copied().chain([i16::MIN]).take(2 * pairs);
                for (k, value) in padded.enumerate() {
                    let lane = half(self.weights[first + k / 2], k % 2 == 1);
                    let low = i64::from(lane as i8);
                    let w = if row % 2 == 0 {
                        (lane - low) / 256
                    } else {
                        low
                    };
                    sum = held(sum + w * i64::from(value));
                }
                *total = held(*total + (sum >> shift));
            }
        }
        self.add_scaled(record, z_word, &sums);
    }

    fn add_scaled(&mut self, record: &DenseRecord, z_word: usize, sums: &[i64]) {
        for (row, sum) in sums.iter().enumerate() {
            let scale = i64::from(self.weights[record.scales_word as usize + row]);
            let share = (sum * scale + (1 << 31)) >> 32;
            let z = self.get(z_word, row);
            self.put(z_word, row, saturate(z + share));
        }
    }

    /// Rows of bytes: blocks of sixteen, four rows side by side, of which the first block is not full.
    fn bytes(&mut self, record: &DenseRecord, z_word: usize, values: &[i16]) {
        let padded = values.len() + values.len() % 2;
        let blocks = padded.div_ceil(16);
        let missing = 16 * blocks - padded;
        let mut sums = vec![0i64; record.rows as usize];
        for (row, sum) in sums.iter_mut().enumerate() {
            for (k, &value) in values.iter().enumerate() {
                // The values of the first block come first in it, then zeros.
                let place = if k < 16 - missing { k } else { k + missing };
                let block = (row / 4 * blocks + place / 16) * 4 + row % 4;
                let byte = 4 * record.weights_word as usize + 16 * block + place % 16;
                let word = self.weights[byte / 4];
                let w = i64::from((word >> (8 * (byte % 4))) as u8 as i8);
                *sum = held(*sum + w * i64::from(value));
            }
        }
        self.add_scaled(record, z_word, &sums);
    }
}
