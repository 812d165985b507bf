//! A model for the examples, so that they run without training anything: two units, two classes.
//!
//! It is written with what only the sister crates use; a real one comes from `bt-train quantize`.

use std::error::Error;

use bt_core::about::{Cell, FloatInput, Pool};
use bt_core::health::Gate;
use bt_core::internals::front_end::{self, Config};
use bt_core::internals::model::layout::{CELL_FRACTION, DenseRecord};
use bt_core::internals::model::write::{Contents, Elements, LayerContents, MapContents, Outputs};
use bt_core::{InputType, ModelBytes};

const HIDDEN: usize = 2;
/// Gates times units.
const ROWS: usize = 4 * HIDDEN;
/// Values of a frame, or bands of a vector.
const VALUES: usize = 4;

/// The model that the command line names, or a tiny one.
///
/// Its frames are four bytes, its classes "dark" and "bright". With so many vectors of an audio front end
/// a step, it takes samples instead, 32 for each vector, and tells "low" from "high".
pub fn from_command_line(vectors: u32) -> Result<ModelBytes, Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(path) => Ok(ModelBytes::from_unaligned(&std::fs::read(path)?)),
        None => model(vectors),
    }
}

/// The tiny model.
pub fn model(vectors: u32) -> Result<ModelBytes, Box<dyn Error>> {
    let values = VALUES * vectors.max(1) as usize;
    // The candidate of unit 0 sees every value with this weight, unit 1 with its opposite.
    let weight = |value: usize| match vectors {
        0 => 64,
        _ if value % VALUES < VALUES / 2 => -64,
        _ => 64,
    };
    // A word holds two values of two rows, 256·a + b each.
    let lane = |value: usize| u32::from((256 * weight(value) - weight(value)) as i16 as u16);
    let candidate = (0..values / 2).map(|pair| lane(2 * pair) | lane(2 * pair + 1) << 16);
    let mut weights = vec![0; ROWS / 2 * values / 2];
    let first = values; // of the candidate's two rows, behind those of i and f
    for (place, word) in weights[first..].iter_mut().zip(candidate) {
        *place = word;
    }
    let scales_word = weights.len() as u32;
    let scale = if vectors == 0 { 1 << 22 } else { 1 << 24 };
    weights.extend([scale; ROWS]);
    // The recurrent map is all zeros.
    let recurrent_word = weights.len() as u32;
    weights.extend([0; ROWS / 2 + ROWS]);

    let dense = |values: usize, slice_word: usize, weights_word: u32, scales_word: u32| {
        MapContents::Dense(DenseRecord {
            rows: ROWS as u32,
            values: values as u32,
            slice_values: values as u32,
            slice_word: slice_word as u32,
            acc_word: 0,
            weights_word,
            scales_word,
            slice_shift: 0,
            form: 0,
        })
    };
    let (labels, input_type, zero) = match vectors {
        0 => (["dark", "bright"], InputType::U8, 128),
        _ => (["low", "high"], InputType::I16, 0),
    };
    let front_end = match vectors {
        0 => None,
        _ => {
            let config = Config {
                window: 64,
                hop: 32,
                bands: VALUES,
                ..Config::default()
            };
            Some((front_end::write(&config)?, vectors))
        }
    };
    let mut contents = Contents {
        name: "tiny".into(),
        labels: labels.map(String::from).into(),
        about: "{}".into(),
        hidden: HIDDEN,
        map_values: values,
        input_type,
        gate: Gate::Sigmoid,
        pool: Pool::Last,
        elements: Elements {
            offsets: vec![zero],
            ..Elements::default()
        },
        score_shift: 27,
        outputs: Outputs::default(),
        float_inputs: vec![FloatInput::INTEGER],
        cell: Cell::Lstm,
        layers: vec![LayerContents {
            input: dense(values, 0, 0, scales_word),
            recurrent: Some(dense(
                HIDDEN,
                0,
                recurrent_word,
                recurrent_word + ROWS as u32 / 2,
            )),
            // i and o open, f half open, all in Q4.11.
            bias: vec![8192, 8192, 0, 0, 0, 0, 8192, 8192],
            recurrent_bias: vec![],
            cell_fraction: CELL_FRACTION,
        }],
        filter: None,
        words: None,
        front_end,
        weights,
        tables: vec![],
        head_weights: vec![-16_384, 0, 16_384, 0],
        head_bias: vec![0, 0],
        scratch_words: values / 2,
        golden_seed: 1,
        golden_steps: 2,
    };
    let scratch = contents.arena()?.scratch_word;
    contents.layers[0].input = dense(values, scratch, 0, scales_word);
    Ok(contents.write()?)
}
