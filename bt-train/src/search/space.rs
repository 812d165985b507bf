//! The models there are to draw from: cells, layers, units, forms and modes of both maps.

use crate::data::DataSet;
use crate::error::{Result, times};
use crate::plan::shapes;
use crate::shape::{Cell, MapKind, MapName};
use crate::training::modes::{self, Modes};
use crate::training::settings::Settings;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, HashMap};

/// Hidden units of a layer.
const UNITS: [usize; 11] = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192];
/// Layers; one is drawn more often.
const LAYERS: [usize; 3] = [1, 1, 2];
/// Forms of the input map: N and R.
const INPUT_FORMS: [Form; 10] = [
    (MapName::Dense, 0, 0),
    (MapName::BlockTerm, 1, 2),
    (MapName::BlockTerm, 1, 4),
    (MapName::BlockTerm, 1, 6),
    (MapName::BlockTerm, 2, 2),
    (MapName::BlockTerm, 2, 3),
    (MapName::BlockTerm, 2, 4),
    (MapName::BlockTerm, 3, 4),
    (MapName::TensorTrain, 1, 3),
    (MapName::TensorTrain, 1, 6),
];
/// Forms of the recurrent map.
const RECURRENT_FORMS: [Form; 5] = [
    (MapName::Dense, 0, 0),
    (MapName::BlockTerm, 1, 2),
    (MapName::BlockTerm, 1, 4),
    (MapName::BlockTerm, 2, 2),
    (MapName::BlockTerm, 2, 4),
];
/// Models of one cell and size that do not fit, one after the other, before no more are drawn.
const MISSES_MAX: usize = 6;

/// A map by form, N and R.
type Form = (MapName, usize, usize);

/// Modes of a frame and of the hidden state.
type Pair = (Vec<usize>, Vec<usize>);

/// What there is to draw from. What is told is not drawn.
pub(super) struct Space {
    base: Settings,
    /// Values of a frame.
    width: usize,
    cells: Vec<Cell>,
    layers: Vec<usize>,
    units: Vec<usize>,
    input_forms: Vec<Form>,
    recurrent_forms: Vec<Form>,
    told_modes: (Option<Vec<usize>>, Option<Vec<usize>>),
    /// Modes by gates, units, N and R.
    found: HashMap<(usize, usize, usize, usize), Vec<Pair>>,
    /// Misses in a row of a cell, its layers and its units; none once one has fitted.
    misses: HashMap<(Cell, usize, usize), Option<usize>>,
    has_any: bool,
}

impl Space {
    pub fn new(base: &Settings, told: &BTreeSet<String>, data: &DataSet) -> Result<Space> {
        let is_told = |key: &str| told.contains(key);
        let of = |key: &str, value: usize| is_told(key).then_some(value);
        let modes = |key: &str, modes: &Modes| is_told(key).then(|| modes.0.clone());
        let told_modes = (
            modes("input-modes", &base.input_modes),
            modes("hidden-modes", &base.hidden_modes),
        );
        let units = match is_told("units") || told_modes.1.is_some() {
            true => vec![base.fitted(data)?.units],
            false => UNITS.to_vec(),
        };
        let input = is_told("input-map").then_some(base.input_map);
        let recurrent = is_told("recurrent-map").then_some(base.recurrent_map);
        Ok(Space {
            width: base.width(data)?,
            cells: match (is_told("cell"), recurrent.is_some()) {
                (true, _) => vec![base.cell],
                // Who asks for a recurrent map wants one.
                (false, true) => vec![Cell::Lstm, Cell::Gru],
                (false, false) => vec![Cell::Lstm, Cell::Gru, Cell::MinGru],
            },
            layers: match is_told("layers") {
                true => vec![base.layers],
                false => LAYERS.to_vec(),
            },
            units,
            input_forms: forms(
                &INPUT_FORMS,
                input,
                of("blocks", base.blocks),
                of("rank", base.rank),
            ),
            recurrent_forms: forms(
                &RECURRENT_FORMS,
                recurrent,
                of("recurrent-blocks", base.recurrent_blocks),
                of("recurrent-rank", base.recurrent_rank),
            ),
            told_modes,
            base: base.clone(),
            found: HashMap::new(),
            misses: HashMap::new(),
            has_any: false,
        })
    }

    /// The smallest model of every cell, with dense maps and with block-term ones.
    pub fn smallest(&mut self) -> Vec<Settings> {
        let least = |all: &[usize]| all.iter().min().copied().unwrap_or(1);
        let (units, layers) = (least(&self.units), least(&self.layers));
        let ends = |forms: &[Form]| {
            let tensor = forms.iter().find(|form| form.0 != MapName::Dense);
            let dense = forms.iter().find(|form| form.0 == MapName::Dense);
            dense.into_iter().chain(tensor).copied().collect::<Vec<_>>()
        };
        let (inputs, recurrents) = (ends(&self.input_forms), ends(&self.recurrent_forms));
        let mut all = Vec::new();
        for cell in self.cells.clone() {
            for &input in &inputs {
                for &recurrent in &recurrents {
                    let pairs = self.pairs(cell, units, input);
                    let pair = pairs.first().cloned();
                    all.extend(
                        pair.map(|pair| {
                            self.settings((cell, layers, units), input, recurrent, pair)
                        }),
                    );
                }
            }
        }
        all.dedup();
        all
    }

    /// One of them, by chance; none where nothing is left that may fit.
    pub fn draw(&mut self, rng: &mut ChaCha8Rng) -> Option<Settings> {
        let mut sizes = Vec::new();
        for &cell in &self.cells {
            for &layers in &self.layers {
                let units = self.units.iter();
                sizes.extend(units.map(|&units| (cell, layers, units)));
            }
        }
        sizes.retain(|size| match self.misses.get(size) {
            Some(Some(misses)) => *misses < MISSES_MAX,
            Some(None) | None => true,
        });
        let size = *pick(&sizes, rng)?;
        let input = *pick(&self.input_forms, rng)?;
        let recurrent = *pick(&self.recurrent_forms, rng)?;
        let pairs = self.pairs(size.0, size.2, input);
        let pair = pick(&pairs, rng)?.clone();
        Some(self.settings(size, input, recurrent, pair))
    }

    /// That such a model fits.
    pub fn fits(&mut self, settings: &Settings) {
        self.has_any = true;
        let size = (settings.cell, settings.layers, settings.units);
        self.misses.insert(size, None);
    }

    /// That it does not.
    pub fn does_not_fit(&mut self, settings: &Settings) {
        let size = (settings.cell, settings.layers, settings.units);
        let misses = self.misses.entry(size).or_insert(Some(0));
        *misses = misses.map(|misses| misses + 1);
    }

    /// Whether any has fitted.
    pub fn has_any(&self) -> bool {
        self.has_any
    }

    fn settings(
        &self,
        (cell, layers, units): (Cell, usize, usize),
        (input_map, blocks, rank): Form,
        (recurrent_map, recurrent_blocks, recurrent_rank): Form,
        (inputs, hidden): Pair,
    ) -> Settings {
        let (recurrent_map, recurrent_dropout) = match cell.device().is_recurrent() {
            true => (recurrent_map, self.base.recurrent_dropout),
            false => (MapName::Dense, 0.0),
        };
        // What a form has no use for stays as it was, so that equal models have equal settings.
        let used = |map, of, value, other| match map == of || map == MapName::BlockTerm {
            true => value,
            false => other,
        };
        let base = &self.base;
        Settings {
            pad: inputs.iter().product::<usize>() > self.width,
            input_modes: Modes(inputs),
            hidden_modes: Modes(hidden),
            units,
            cell,
            layers,
            recurrent_dropout,
            input_map,
            blocks: used(input_map, MapName::BlockTerm, blocks, base.blocks),
            rank: used(input_map, MapName::TensorTrain, rank, base.rank),
            recurrent_map,
            recurrent_blocks: used(
                recurrent_map,
                MapName::BlockTerm,
                recurrent_blocks,
                base.recurrent_blocks,
            ),
            recurrent_rank: used(
                recurrent_map,
                MapName::TensorTrain,
                recurrent_rank,
                base.recurrent_rank,
            ),
            ..base.clone()
        }
    }

    /// Modes that are worth a trial, the cheapest by weights and work: uneven ones too, with 1 of the hidden
    /// state where the frame is read first.
    fn pairs(&mut self, cell: Cell, units: usize, form: Form) -> Vec<Pair> {
        let (map, blocks, rank) = form;
        let even = |order| modes::even(units, order);
        if map == MapName::Dense {
            let hidden = self.told_modes.1.clone();
            let hidden = hidden.unwrap_or_else(|| even(modes::order(units)));
            let inputs = self.told_modes.0.clone();
            return vec![(inputs.unwrap_or_else(|| vec![self.width]), hidden)];
        }
        let gates = cell.device().gates();
        let told = self.told_modes.clone();
        let width = self.width;
        let pairs = self.found.entry((gates, units, blocks, rank));
        let pairs = pairs.or_insert_with(|| {
            let kind = MapKind::BlockTerm { blocks, rank };
            let of = |width| -> Vec<Pair> {
                let found = shapes::candidates(gates, width, units, kind, None);
                let pairs = found.into_iter();
                pairs
                    .map(|(shape, hidden)| (shape.inputs, hidden))
                    .collect()
            };
            let order = modes::order(width);
            let padded = modes::even_padded(width, order);
            let mut pairs = match padded.iter().product::<usize>() {
                filled if filled > width => of(filled),
                _ => of(width),
            };
            // What training takes by itself.
            pairs.push((padded, even(order)));
            if let (inputs, hidden) = &told
                && (inputs.is_some() || hidden.is_some())
            {
                let fits = |told: &Option<Vec<usize>>, own: &Vec<usize>| {
                    told.as_ref().is_none_or(|told| told == own)
                };
                pairs.retain(|pair| fits(inputs, &pair.0) && fits(hidden, &pair.1));
                if pairs.is_empty() {
                    let order = inputs.as_ref().or(hidden.as_ref()).map_or(order, Vec::len);
                    let inputs = inputs.clone();
                    let inputs = inputs.unwrap_or_else(|| modes::even_padded(width, order));
                    pairs.push((inputs, hidden.clone().unwrap_or_else(|| even(order))));
                }
            }
            pairs
        });
        pairs.clone()
    }
}

/// Of all forms those that were asked for, with what was told of them.
fn forms(
    all: &[Form],
    map: Option<MapName>,
    blocks: Option<usize>,
    rank: Option<usize>,
) -> Vec<Form> {
    let asked = all
        .iter()
        .filter(|(name, _, _)| map.is_none_or(|map| map == *name));
    let mut forms: Vec<Form> = Vec::new();
    for &(name, own_blocks, own_rank) in asked {
        let form = match name {
            MapName::Dense => (name, 0, 0),
            _ => (name, blocks.unwrap_or(own_blocks), rank.unwrap_or(own_rank)),
        };
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    if let (Some(map), true) = (map, forms.is_empty()) {
        forms.push((map, blocks.unwrap_or(2), rank.unwrap_or(4)));
    }
    forms
}

fn pick<'a, T>(all: &'a [T], rng: &mut ChaCha8Rng) -> Option<&'a T> {
    match all.is_empty() {
        true => None,
        false => all.get(rng.random_range(0..all.len())),
    }
}

/// A model in few words.
pub(super) fn words(settings: &Settings) -> String {
    let form = |map, blocks, rank| match map {
        MapName::Dense => "dense".to_owned(),
        MapName::TensorTrain => format!("tensor-train R={rank}"),
        MapName::BlockTerm => format!("block-term N={blocks} R={rank}"),
    };
    let layers = match settings.layers {
        1 => String::new(),
        layers => format!("{layers}x"),
    };
    let input = form(settings.input_map, settings.blocks, settings.rank);
    let shapes = match settings.input_map {
        MapName::Dense => String::new(),
        _ => format!(
            " {} -> {}",
            times(&settings.input_modes.0),
            times(&settings.hidden_modes.0)
        ),
    };
    let recurrent = match settings.cell.device().is_recurrent() {
        true => {
            let (blocks, rank) = (settings.recurrent_blocks, settings.recurrent_rank);
            format!(", recurrent {}", form(settings.recurrent_map, blocks, rank))
        }
        false => String::new(),
    };
    let (cell, units) = (settings.cell.name(), settings.units);
    format!("{cell} {layers}{units}, {input}{shapes}{recurrent}")
}
