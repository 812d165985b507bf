//! The sound models that crafted files are made of.

use alloc::string::String;
use alloc::vec;

use bytemuck::Zeroable;

use crate::cell::{Cell, Gate};
use crate::kernel::{ByteRows, RowsForm};
use crate::model::layout::{CELL_FRACTION, DenseRecord, DrawRecord, WindowRecord, WordsRecord};
use crate::model::write::{Contents, Elements, LayerContents, MapContents, Outputs, WordsContents};
use crate::model::{FloatInput, InputType, NextFrame, OutputKind, Pool};
use crate::program::{DISCARD, NONE, ProgramRecord, StageRecord, Store};

pub(super) const HIDDEN: usize = 2;
/// First word of the scratch: after z, h and c.
pub(super) const SCRATCH: u32 = 7;
/// Accumulators of the first and second stage, behind the slab.
pub(super) const ACC: [u32; 2] = [SCRATCH + 4, SCRATCH + 12];

/// Four bytes a frame, in slabs of two; two stages accumulate over the slabs, each into a value of z.
pub fn program() -> Contents {
    let stage = |weights_word, acc_word| StageRecord {
        weights_word,
        input_word: SCRATCH,
        acc_word,
        m_tiles: 1,
        n_tiles: 1,
        k_pairs: 1,
        slices: 2,
        depth: 1,
        out_digit: u8::MAX,
        store: Store::AddScatter as u8,
        shift: 16,
        bits: 16,
        ..StageRecord::zeroed()
    };
    let mut tables = vec![DISCARD; 8];
    tables[0] = 0;
    // Offsets of a tile that is stored whole.
    tables.push(0);
    Contents {
        name: "crafted".into(),
        labels: vec![],
        about: String::new(),
        hidden: HIDDEN,
        map_values: 4,
        input_type: InputType::I16,
        gate: Gate::Sigmoid,
        pool: Pool::Last,
        elements: Elements::default(),
        score_shift: 0,
        outputs: Outputs::default(),
        float_inputs: vec![FloatInput::INTEGER],
        cell: Cell::Lstm,
        layers: vec![LayerContents {
            input: MapContents::Program {
                record: ProgramRecord {
                    values: 4,
                    slab_values: 2,
                    slab_word: SCRATCH,
                    gather_table: NONE,
                    row_values: 2,
                    stages: 2,
                    extents: [2, 0, 0, 0, 0, 0, 0],
                    digits: 1,
                },
                stages: vec![stage(16, ACC[0]), stage(20, ACC[1])],
            },
            recurrent: Some(MapContents::Dense(dense(HIDDEN as u32))),
            bias: vec![0; 4 * HIDDEN],
            recurrent_bias: vec![],
            cell_fraction: CELL_FRACTION,
        }],
        filter: None,
        words: None,
        front_end: None,
        // Zeros for dense maps of up to four values and their scales, then 127 for every weight of the stages.
        weights: [0; 16].into_iter().chain([0x007F_007F; 8]).collect(),
        tables,
        head_weights: vec![0; HIDDEN],
        head_bias: vec![0],
        scratch_words: 20,
        golden_seed: 1,
        golden_steps: 1,
    }
}

/// A dense map of zeros.
pub(super) fn dense(values: u32) -> DenseRecord {
    DenseRecord {
        rows: 4 * HIDDEN as u32,
        values,
        slice_values: values,
        slice_word: SCRATCH,
        acc_word: 0,
        weights_word: 0,
        scales_word: 0,
        slice_shift: 0,
        form: 0,
    }
}

/// Three values a frame into a dense map.
pub fn odd_dense() -> Contents {
    let mut contents = program();
    contents.map_values = 3;
    contents.layers[0].input = MapContents::Dense(dense(3));
    contents
}

/// Eighteen values a frame into a dense map of rows of bytes, two values in their first blocks.
pub fn byte_rows() -> Contents {
    const VALUES: usize = 18;
    let mut contents = program();
    let first = contents.weights.len();
    let rows = 4 * HIDDEN;
    let words =
        rows / ByteRows::ROWS * ByteRows::blocks(VALUES.div_ceil(2)) * ByteRows::BLOCK_WORDS;
    // Weights, scales and sums of zero.
    contents.weights.extend((0..words + 2 * rows).map(|_| 0));
    contents.map_values = VALUES;
    contents.layers[0].input = MapContents::Dense(DenseRecord {
        weights_word: first as u32,
        scales_word: (first + words) as u32,
        form: RowsForm::Bytes.number(),
        ..dense(VALUES as u32)
    });
    contents
}

/// [`odd_dense`] that tells captions of two words and the end.
pub fn captions() -> Contents {
    const WORDS: usize = 4;
    let mut contents = odd_dense();
    contents.layers[0].input = MapContents::Dense(DenseRecord {
        // Behind the picture's share.
        slice_word: SCRATCH + 4,
        ..dense(3)
    });
    contents.words = Some(WordsContents {
        record: WordsRecord {
            shift: 8,
            longest: 3,
        },
        scales: vec![u16::MAX; WORDS],
        table: vec![-7; WORDS * 4 * HIDDEN],
    });
    contents.outputs.every_step = true;
    contents.head_weights = vec![0; WORDS * HIDDEN];
    contents.head_bias = vec![0; WORDS];
    contents
}

/// A model that paints.
pub fn painting() -> Contents {
    painted(Some(DRAW))
}

/// [`program`] as a model that paints pictures of so many steps and rows, as `draw` says.
pub(super) fn painted(draw: Option<DrawRecord>) -> Contents {
    let mut contents = program();
    // The sums of h stand before the scratch, a word.
    if let MapContents::Program { record, stages } = &mut contents.layers[0].input {
        record.slab_word += 1;
        for stage in stages {
            stage.input_word += 1;
            stage.acc_word += 1;
        }
    }
    Contents {
        pool: Pool::Sum,
        outputs: Outputs {
            kind: OutputKind::Bits,
            every_step: true,
            next_frame: NextFrame::Latent,
            draw,
            ..Outputs::default()
        },
        ..contents
    }
}

/// A model that paints four pixels through a window.
pub fn attended() -> Contents {
    const ROWS: usize = WINDOW.head_rows();
    let mut contents = painted(Some(DrawRecord {
        sum_shift: 0,
        ..DRAW
    }));
    // Four words of canvas stand where one of sums stood.
    if let MapContents::Program { record, stages } = &mut contents.layers[0].input {
        record.slab_word += 3;
        for stage in stages {
            stage.input_word += 3;
            stage.acc_word += 3;
        }
    }
    contents.pool = Pool::Canvas;
    contents.outputs.window = Some((WINDOW, 4));
    contents.head_weights = vec![0; ROWS * HIDDEN];
    contents.head_bias = vec![0; ROWS];
    contents
}

/// Two by two points.
pub(super) const WINDOW: WindowRecord = WindowRecord {
    points: 2,
    patch_shift: 20,
    place_shift: 20,
};

/// One pixel in two steps.
pub(super) const DRAW: DrawRecord = DrawRecord {
    steps: 2,
    rows: 1,
    sum_shift: 1,
};
