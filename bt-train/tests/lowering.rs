//! Every plan of a map computes W·x, in real arithmetic and in the device's integers.

use bt_train::plan::kernels::Kernels;
use bt_train::plan::{Join, Plan, TensorMap, lower, plans};
use bt_train::quantize::basis::Bases;
use bt_train::quantize::simulate::Simulation;
use bt_train::quantize::tensor::{Calibrated, TOP_LOSS_DB, Width, maxima};
use bt_train::quantize::z::{Z_SCALE, snr_db};
use bt_train::shape::{MapKind, MapShape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// W[j, i] written out from the definition, then W·x.
fn reference(map: &TensorMap, x: &[f64]) -> Vec<f64> {
    let shape = &map.shape;
    let d = shape.order();
    let digits = |mut index: usize, modes: &[usize]| {
        let mut digits = vec![0; d];
        for k in (0..d).rev() {
            digits[k] = index % modes[k];
            index /= modes[k];
        }
        digits
    };
    (0..shape.height())
        .map(|row| {
            let j = digits(row, &shape.outputs);
            (0..shape.width())
                .map(|column| {
                    let i = digits(column, &shape.inputs);
                    let entry: f64 = match shape.kind {
                        MapKind::BlockTerm { blocks, .. } => (0..blocks)
                            .map(|n| {
                                map.cores[n]
                                    .indexed_iter()
                                    .map(|(r, g)| {
                                        let factors: f64 = (0..d)
                                            .map(|k| map.factors[n][k][[i[k], j[k], r[k]]])
                                            .product();
                                        g * factors
                                    })
                                    .sum::<f64>()
                            })
                            .sum(),
                        MapKind::TensorTrain { .. } => {
                            let mut row = vec![1.0];
                            for k in 0..d {
                                let core = &map.factors[0][k];
                                row = (0..shape.bond(k + 1))
                                    .map(|b| {
                                        (0..row.len())
                                            .map(|a| row[a] * core[[a, i[k], j[k], b]])
                                            .sum()
                                    })
                                    .collect();
                            }
                            row[0]
                        }
                        MapKind::Dense => panic!("a tensor map is not dense"),
                    };
                    entry * x[column]
                })
                .sum()
        })
        .collect()
}

/// Plans tried of a shape at most, evenly over all of them.
const PLANS: usize = 300;

fn block_term(inputs: &[usize], outputs: &[usize], blocks: usize, rank: usize) -> MapShape {
    MapShape {
        kind: MapKind::BlockTerm { blocks, rank },
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
    }
}

fn random_map(shape: MapShape, rng: &mut ChaCha8Rng) -> TensorMap {
    TensorMap::from_fn(shape, |_, _, _| rng.random_range(-1.0..1.0))
}

#[test]
fn every_plan_computes_the_map() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let shapes = [
        block_term(&[6, 4], &[8, 4], 2, 4),
        block_term(&[4, 6, 5], &[8, 3, 4], 2, 2),
        block_term(&[2, 3, 4, 5], &[4, 2, 2, 4], 2, 3),
        block_term(&[2, 1, 3, 2, 2], &[4, 2, 1, 2, 3], 1, 2),
        MapShape {
            kind: MapKind::TensorTrain { rank: 3 },
            inputs: vec![4, 3, 6],
            outputs: vec![8, 2, 4],
        },
        MapShape {
            kind: MapKind::TensorTrain { rank: 2 },
            inputs: vec![2, 4, 3, 2],
            outputs: vec![4, 3, 2, 2],
        },
        block_term(&[2, 2, 2, 2, 2, 2], &[4, 1, 2, 1, 2, 2], 2, 2),
    ];
    for shape in shapes {
        let map = random_map(shape.clone(), &mut rng);
        let frames: Vec<Vec<i16>> = (0..3)
            .map(|_| {
                (0..shape.width())
                    .map(|_| rng.random_range(0..256))
                    .collect()
            })
            .collect();
        let real =
            |frame: &[i16]| -> Vec<f64> { frame.iter().map(|&x| f64::from(x) / 128.0).collect() };
        // As the device widens bytes.
        let widened = |frame: &[i16]| -> Vec<i16> { frame.iter().map(|&x| x << 7).collect() };
        let wanted: Vec<Vec<f64>> = frames
            .iter()
            .map(|frame| reference(&map, &real(frame)))
            .collect();
        // Keeps z within Q4.11 whatever the shape.
        let largest = wanted.iter().flatten().fold(0.0f64, |a, z| a.max(z.abs()));
        let stage = 8.0 / largest / 128.0;
        let mut tried = 0;
        let all = plans(&shape);
        // Odd, so that plans of every kind are among those taken.
        let stride = (all.len() / PLANS) | 1;
        for (index, plan) in all.into_iter().step_by(stride).enumerate() {
            let lowered = match lower(&shape, &plan) {
                Ok(lowered) => lowered,
                Err(error) => {
                    assert!(
                        plan.buffer > 1 || matches!(plan.join, Join::Alone(_)),
                        "{plan}: {error}"
                    );
                    continue;
                }
            };
            tried += 1;
            let mut simulation = Simulation::new(&lowered, &map);
            for (frame, wanted) in frames.iter().zip(&wanted) {
                for (found, wanted) in simulation.run(&real(frame)).iter().zip(wanted) {
                    assert!(
                        (found - wanted).abs() < 1e-9 * largest,
                        "{shape:?} {plan}: {found} {wanted}"
                    );
                }
            }
            // The integers of every third plan; the layouts they share are covered by the rest.
            if index % 3 != 0 {
                continue;
            }
            let scaled: Vec<Vec<f64>> = frames
                .iter()
                .map(|frame| frame.iter().map(|&x| f64::from(x) * stage).collect())
                .collect();
            let maxima = maxima(&lowered, &map, &scaled, &[]);
            let calibrated = Calibrated::new(&lowered, &map, &maxima, 255 << 7, stage / 128.0);
            let (width, least) = [(Width::Bits(13), 55.0), (Width::Top, 45.0)][index / 3 % 2];
            let integers = calibrated
                .quantize(&vec![width; lowered.stages.len()])
                .unwrap_or_else(|e| panic!("{plan}: {e}"));
            let wanted: Vec<Vec<f64>> = wanted
                .iter()
                .map(|z| z.iter().map(|z| z * stage * 128.0).collect())
                .collect();
            let db = snr_db(
                frames
                    .iter()
                    .zip(&wanted)
                    .map(|(frame, wanted)| (integers.run(&lowered, &widened(frame)), wanted)),
                Z_SCALE,
            );
            assert!(db > least, "{shape:?} {plan} {width:?}: {db} dB");
        }
        assert!(tried > 6);
    }
}

/// The search of widths descends one level at a time, all of them: blocks summed in one stage at the
/// end, or each by a stage of its own.
#[test]
fn no_level_of_the_widths_chosen_wants_another() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let shape = block_term(&[8, 4, 6], &[16, 4, 4], 2, 4);
    let map = random_map(shape.clone(), &mut rng);
    // Most frames are faint beside the largest: it is the rounding of levels that counts.
    let light = |at: usize| if at == 0 { 255 } else { 40 };
    let frames: Vec<Vec<i16>> = (0..12)
        .map(|at| {
            (0..shape.width())
                .map(|_| rng.random_range(0..light(at)) << 7)
                .collect()
        })
        .collect();
    let largest = 1.0 / f64::from(255 << 7);
    let scaled = |frame: &Vec<i16>, stage: f64| -> Vec<f64> {
        frame.iter().map(|&x| f64::from(x) * stage).collect()
    };
    let z = |stage: f64| -> Vec<Vec<f64>> {
        frames
            .iter()
            .map(|frame| reference(&map, &scaled(frame, stage)))
            .collect()
    };
    let stage = largest * 8.0
        / z(largest)
            .iter()
            .flatten()
            .fold(0.0f64, |a, z| a.max(z.abs()));
    let wanted = z(stage);
    for joint in [true, false] {
        let mut tried = 0;
        for plan in plans(&shape)
            .into_iter()
            .filter(|plan| plan.joint == joint)
            .step_by(97)
        {
            let Ok(lowered) = lower(&shape, &plan) else {
                continue;
            };
            tried += 1;
            let real: Vec<Vec<f64>> = frames.iter().map(|frame| scaled(frame, stage)).collect();
            let maxima = maxima(&lowered, &map, &real, &[]);
            let calibrated = Calibrated::new(&lowered, &map, &maxima, 255 << 7, stage);
            let db = |widths: &[Width]| -> Option<f64> {
                let integers = calibrated.quantize(widths).ok()?;
                let found = frames.iter().map(|frame| integers.run(&lowered, frame));
                Some(snr_db(found.zip(&wanted), Z_SCALE))
            };
            let best = calibrated.best(&frames, &map, Kernels::default()).unwrap();
            let reached = db(&best).unwrap();
            for at in 0..best.len() {
                for bits in 10..=16 {
                    let place = |i: usize| lowered.stages[i].place;
                    let with = |i: usize| match place(i) == place(at) {
                        true => Width::Bits(bits),
                        false => best[i],
                    };
                    let widths: Vec<Width> = (0..best.len()).map(with).collect();
                    let other = db(&widths).unwrap_or(0.0);
                    assert!(
                        other < reached + TOP_LOSS_DB + 0.5,
                        "{plan}, stage {at}, {bits} bits: {other} dB, not {reached}"
                    );
                }
            }
        }
        assert!(tried > 2, "{tried} plans");
    }
}

/// Other bases of the ranks change no output, and top halves lose less in them: more than a decibel in the mean, and
/// of few maps some.
#[test]
fn bases_leave_the_map_and_less_noise() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let shape = block_term(&[3, 10, 12], &[4, 4, 4], 2, 4);
    let merged_last = |plan: &Plan| plan.join == Join::Merged(2) && plan.buffer == 1;
    let plan = plans(&shape).into_iter().find(merged_last).unwrap();
    let lowered = lower(&shape, &plan).unwrap();
    let mut gains = Vec::new();
    for _ in 0..12 {
        let map = random_map(shape.clone(), &mut rng);
        let other = Bases::of(&map, &lowered).applied(&map);
        let frames: Vec<Vec<i16>> = (0..4)
            .map(|_| {
                let value = |_| rng.random_range(-128..128) << 7;
                (0..shape.width()).map(value).collect()
            })
            .collect();
        let lsb = 1.0 / f64::from(128 << 7);
        let real: Vec<Vec<f64>> = frames
            .iter()
            .map(|frame| frame.iter().map(|&x| f64::from(x) * lsb).collect())
            .collect();
        let wanted: Vec<Vec<f64>> = real.iter().map(|frame| reference(&map, frame)).collect();
        let largest = wanted.iter().flatten().fold(0.0f64, |a, z| a.max(z.abs()));
        for (frame, wanted) in real.iter().zip(&wanted) {
            let found = Simulation::new(&lowered, &other).run(frame);
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-9 * largest, "{found} {wanted}");
            }
        }
        // z of a whole range, so that its own rounding says little.
        let unit = 8.0 / largest;
        let db = |map: &TensorMap| {
            let scaled: Vec<Vec<f64>> = real
                .iter()
                .map(|frame| frame.iter().map(|x| x * unit).collect())
                .collect();
            let maxima = maxima(&lowered, map, &scaled, &[]);
            let calibrated = Calibrated::new(&lowered, map, &maxima, 128 << 7, lsb * unit);
            let widths = vec![Width::Top; lowered.stages.len()];
            let integers = calibrated.quantize(&widths).unwrap();
            let wanted: Vec<Vec<f64>> = wanted
                .iter()
                .map(|z| z.iter().map(|z| z * unit).collect())
                .collect();
            let found = frames.iter().map(|frame| integers.run(&lowered, frame));
            snr_db(found.zip(&wanted), Z_SCALE)
        };
        gains.push(db(&other) - db(&map));
    }
    let mean = gains.iter().sum::<f64>() / gains.len() as f64;
    let worse = gains.iter().filter(|&&gain| gain < 0.0).count();
    assert!(mean > 1.0 && worse <= 2, "{gains:?}");
}

/// Where nothing can be gained a map stays as it is: of one rank, of zeros, of weights that are not finite.
#[test]
fn bases_of_what_has_none_are_its_own() {
    let of = |rank, entry: fn(Option<usize>, &[usize]) -> f64| {
        let shape = block_term(&[2, 4, 4], &[4, 2, 2], 1, rank);
        let map = TensorMap::from_fn(shape.clone(), |_, mode, at| entry(mode, at));
        let plan = plans(&shape)
            .into_iter()
            .find(|plan| plan.join == Join::Merged(2))
            .unwrap();
        let lowered = lower(&shape, &plan).unwrap();
        (map.clone(), Bases::of(&map, &lowered).applied(&map))
    };
    let entries = |map: &TensorMap| -> Vec<f64> {
        let tensors = map.cores.iter().chain(map.factors.iter().flatten());
        tensors.flatten().copied().collect()
    };
    let is_same = |(map, other): (TensorMap, TensorMap)| {
        let bits = |map| -> Vec<u64> { entries(map).into_iter().map(f64::to_bits).collect() };
        bits(&map) == bits(&other)
    };
    assert!(is_same(of(1, |_, at| 1.0 + at[0] as f64)));
    assert!(is_same(of(3, |_, _| 0.0)));
    assert!(is_same(of(3, |mode, _| if mode.is_none() {
        0.0
    } else {
        1.0
    })));
    assert!(is_same(of(3, |mode, at| match (mode, at[0]) {
        (Some(2), 1) => f64::NAN,
        _ => 1.0,
    })));
    // A rank of zeros that the core alone reads: it could be multiplied for ever.
    let (_, other) = of(3, |mode, at| match mode {
        None if at[2] != 2 => 0.0,
        Some(2) if at[2] == 2 => 0.0,
        _ => 1.0,
    });
    assert!(entries(&other).iter().all(|x| x.abs() < 1e9), "{other:?}");
    // Ranks that are all alike are one rank: what can be gained is, and nothing runs away.
    let (_, other) = of(3, |_, _| 1.0);
    assert!(entries(&other).iter().all(|x| x.is_finite()));
}
