use crate::float::head::Wanted;
use crate::float::map::check;
use crate::float::model::tests::difference;
use crate::float::model::{LossOptions, Model, Network};
use ndarray::{Array2, Array3, s};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Pictures of 6 pixels, of which the encoder reads 6 + 6 + 4 values, or zeros behind them; or of 12 through windows of
/// 2 by 2 points, 4 + 4 + 4 values.
const CONFIGS: [&str; 6] = [
    r#"{"input": {"map": "block-term", "modes": [4,4], "width": 6, "blocks": 2, "rank": 2}, "hidden": {"modes": [2,2]}, "recurrent": {"map": "block-term", "blocks": 1, "rank": 2}, "head": {"draw": 6, "steps": 3, "latent": [1,3], "rows": 2}}"#,
    r#"{"input": {"map": "tensor-train", "modes": [3,6], "width": 6, "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"draw": 6, "steps": 2, "latent": [2,1], "rows": 2}}"#,
    r#"{"input": {"map": "dense", "modes": [16], "width": 6}, "hidden": {"modes": [4]}, "gate": "hard-sigmoid", "head": {"draw": 6, "steps": 4, "latent": [5], "rows": 1}}"#,
    r#"{"input": {"map": "dense", "modes": [17], "width": 6}, "hidden": {"modes": [4]}, "head": {"draw": 6, "steps": 1, "latent": [2], "rows": 3}}"#,
    r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [2,2]}, "head": {"draw": 12, "steps": 3, "latent": [1,3], "rows": 3, "attention": 2}}"#,
    r#"{"input": {"map": "dense", "modes": [13]}, "hidden": {"modes": [4]}, "head": {"draw": 12, "steps": 2, "latent": [2], "rows": 4, "attention": 2}}"#,
];

const BATCH: usize = 3;

fn bit(row: usize, at: usize) -> bool {
    (row * 7 + at * 5).is_multiple_of(3)
}

/// Pictures of so many pixels as a model reads them, and as it should paint them.
fn pictures(pixels: usize) -> (Array3<f64>, Array2<bool>) {
    let bits = Array2::from_shape_fn((BATCH, pixels), |(row, at)| bit(row, at));
    let x = |(row, _, at): (usize, usize, usize)| f64::from(u8::from(bit(row, at)));
    (Array3::from_shape_fn((BATCH, 1, pixels), x), bits)
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
        let (x, bits) = pictures(model.config.frame_values());
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

/// A picture costs the same alone and in company.
#[test]
fn company_does_not_matter() {
    for text in CONFIGS {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let config = serde_json::from_str(text).unwrap();
        let model = Network::<f64>::new(config, &mut rng).unwrap();
        let (x, _) = pictures(model.config.frame_values());
        let noise = noise(&model);
        let (together, all) = model.painted(x.view(), &[1; BATCH], Some(&noise));
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
        let (x, bits) = pictures(model.config.frame_values());
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

/// What PyTorch 2.15 has of a model in f64, gradients by its own: weight i of array p is ((3i + 5p) mod 7)/8 − 0.375,
/// noise ((5t + 3r + 4k) mod 9)/4 − 1 in step t of picture r, 3 steps, the sigmoid of the gates exact.
struct Expected<'a> {
    config: &'a str,
    /// Six pixels of the first canvas.
    canvas: [f64; 6],
    divergence: f64,
    loss: f64,
    /// Length of each array's gradient.
    gradients: &'a [f64],
}

#[test]
fn the_bound_is_that_of_pytorch() {
    Expected {
        config: r#"{"input": {"map": "dense", "modes": [16], "width": 6}, "hidden": {"modes": [4]}, "head": {"draw": 6, "steps": 3, "latent": [3], "rows": 2}}"#,
        canvas: [
            0.054_546_665_687_699_05,
            0.952_823_039_464_577_6,
            -0.499_027_806_608_637_2,
            0.780_472_088_724_306_4,
            -0.895_478_975_942_933_1,
            0.226_897_616_427_970_13,
        ],
        divergence: 2.594_288_160_278_947,
        loss: 0.898_796_765_494_647_8,
        gradients: &[
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
        ],
    }
    .check();
}

/// Windows of 2 by 2 points on pictures of 4 rows of 3, filters by the paper's equations 19 to 26.
#[test]
fn the_bound_with_attention_is_that_of_pytorch() {
    Expected {
        config: r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [4]}, "head": {"draw": 12, "steps": 3, "latent": [3], "rows": 4, "attention": 2}}"#,
        canvas: [
            0.757_627_612_525_087,
            0.137_571_997_981_113_14,
            -0.269_421_404_949_513_17,
            0.201_049_992_015_789_1,
            0.027_498_072_232_404_226,
            -0.120_759_398_446_836_97,
        ],
        divergence: 2.576_488_761_259_996_7,
        loss: 0.785_782_310_343_110_7,
        gradients: &[
            0.018047177749,
            0.002490031057,
            0.030682135068,
            0.006400471022,
            0.001135525164,
            0.011340374222,
            0.031494685542,
            0.217329161230,
            0.007833757434,
            0.041006054278,
            0.025431659326,
            0.118315566912,
        ],
    }
    .check();
}

impl Expected<'_> {
    fn check(&self) {
        let config = serde_json::from_str(self.config).unwrap();
        let mut model = Network::<f64>::zeros(config).unwrap();
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
        let (x, bits) = pictures(model.config.frame_values());
        let (canvas, divergence) = model.painted(x.view(), &[1; BATCH], Some(&noise));
        let first = canvas.row(0);
        let pairs = first.iter().zip(self.canvas);
        assert!(
            pairs.clone().all(|(a, b)| (a - b).abs() < 1e-12),
            "{canvas}"
        );
        assert!((divergence - self.divergence).abs() < 1e-12, "{divergence}");
        let options = LossOptions {
            noise: Some(noise),
            ..LossOptions::default()
        };
        let wanted = Wanted::Bits(bits.view());
        let (loss, gradients) = model.loss_and_gradients(x.view(), &[1; BATCH], wanted, &options);
        assert!((loss.loss - self.loss).abs() < 1e-12, "{loss:?}");
        assert_eq!(gradients.arrays.len(), self.gradients.len());
        for (array, expected) in gradients.arrays.iter().zip(self.gradients) {
            let length = array.iter().map(|value| value * value).sum::<f64>().sqrt();
            assert!((length - expected).abs() < 1e-11, "{length} for {expected}");
        }
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
    let (x, _) = pictures(6);
    assert_eq!(model.painted(x.view(), &[1; BATCH], None), (expected, 0.0));
}
