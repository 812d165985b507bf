//! Small models of random weights, made without training.

use bt_core::about::{Cell, FloatInput, Pool};
use bt_core::drawing::NextFrame;
use bt_core::health::Gate;
use bt_core::internals::front_end::{self, Config};
use bt_core::internals::kernel::{ByteRows, RowsForm};
use bt_core::internals::model::layout::{
    CELL_FRACTION, DenseRecord, DrawRecord, FilterRecord, WindowRecord, WordsRecord,
};
use bt_core::internals::model::write::{
    Contents, Elements, LayerContents, MapContents, Outputs, WordsContents,
};
use bt_core::{InputType, Model, ModelBytes, OutputKind, Session};
use bt_train::data::{Part, Values};
use bytemuck::Zeroable;
use std::sync::Arc;

/// Marsaglia's xorshift32.
#[derive(Clone, Debug)]
pub struct Noise(u32);

impl Noise {
    /// Noise from a seed.
    pub fn new(seed: u32) -> Noise {
        Noise(seed.wrapping_mul(0x9E37_79B9) | 1)
    }

    /// The next 16 bits.
    pub fn bits(&mut self) -> u16 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as u16
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.bits() as u8).collect()
    }
}

/// Shape of a dense model.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    /// Type of pushed values.
    pub input_type: InputType,
    /// Values of a frame, or of all vectors of a step.
    pub values: usize,
    /// Vectors of an audio front end a step (then of I16); 0 without one.
    pub vectors: u32,
    /// Hidden units.
    pub hidden: usize,
    /// Classes.
    pub classes: usize,
    /// Which output the head reads.
    pub pool: Pool,
    /// log₂ of the steps that [`Pool::Recent`] averages over; 0 with other pools.
    pub horizon_shift: u8,
    /// Logits are raw scores · 2^−score_shift.
    pub score_shift: i32,
    /// What moves the state on.
    pub cell: Cell,
    /// Layers of it.
    pub layers: usize,
    /// What becomes of the input map's share.
    pub filter: Option<FilterRecord>,
    /// How the rows of its maps lie; those of bytes where they can be.
    pub form: RowsForm,
    /// Seed of the weights.
    pub seed: u32,
}

impl Default for Dense {
    fn default() -> Self {
        Dense {
            input_type: InputType::I16,
            values: 7,
            vectors: 0,
            hidden: 6,
            classes: 3,
            pool: Pool::Last,
            horizon_shift: 0,
            score_shift: 15,
            cell: Cell::Lstm,
            layers: 1,
            filter: None,
            form: RowsForm::Pairs,
            seed: 1,
        }
    }
}

impl Dense {
    /// Weights of the head, `[classes][hidden]`.
    pub fn head_weights(&self) -> Vec<i16> {
        self.head_rows(self.classes)
    }

    /// The same of so many rows.
    pub fn head_rows(&self, rows: usize) -> Vec<i16> {
        (0..rows * self.hidden)
            .map(|at| (at as i16).wrapping_mul(7919) >> (3 + self.hidden.ilog2()))
            .collect()
    }

    /// The tables of an audio front end, if there is one.
    fn front_end(&self) -> Option<(Vec<u8>, u32)> {
        let config = Config {
            window: 64,
            hop: 32,
            bands: self.values.checked_div(self.vectors as usize)?,
            ..Config::default()
        };
        let section = front_end::write(&config).expect("a front end");
        Some((section, self.vectors))
    }

    /// A layer without its maps.
    fn layer(&self) -> LayerContents {
        let none = MapContents::Dense(DenseRecord::zeroed());
        let apart = if self.cell.keeps_apart() {
            self.hidden
        } else {
            0
        };
        LayerContents {
            input: none.clone(),
            recurrent: self.cell.is_recurrent().then_some(none),
            bias: (0..self.cell.gates() * self.hidden)
                .map(|row| (row as i16 % 7 - 3) << 8)
                .collect(),
            recurrent_bias: (0..apart).map(|row| (row as i16 % 5 - 2) << 9).collect(),
            cell_fraction: CELL_FRACTION,
        }
    }

    /// The model's file.
    ///
    /// # Panics
    ///
    /// The shape is none that the format holds.
    pub fn model(&self) -> ModelBytes {
        self.with(Outputs {
            horizon_shift: self.horizon_shift,
            ..Outputs::default()
        })
    }

    /// A file of bytes whose scores are the bits of the next frame: it draws.
    ///
    /// # Panics
    ///
    /// The shape is none that the format holds.
    pub fn drawing(self) -> ModelBytes {
        let shape = Dense {
            input_type: InputType::U8,
            // Logits of some units, none of which is certain.
            score_shift: 21,
            ..self
        };
        shape.with(Outputs {
            kind: OutputKind::Bits,
            every_step: true,
            next_frame: NextFrame::Drawn,
            ..Outputs::default()
        })
    }

    /// A file that tells captions of at most so many words; its classes are its vocabulary.
    ///
    /// # Panics
    ///
    /// The shape is none that the format holds.
    pub fn captioning(self, longest: u32) -> ModelBytes {
        let mut noise = Noise::new(self.seed ^ 0x0077_0000);
        let values = self.cell.gates() * self.hidden;
        let words = WordsContents {
            record: WordsRecord { shift: 10, longest },
            // Entries of up to 4.
            scales: (0..self.classes).map(|_| noise.bits() | 1 << 14).collect(),
            table: (0..self.classes * values)
                .map(|_| weight(noise.bits()) as i8)
                .collect(),
        };
        let shape = Dense {
            // Logits of some units.
            score_shift: 21,
            ..self
        };
        let outputs = Outputs {
            every_step: true,
            ..Outputs::default()
        };
        shape.written(outputs, Some(words))
    }

    /// A file that paints pictures of so many steps and rows from latent values; its classes are the pixels.
    ///
    /// # Panics
    ///
    /// The shape is none that the format holds.
    pub fn painting(self, steps: u32, rows: u32) -> ModelBytes {
        let draw = DrawRecord {
            steps,
            rows,
            sum_shift: DrawRecord::shift_of(steps),
        };
        let shape = Dense {
            pool: Pool::Sum,
            score_shift: 21,
            ..self
        };
        shape.pictures(draw, None)
    }

    /// The same through windows of so many points, on a canvas of 9 fraction bits.
    ///
    /// # Panics
    ///
    /// The shape is none that the format holds.
    pub fn attended(self, (steps, rows): (u32, u32), points: u32) -> ModelBytes {
        let window = WindowRecord {
            points,
            patch_shift: 17,
            place_shift: 21,
        };
        let draw = DrawRecord {
            steps,
            rows,
            sum_shift: 0,
        };
        let shape = Dense {
            pool: Pool::Canvas,
            score_shift: 9,
            ..self
        };
        shape.pictures(draw, Some((window, self.classes)))
    }

    /// A file of pictures from latent values, through a window on so many pixels where there is one.
    fn pictures(self, draw: DrawRecord, window: Option<(WindowRecord, usize)>) -> ModelBytes {
        let shape = Dense {
            input_type: InputType::I16,
            ..self
        };
        shape.with(Outputs {
            kind: OutputKind::Bits,
            every_step: true,
            next_frame: NextFrame::Latent,
            draw: Some(draw),
            window,
            ..Outputs::default()
        })
    }

    /// The model's file whose scores are others.
    ///
    /// # Panics
    ///
    /// The shape is none that the format holds.
    pub fn with(&self, outputs: Outputs) -> ModelBytes {
        self.written(outputs, None)
    }

    fn written(&self, outputs: Outputs, words: Option<WordsContents>) -> ModelBytes {
        let mut noise = Noise::new(self.seed);
        let z = self.cell.gates() * self.hidden;
        // Rows come in pairs.
        let rows = z.next_multiple_of(2);
        let mut weights = Vec::new();
        let mut dense = |values: usize, slice_word: usize, gain: u32| {
            let pairs = values.div_ceil(2);
            let weights_word = weights.len() as u32;
            let mut sums = Vec::new();
            let is_bytes = self.form == RowsForm::Bytes
                && rows.is_multiple_of(ByteRows::ROWS)
                && values >= ByteRows::BLOCK;
            if is_bytes {
                let blocks = rows / ByteRows::ROWS * ByteRows::blocks(pairs);
                let mut words = vec![0u32; blocks * ByteRows::BLOCK_WORDS];
                let bytes: &mut [i8] = bytemuck::cast_slice_mut(&mut words);
                for row in 0..rows {
                    let mut sum = 0;
                    for k in 0..values {
                        let weight = weight(noise.bits());
                        bytes[ByteRows::byte(pairs, row, k)] = weight as i8;
                        sum += 128 * weight;
                    }
                    sums.push(sum as u32);
                }
                weights.extend(words);
            }
            // A lane holds the weights of two rows; see `bt_core::internals::kernel::DenseRows`.
            let mut lane = || {
                let (a, b) = (weight(noise.bits()), weight(noise.bits()));
                u32::from((256 * a + b) as i16 as u16)
            };
            let words = if is_bytes { 0 } else { rows / 2 * pairs };
            for pair in 0..words {
                let last = values % 2 == 1 && pair % pairs == pairs - 1;
                // The row that makes them even is zero.
                let is_last_row = rows != z && pair / pairs == rows / 2 - 1;
                let own = |lane: u32| if is_last_row { lane & 0xFF00 } else { lane };
                let low = own(lane());
                let high = if last { 0 } else { own(lane()) };
                weights.push(low | high << 16);
            }
            let scales_word = weights.len() as u32;
            weights.extend((0..rows).map(|_| gain + u32::from(noise.bits())));
            weights.extend(sums);
            MapContents::Dense(DenseRecord {
                rows: rows as u32,
                values: values as u32,
                slice_values: values as u32,
                slice_word: slice_word as u32,
                acc_word: 0,
                weights_word,
                scales_word,
                slice_shift: 0,
                form: u16::from(is_bytes),
            })
        };
        let draw = outputs.draw;
        let window = outputs.window;
        let head_rows = window.map_or(self.classes, |(window, _)| window.head_rows());
        let mut parts = Contents {
            name: format!("dense {}x{}", self.values, self.hidden),
            labels: (0..self.classes)
                .map(|class| format!("class {class}"))
                .collect(),
            about: "{}".to_owned(),
            hidden: self.hidden,
            map_values: self.values,
            input_type: self.input_type,
            gate: Gate::Sigmoid,
            pool: self.pool,
            elements: Elements::default(),
            score_shift: self.score_shift,
            outputs,
            float_inputs: vec![FloatInput {
                offset: 0.0,
                lsb: 1.0 / 4096.0,
            }],
            cell: self.cell,
            layers: vec![self.layer(); self.layers],
            filter: self.filter.map(|record| {
                let start = (0..z).map(|row| (row as i16 % 11 - 5) << 8);
                (record, start.collect())
            }),
            words,
            front_end: self.front_end(),
            weights: Vec::new(),
            tables: Vec::new(),
            head_weights: self.head_rows(head_rows),
            head_bias: match draw {
                // A canvas counts them.
                Some(_) => (0..head_rows).map(|at| (at as i32 % 5 - 2) << 17).collect(),
                None => vec![0; head_rows],
            },
            scratch_words: 0,
            golden_seed: self.seed,
            golden_steps: draw.map_or(3, |draw| draw.steps.min(3)),
        };
        let arena = parts.arena().expect("an arena");
        let gain = match self.input_type {
            InputType::U8 | InputType::I8 => 1 << 26,
            InputType::I16 => 1 << 18,
        };
        let buffer = self.values.div_ceil(2);
        parts.scratch_words = buffer.max(arena.scratch_words_min());
        for (at, layer) in parts.layers.iter_mut().enumerate() {
            layer.input = match at {
                0 => dense(self.values, arena.scratch_word, gain),
                _ => dense(self.hidden, 0, 1 << 18),
            };
            if let Some(recurrent) = &mut layer.recurrent {
                *recurrent = dense(self.hidden, 0, 1 << 18);
            }
        }
        parts.weights = weights;
        parts.write().expect("a model")
    }
}

/// So many pictures of noise for a model that takes bytes, few of them bright.
pub fn pictures(model: &Model<'_>, count: usize, seed: u32) -> Part {
    let width = model.frame_values();
    let mut noise = Noise::new(seed);
    let lsb = model.float_inputs().next().map_or(1.0, |input| input.lsb);
    let value = |bits: u16| f32::from(bits % 16) * lsb;
    let values = (0..count * width).map(|_| value(noise.bits())).collect();
    Part {
        values: Arc::new(Values::F32(values)),
        width,
        starts: (0..count).map(|picture| picture * width).collect(),
        lengths: vec![1; count],
        targets: None,
        groups: None,
    }
}

/// A weight, −127 to 127.
fn weight(bits: u16) -> i32 {
    i32::from(bits % 255) - 127
}

/// Raw scores of a session that is fed these bytes directly.
///
/// # Panics
///
/// The bytes are no whole frames of the model.
pub fn scores_of(model: &Model<'_>, bytes: &[u8]) -> Vec<i32> {
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena).expect("an arena as the model asks for");
    feed(&mut session, bytes);
    scores(&session)
}

/// The same of a stream that is cut behind so many bytes: the state is saved, and another session goes on with it.
///
/// # Panics
///
/// There is no whole frame before the cut and none behind it.
pub fn scores_carried_on(model: &Model<'_>, bytes: &[u8], cut: usize) -> Vec<i32> {
    let (before, behind) = bytes.split_at(cut);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena).expect("an arena as the model asks for");
    feed(&mut session, before);
    let mut state = vec![0; session.saved_bytes()];
    session.save(&mut state).expect("between two frames");
    let mut arena = vec![u32::MAX; model.arena_words()];
    let mut session = Session::new(model, &mut arena).expect("an arena as the model asks for");
    session.load(&state).expect("the model's own");
    feed(&mut session, behind);
    scores(&session)
}

/// All these bytes, step by step.
///
/// # Panics
///
/// The bytes are no values of the model's type.
pub fn feed(session: &mut Session<'_, '_>, mut bytes: &[u8]) {
    while session
        .feed(&mut bytes)
        .expect("values of the model's type")
    {
        session.step().expect("a whole frame");
    }
}

/// Raw scores.
///
/// # Panics
///
/// There was no step.
pub fn scores(session: &Session<'_, '_>) -> Vec<i32> {
    let mut scores = vec![0; session.model().outputs()];
    session.scores(&mut scores).expect("a step");
    scores
}
