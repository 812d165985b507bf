use super::super::cell::Row;
use super::super::config::InputFilter;
use super::super::init::dropout_mask;
use super::super::map::check::noise;
use super::super::map::{Frames, Map};
use super::*;
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn config(text: &str) -> ModelConfig {
    serde_json::from_str(text).unwrap()
}

const CONFIGS: &[&str] = &[
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,3]}, "head": {"classes": 3}}"#,
    r#"{"input": {"map": "block-term", "modes": [2,3,2], "blocks": 1, "rank": 2}, "hidden": {"modes": [2,1,3]}, "recurrent": {"map": "block-term", "blocks": 2, "rank": 2}, "head": {"classes": 2, "pool": "mean"}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [4,3], "rank": 3}, "hidden": {"modes": [2,2]}, "recurrent": {"map": "tensor-train", "rank": 2}, "head": {"classes": 4}}"#,
    r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [5]}, "gate": "hard-sigmoid", "head": {"classes": 3, "pool": "mean"}}"#,
    r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [5]}, "cell": "gru", "head": {"classes": 3}}"#,
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,3]}, "cell": "gru", "gate": "hard-sigmoid", "layers": 2, "recurrent": {"map": "block-term", "blocks": 1, "rank": 2}, "head": {"classes": 3, "pool": "mean"}}"#,
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,3]}, "cell": "min-gru", "layers": 3, "head": {"classes": 3}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [3,4], "rank": 2}, "hidden": {"modes": [2,2]}, "layers": 3, "head": {"classes": 2, "pool": "mean"}}"#,
    r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [4]}, "head": {"step_classes": 3}}"#,
    r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [3]}, "head": {"step_classes": 2, "pool": "recent", "horizon": 2}}"#,
    r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [3]}, "head": {"classes": 2, "pool": "recent", "horizon": 2}}"#,
    r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [4]}, "cell": "gru", "layers": 2, "head": {"values": 2}}"#,
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 1, "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"step_values": 1, "pool": "recent", "horizon": 4}}"#,
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2, "filter": "difference"}, "hidden": {"modes": [2,3]}, "head": {"classes": 3, "pool": "mean"}}"#,
    r#"{"input": {"map": "dense", "modes": [12], "filter": "high-pass", "filter_horizon": 2}, "hidden": {"modes": [4]}, "cell": "gru", "layers": 2, "head": {"step_classes": 3}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [3,4], "rank": 2, "filter": "high-pass"}, "hidden": {"modes": [2,3]}, "cell": "min-gru", "head": {"values": 2}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [3,4], "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"bits": 3, "pool": "mean"}}"#,
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,2]}, "recurrent": {"map": "block-term", "blocks": 1, "rank": 2}, "head": {"next_bits": 12, "steps": 4}}"#,
];

/// Models of captions, whose frames are a picture each.
const CAPTIONS: &[&str] = &[
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"next_words": 5, "steps": 4}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [3,4], "rank": 2}, "hidden": {"modes": [2,2]}, "cell": "gru", "layers": 2, "head": {"next_words": 4}}"#,
];

/// What the rows of `lengths` should have been, and the units of values.
enum Rows {
    Classes(Vec<usize>),
    Values(Array2<f32>),
    Bits(Array2<bool>),
}

impl Rows {
    fn new<T: Real>(model: &mut Network<T>, lengths: &[usize]) -> Rows {
        let gives = model.config.head.gives;
        let rows = match gives.every_step() {
            true => lengths.iter().sum(),
            false => lengths.len(),
        };
        let outputs = gives.outputs();
        match gives.kind() {
            OutputKind::Classes => {
                return Rows::Classes((0..rows).map(|row| row % outputs).collect());
            }
            OutputKind::Bits => {
                let bits =
                    Array2::from_shape_fn((rows, outputs), |(r, k)| (r * 7 + k * 5) % 3 == 0);
                return Rows::Bits(bits);
            }
            OutputKind::Values => {}
        }
        model.value_offset.fill(20.0);
        model.value_scale.fill(4.0);
        let values = noise(rows * outputs, 11).into_iter();
        let values = values.map(|v| 20.0 + 8.0 * v as f32).collect();
        Rows::Values(Array2::from_shape_vec((rows, outputs), values).unwrap())
    }

    fn wanted(&self) -> Wanted<'_> {
        match self {
            Rows::Classes(labels) => labels.into(),
            Rows::Values(values) => Wanted::Values(values.view()),
            Rows::Bits(bits) => Wanted::Bits(bits.view()),
        }
    }
}

/// A batch with a sequence of every length, none at all included.
fn batch(inputs: usize) -> (Array3<f64>, Vec<usize>) {
    let x = noise(5 * 4 * inputs, 8).iter().map(|v| 2.0 * v).collect();
    (
        Array3::from_shape_vec((5, 4, inputs), x).unwrap(),
        vec![2, 4, 0, 3, 1],
    )
}

/// The frames of a sequence less the mean of those before, by a plain loop: what a filter of so many steps
/// leaves of them.
fn filtered(frames: &mut [Vec<f64>], horizon: usize) {
    let mut mean = frames.first().cloned().unwrap_or_default();
    for frame in frames {
        for (x, mean) in frame.iter_mut().zip(&mut mean) {
            let passed = *x - *mean;
            *mean = (*mean * (horizon as f64 - 1.0) + *x) / horizon as f64;
            *x = passed;
        }
    }
}

/// What the map gives is filtered; the same model without a filter finds the same in filtered frames.
#[test]
fn filtering_what_the_map_gives_is_filtering_frames() {
    let mut filters = 0;
    for text in CONFIGS {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let mut model = Network::<f64>::new(config(text), &mut rng).unwrap();
        let Some(horizon) = model.config.input.filter_horizon() else {
            continue;
        };
        filters += 1;
        let (mut x, lengths) = batch(12);
        x += 100.0;
        let logits = model.logits(x.view(), &lengths);
        for mut sequence in x.outer_iter_mut() {
            let mut frames: Vec<_> = sequence.outer_iter().map(|x| x.to_vec()).collect();
            filtered(&mut frames, horizon);
            for (mut row, frame) in sequence.outer_iter_mut().zip(&frames) {
                row.iter_mut().zip(frame).for_each(|(x, y)| *x = *y);
            }
        }
        model.config.input.filter = InputFilter::None;
        model.config.input.filter_horizon = None;
        let plain = model.logits(x.view(), &lengths);
        let error = &logits - &plain;
        assert!(error.iter().all(|e| e.abs() < 1e-12), "{text}: {error}");
    }
    assert_eq!(filters, 3);
}

/// The central difference of a loss by value `at` of parameter `p`. In f64 a step of 1e-5 leaves errors near 1e-9.
pub fn difference(
    model: &mut Network<f64>,
    (p, at): (usize, usize),
    loss: impl Fn(&Network<f64>) -> f64,
) -> f64 {
    let mut nudged = |by: f64| {
        let mut parameters = model.parameters_mut();
        *parameters[p].1.iter_mut().nth(at).unwrap() += by;
        drop(parameters);
        loss(model)
    };
    let step = 1e-5;
    let more = nudged(step);
    let less = nudged(-2.0 * step);
    nudged(step);
    (more - less) / (2.0 * step)
}

/// Central differences through the whole model; the tolerance allows for sharper curvature.
#[test]
fn gradients() {
    for text in CONFIGS.iter().chain(CAPTIONS) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut model = Network::<f64>::new(config(text), &mut rng).unwrap();
        let (mut x, lengths) = batch(12);
        if model.config.words().is_some() {
            x = x.slice(s![.., ..1, ..]).to_owned();
        }
        let classes = model.config.head.gives.outputs();
        let rows = Rows::new(&mut model, &lengths);
        let hidden = model.config.layers * model.config.units();
        let options = LossOptions {
            weights: LossWeights {
                label_smoothing: 0.1,
                class_weights: (0..classes).map(|c| 1.0 + c as f64).collect(),
                huber: (classes == 2).then_some(0.7),
            },
            input_mask: Some(dropout_mask(5, 12, 0.3, &mut rng)),
            recurrent_mask: Some(dropout_mask(5, hidden, 0.3, &mut rng)),
            output_mask: Some(dropout_mask(5, model.config.units(), 0.3, &mut rng)),
            noise: None,
            hidden_words: model.config.words().map(|_| {
                let words = lengths.iter().sum();
                (0..words).map(|at: usize| at % 3 == 1).collect()
            }),
        };
        let run = |model: &Network<f64>| {
            model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options)
        };
        let (_, gradients) = run(&model);
        let shapes: Vec<(String, Vec<usize>)> = model
            .parameters()
            .iter()
            .map(|(name, value)| (name.clone(), value.shape().to_vec()))
            .collect();
        assert_eq!(gradients.arrays.len(), shapes.len());
        for (p, (name, shape)) in shapes.iter().enumerate() {
            let gradient = &gradients.arrays[p];
            assert_eq!(gradient.shape(), shape, "{name}");
            for at in (0..gradient.len()).step_by(1 + gradient.len() / 25) {
                let expected = difference(&mut model, (p, at), |model| run(model).0.loss);
                let found = *gradient.iter().nth(at).unwrap();
                assert!(
                    (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                    "{name}[{at}] of {text}: {found} for {expected}"
                );
            }
        }
    }
}

/// A sequence gives the same logits alone, in company, and whatever stands
/// behind its last valid step.
#[test]
fn company_and_padding_do_not_matter() {
    for text in CONFIGS {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let model = Network::<f64>::new(config(text), &mut rng).unwrap();
        let (mut x, lengths) = batch(12);
        let together = model.logits(x.view(), &lengths);
        for (b, &length) in lengths.iter().enumerate() {
            x.slice_mut(s![b, length.., ..]).fill(f64::NAN);
        }
        assert_eq!(model.logits(x.view(), &lengths), together);
        let mut next = 0;
        for (b, &length) in lengths.iter().enumerate() {
            let alone = model.logits(x.slice(s![b..=b, ..length, ..]), &[length]);
            let rows = next..next + alone.nrows();
            next = rows.end;
            let error = alone - together.slice(s![rows, ..]);
            assert!(error.iter().all(|e: &f64| e.abs() < 1e-12));
        }
        assert_eq!(next, together.nrows());
    }
}

/// Given its own states and logits, a model finds its own gradients.
#[test]
fn gradients_at_given_states() {
    for text in CONFIGS {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut model = Network::<f64>::new(config(text), &mut rng).unwrap();
        let (x, lengths) = batch(12);
        let units = model.config.units();
        let rows = Rows::new(&mut model, &lengths);
        let options = LossOptions::default();
        let kind = model.config.kind();
        let apply = |map: &dyn Map<f64>, x: &[f64], z: &mut [f64]| {
            map.prepare().forward(&Frames::packed(x, x.len()), z);
        };
        // A layer over the values of all steps.
        let through = |layer: &LayerWeights<f64>, frames: &[Vec<f64>]| {
            let mut states = States {
                z: vec![],
                apart: vec![],
                c: vec![],
                h: vec![],
            };
            let (mut c, mut h) = (vec![0.0; units], vec![0.0; units]);
            for frame in frames {
                let mut z = layer.bias.to_vec();
                apply(&*layer.input, frame, &mut z);
                let mut apart = vec![0.0; kind.apart_values(units)];
                let last = apart.len() - layer.recurrent_bias.len();
                apart[last..].copy_from_slice(layer.recurrent_bias.as_slice().unwrap());
                if let Some(recurrent) = &layer.recurrent {
                    let share = if apart.is_empty() { &mut z } else { &mut apart };
                    apply(&**recurrent, &h, share);
                }
                states.z.extend(&z);
                states.apart.extend(&apart);
                let (z, apart) = (&mut z[..], &mut apart[..]);
                kind.forward(Row { z, apart }, &mut c, &mut h);
                states.c.extend(&c);
                states.h.extend(&h);
            }
            states
        };
        let states: Vec<Vec<States<f64>>> = (0..5)
            .map(|b| {
                let frame = |t| x.slice(s![b, t, ..]).to_vec();
                let mut frames: Vec<Vec<f64>> = (0..lengths[b]).map(frame).collect();
                let mut all = Vec::new();
                if let Some(horizon) = model.config.input.filter_horizon() {
                    filtered(&mut frames, horizon);
                }
                for layer in &model.layers {
                    let states = through(layer, &frames);
                    frames = states.h.chunks(units).map(<[f64]>::to_vec).collect();
                    all.push(states);
                }
                all
            })
            .collect();
        let logits = model.logits(x.view(), &lengths);
        let (loss, own) = model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options);
        let (same, found) = model.loss_and_gradients_at(
            x.view(),
            &lengths,
            rows.wanted(),
            &options,
            &states,
            logits.view(),
        );
        assert_eq!(loss, same);
        for (own, found) in own.arrays.iter().zip(&found.arrays) {
            let close = own.iter().zip(found).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close, "{text}: {own} for {found}");
        }
    }
}

/// The same bits from one thread and from four.
#[test]
fn threads_do_not_matter() {
    for text in CONFIGS {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut model = Model::new(config(text), &mut rng).unwrap();
        let x = Array3::from_shape_simple_fn((33, 4, 12), || init::normal(&mut rng) as f32);
        let lengths: Vec<usize> = (0..33).map(|b| b % 5).collect();
        let rows = Rows::new(&mut model, &lengths);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let options = LossOptions::default();
                model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options)
            })
        };
        assert_eq!(run(1), run(4));
    }
}

/// A pass that leaves nothing but NaN behind changes no bit of the next one.
#[test]
fn what_a_pass_leaves_is_not_read() {
    for text in CONFIGS {
        let new = || Model::new(config(text), &mut ChaCha8Rng::seed_from_u64(7)).unwrap();
        let (mut used, mut fresh) = (new(), new());
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let x = Array3::from_shape_simple_fn((9, 4, 12), || init::normal(&mut rng) as f32);
        let lengths: Vec<usize> = (0..9).map(|b| b % 5).collect();
        let rows = Rows::new(&mut fresh, &lengths);
        Rows::new(&mut used, &lengths);
        let hidden = fresh.config.layers * fresh.config.units();
        let options = LossOptions {
            recurrent_mask: Some(dropout_mask(9, hidden, 0.3, &mut rng)),
            ..LossOptions::default()
        };
        let run = |model: &Model, x: &Array3<f32>| {
            model.loss_and_gradients(x.view(), &lengths, rows.wanted(), &options)
        };
        let (_, spoilt) = run(&used, &x.mapv(|_| f32::NAN));
        assert!(spoilt.arrays[0].iter().all(|v| v.is_nan()), "{text}");
        assert_eq!(run(&used, &x), run(&fresh, &x), "{text}");
    }
}

/// Gradient descent on ten random sequences learns them by heart.
#[test]
fn learns() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut model = Model::new(config(CONFIGS[0]), &mut rng).unwrap();
    let x = Array3::from_shape_simple_fn((10, 4, 12), || init::normal(&mut rng) as f32);
    let lengths = [4; 10];
    let labels: Vec<usize> = (0..10).map(|b| b % 3).collect();
    let mut last = None;
    for _ in 0..400 {
        let options = LossOptions::default();
        let (loss, gradients) = model.loss_and_gradients(x.view(), &lengths, &labels, &options);
        for ((_, mut value), gradient) in model.parameters_mut().into_iter().zip(&gradients.arrays)
        {
            value.scaled_add(-0.5, gradient);
        }
        last = Some(loss);
    }
    assert_eq!(last.unwrap().correct, 10, "{last:?}");
}
