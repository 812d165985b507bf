use crate::float::head::Wanted;
use crate::float::map::check;
use crate::float::model::tests::difference;
use crate::float::model::{LossOptions, Model, Network};
use ndarray::{Array2, Array3, s};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Pictures of 2 by 3 pixels: the encoder reads 6 + 6 + 4 values, or zeros behind them.
const CONFIGS: [&str; 4] = [
    r#"{"input": {"map": "block-term", "modes": [4,4], "width": 6, "blocks": 2, "rank": 2}, "hidden": {"modes": [2,2]}, "recurrent": {"map": "block-term", "blocks": 1, "rank": 2}, "head": {"draw": 6, "steps": 3, "latent": [1,3], "rows": 2}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [3,6], "width": 6, "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"draw": 6, "steps": 2, "latent": [2,1], "rows": 2}}"#,
    r#"{"input": {"map": "dense", "modes": [16], "width": 6}, "hidden": {"modes": [4]}, "gate": "hard-sigmoid", "head": {"draw": 6, "steps": 4, "latent": [5], "rows": 1}}"#,
    r#"{"input": {"map": "dense", "modes": [17], "width": 6}, "hidden": {"modes": [4]}, "head": {"draw": 6, "steps": 1, "latent": [2], "rows": 3}}"#,
];

const BATCH: usize = 3;

fn bit(row: usize, at: usize) -> bool {
    (row * 7 + at * 5).is_multiple_of(3)
}

/// Pictures as a model reads them, and as it should paint them.
fn pictures(inputs: usize) -> (Array3<f64>, Array2<bool>) {
    let bits = Array2::from_shape_fn((BATCH, 6), |(row, at)| bit(row, at));
    let x = |(row, _, at): (usize, usize, usize)| f64::from(u8::from(at < 6 && bit(row, at)));
    (Array3::from_shape_fn((BATCH, 1, inputs), x), bits)
}

fn noise(model: &Network<f64>) -> Array3<f64> {
    let steps = model.config.head.steps.unwrap();
    let shape = (steps, BATCH, model.config.latent_values());
    let values = check::noise(shape.0 * shape.1 * shape.2, 3);
    Array3::from_shape_vec(shape, values).unwrap() * 1.5
}

/// Central differences of the bound, through all steps.
#[test]
fn gradients_are_those_of_the_bound() {
    for text in CONFIGS {
        let config = serde_json::from_str(text).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut model = Network::<f64>::new(config, &mut rng).unwrap();
        for (p, (_, mut values)) in model.parameters_mut().into_iter().enumerate() {
            let more = check::noise(values.len(), 20 + p as u64);
            values
                .iter_mut()
                .zip(more)
                .for_each(|(value, more)| *value += 0.3 * more);
        }
        let (x, bits) = pictures(model.config.inputs());
        let options = LossOptions {
            noise: Some(noise(&model)),
            ..LossOptions::default()
        };
        let run = |model: &Network<f64>| {
            let wanted = Wanted::Bits(bits.view());
            model.loss_and_gradients(x.view(), &[1; BATCH], wanted, &options)
        };
        let (_, gradients) = run(&model);
        let count = model.parameters().len();
        assert_eq!(gradients.arrays.len(), count);
        for p in 0..count {
            let (name, length) = {
                let (name, values) = &model.parameters()[p];
                assert_eq!(gradients.arrays[p].shape(), values.shape(), "{name}");
                (name.clone(), values.len())
            };
            let mut largest = 0f64;
            for at in 0..length {
                let expected = difference(&mut model, (p, at), |model| run(model).0.loss);
                let found = *gradients.arrays[p].iter().nth(at).unwrap();
                largest = largest.max(found.abs());
                assert!(
                    (found - expected).abs() < 1e-8 * (1.0 + expected.abs()),
                    "{name}[{at}] of {text}: {found} for {expected}"
                );
            }
            // Nothing is left out; a recurrent map of a single step has nothing to do.
            let idle = name.contains("recurrent") && model.config.head.steps == Some(1);
            assert!(largest > 1e-6 || idle, "{name} of {text}");
        }
    }
}

/// A picture costs the same alone and in company, and what stands behind it is not read.
#[test]
fn company_does_not_matter() {
    for text in CONFIGS {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let config = serde_json::from_str(text).unwrap();
        let model = Network::<f64>::new(config, &mut rng).unwrap();
        let (mut x, _) = pictures(model.config.inputs());
        let noise = noise(&model);
        let (together, all) = model.painted(x.view(), &[1; BATCH], Some(&noise));
        x.slice_mut(s![.., .., 6..]).fill(f64::NAN);
        let mut sum = 0.0;
        for row in 0..BATCH {
            let noise = noise.slice(s![.., row..=row, ..]).to_owned();
            let (alone, nats) = model.painted(x.slice(s![row..=row, .., ..]), &[1], Some(&noise));
            sum += nats;
            let error = alone - together.slice(s![row..=row, ..]);
            assert!(error.iter().all(|e| e.abs() < 1e-12));
        }
        assert!((sum - all).abs() < 1e-12);
    }
}

/// The same bits from one thread and from four.
#[test]
fn threads_do_not_matter() {
    for text in CONFIGS {
        let config = serde_json::from_str(text).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let model = Model::new(config, &mut rng).unwrap();
        let (x, bits) = pictures(model.config.inputs());
        let x = x.mapv(|value| value as f32);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let wanted = Wanted::Bits(bits.view());
                model.loss_and_gradients(x.view(), &[1; BATCH], wanted, &LossOptions::default())
            })
        };
        assert_eq!(run(1), run(4));
    }
}

/// A dense model in PyTorch 2.15, in f64, gradients by its own: weight i of array p is ((3i + 5p) mod 7)/8 − 0.375,
/// noise ((5t + 3r + 4k) mod 9)/4 − 1 in step t of picture r, 3 steps, the sigmoid of the gates exact.
#[test]
fn the_bound_is_that_of_pytorch() {
    let text = r#"{"input": {"map": "dense", "modes": [16], "width": 6}, "hidden": {"modes": [4]}, "head": {"draw": 6, "steps": 3, "latent": [3], "rows": 2}}"#;
    let mut model = Network::<f64>::zeros(serde_json::from_str(text).unwrap()).unwrap();
    for (p, (_, mut values)) in model.parameters_mut().into_iter().enumerate() {
        let weight = |i: usize| ((3 * i + 5 * p) % 7) as f64 / 8.0 - 0.375;
        values
            .iter_mut()
            .enumerate()
            .for_each(|(i, value)| *value = weight(i));
    }
    let noise = Array3::from_shape_fn((3, BATCH, 3), |(t, row, k)| {
        ((5 * t + 3 * row + 4 * k) % 9) as f64 / 4.0 - 1.0
    });
    let (x, bits) = pictures(16);
    let (canvas, divergence) = model.painted(x.view(), &[1; BATCH], Some(&noise));
    let expected = [
        0.054_546_665_687_699_05,
        0.952_823_039_464_577_6,
        -0.499_027_806_608_637_2,
        0.780_472_088_724_306_4,
        -0.895_478_975_942_933_1,
        0.226_897_616_427_970_13,
    ];
    assert!(
        canvas
            .row(0)
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-12),
        "{canvas}"
    );
    assert!(
        (divergence - 2.594_288_160_278_947).abs() < 1e-12,
        "{divergence}"
    );
    let options = LossOptions {
        noise: Some(noise),
        ..LossOptions::default()
    };
    let wanted = Wanted::Bits(bits.view());
    let (loss, gradients) = model.loss_and_gradients(x.view(), &[1; BATCH], wanted, &options);
    assert!(
        (loss.loss - 0.898_796_765_494_647_8).abs() < 1e-12,
        "{loss:?}"
    );
    let expected = [
        0.062941807289,
        0.005791691320,
        0.059080677281,
        0.044305630264,
        0.003687554883,
        0.025231212595,
        0.064331923889,
        0.426779889044,
        0.078243558302,
        0.301813324367,
    ];
    assert_eq!(gradients.arrays.len(), expected.len());
    for (array, expected) in gradients.arrays.iter().zip(expected) {
        let length = array.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!((length - expected).abs() < 1e-11, "{length} for {expected}");
    }
}

/// A model whose decoder paints nothing but its bias: T biases add up, whatever is drawn.
#[test]
fn every_step_paints() {
    let mut model = Network::<f64>::zeros(serde_json::from_str(CONFIGS[2]).unwrap()).unwrap();
    for (name, mut values) in model.parameters_mut() {
        if name == "head.bias" {
            values
                .iter_mut()
                .enumerate()
                .for_each(|(at, value)| *value = at as f64);
        }
    }
    let drawn = model.drawn(noise(&model).view());
    let expected = Array2::from_shape_fn((BATCH, 6), |(_, at)| 4.0 * at as f64);
    assert_eq!(drawn, expected);
    let (x, _) = pictures(16);
    assert_eq!(model.painted(x.view(), &[1; BATCH], None), (expected, 0.0));
}
