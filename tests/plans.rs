//! Every plan that the search can choose against `numpy.einsum` in float64;
//! `data/plan/make.py` made the values.

use bt_train::plan::TensorMap;
use bt_train::plan::{lower, plans};
use bt_train::quantize::simulate::Simulation;
use bt_train::quantize::tensor::{Calibrated, Width, maxima};
use bt_train::quantize::z::{Z_SCALE, snr_db};
use bt_train::shape::{MapKind, MapShape};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Case {
    map: String,
    input: Vec<usize>,
    output: Vec<usize>,
    blocks: usize,
    rank: usize,
    /// Per block the core, if there is one, and the factors: 64ths.
    weights: Vec<Vec<Vec<i32>>>,
    x: Vec<Vec<u8>>,
    z: Vec<Vec<f64>>,
}

impl Case {
    fn map(&self) -> TensorMap {
        let (blocks, rank) = (self.blocks, self.rank);
        let kind = match self.map.as_str() {
            "block-term" => MapKind::BlockTerm { blocks, rank },
            _ => MapKind::TensorTrain { rank },
        };
        let shape = MapShape {
            kind,
            inputs: self.input.clone(),
            outputs: self.output.clone(),
        };
        let mut next = vec![[0; 7]; self.blocks];
        // Entries are asked for in row-major order.
        TensorMap::from_fn(shape, |block, mode, _| {
            let tensor = match (kind, mode) {
                (MapKind::TensorTrain { .. }, mode) => mode.unwrap_or(0),
                (_, mode) => mode.map_or(0, |k| k + 1),
            };
            let at = &mut next[block][tensor];
            *at += 1;
            f64::from(self.weights[block][tensor][*at - 1]) / 64.0
        })
    }
}

fn cases() -> Vec<Case> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "data", "plan", "plans.json"]
        .iter()
        .collect();
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Real arithmetic differs by rounding of float64 alone; the integers by what 13 bits a level, or
/// the top halves of sums far from their bound, leave.
#[test]
fn every_plan_of_the_search() {
    // Plans that hold several slabs, gather over an outer mode, begin with blocks side by side, sum
    // them together, keep z in 32 bits, pad rows to whole vectors.
    let mut kinds = [0; 6];
    for case in cases() {
        let map = case.map();
        let shape = &map.shape;
        let largest = case.z.iter().flatten().fold(0.0f64, |a, z| a.max(z.abs()));
        // Keeps z within Q4.11.
        let stage = 8.0 / largest;
        let real = |scale: f64| -> Vec<Vec<f64>> {
            let frame = |x: &Vec<u8>| x.iter().map(|&x| f64::from(x) * scale).collect();
            case.x.iter().map(frame).collect()
        };
        let wanted: Vec<Vec<f64>> = case
            .z
            .iter()
            .map(|z| z.iter().map(|z| z * stage).collect())
            .collect();
        let mut tried = 0;
        // Every third one with rows of whole vectors too.
        let all = plans(shape).into_iter().enumerate();
        let all = all.flat_map(|(at, plan)| {
            let padded = at.is_multiple_of(3).then(|| plan.clone().in_vectors());
            std::iter::once(plan).chain(padded)
        });
        for plan in all {
            let Ok(lowered) = lower(shape, &plan) else {
                continue;
            };
            tried += 1;
            for (count, is) in kinds.iter_mut().zip([
                plan.buffer > plan.gathered,
                plan.gathered > 1,
                plan.side_by_side,
                plan.joint,
                plan.wide,
                plan.vectors,
            ]) {
                *count += usize::from(is);
            }
            let mut simulation = Simulation::new(&lowered, &map);
            for (frame, wanted) in real(1.0).iter().zip(&case.z) {
                for (found, wanted) in simulation.run(frame).iter().zip(wanted) {
                    assert!(
                        (found - wanted).abs() < 1e-9 * largest,
                        "{shape:?} {plan}: {found} for {wanted}"
                    );
                }
            }
            // Bytes fill i16, as on the device.
            let left = 7;
            let maxima = maxima(&lowered, &map, &real(stage), &[]);
            let input_lsb = stage / f64::from(1 << left);
            let calibrated = Calibrated::new(&lowered, &map, &maxima, 255 << left, input_lsb);
            for (width, least) in [
                (Width::Bits(13), 55.0),
                // The panels of blocks side by side leave others no place but the slab's, and the proof
                // takes the largest value that was ever in a word.
                (
                    Width::TopOf(13),
                    if plan.side_by_side { 45.0 } else { 50.0 },
                ),
                (Width::Top, 45.0),
            ] {
                let integers = calibrated
                    .quantize(&vec![width; lowered.stages.len()])
                    .unwrap_or_else(|error| panic!("{shape:?} {plan}: {error}"));
                let found = case.x.iter().map(|frame| {
                    let frame: Vec<i16> = frame.iter().map(|&x| i16::from(x) << left).collect();
                    integers.run(&lowered, &frame)
                });
                let db = snr_db(found.zip(&wanted), Z_SCALE);
                assert!(db > least, "{shape:?} {plan} {width:?}: {db:.1} dB");
            }
        }
        println!("{shape:?}: {tried} plans");
        assert!(tried >= 24, "{shape:?}: {tried} plans");
    }
    assert!(kinds.iter().all(|&count| count > 100), "{kinds:?}");
}
