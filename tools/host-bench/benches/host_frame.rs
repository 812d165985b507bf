//! Frames per second on this host, of the paper's layer (57,600 bytes to 1,024 pre-activations), one
//! thread: `cargo bench -p bt-benches`. In one run
//!
//! - `block-term, integers`: `bt-core` as it runs on a core without DSP, bit for bit; from the first
//!   byte to the end of the step, recurrent map and gates included;
//! - `dense, i8`: the same layer as a matrix of bytes with 32-bit sums, plain loops for the compiler to
//!   vectorise; without recurrent map or gates;
//! - `dense, f32, ndarray`: that matrix in floats, a frame at a time and 16 together.

use bt_core::{Model, Session};
use bt_train::plan::kernels::Kernels;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use std::time::Duration;
use tools::workload;

const INPUTS: usize = 57_600;
const OUTPUTS: usize = 1024;
/// Frames of the larger float product: every weight that is read serves all of them.
const BATCH: usize = 16;

fn frames(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut group = criterion.benchmark_group("paper_frame");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(1));

    let bytes = workload::ALL[0]
        .model(Kernels::default())
        .expect("the paper's layer exports");
    let model = Model::parse(bytes.bytes()).expect("what was exported parses");
    assert_eq!(model.frame_values(), INPUTS);
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).expect("an arena of the model's size");
    let frame: Vec<u8> = (0..INPUTS).map(|_| rng.random()).collect();
    group.bench_function("block-term, integers", |bencher| {
        bencher.iter(|| {
            let taken = session.push_bytes(black_box(&frame));
            assert_eq!(taken, Ok(INPUTS));
            session.step()
        });
    });

    let weights: Vec<i8> = (0..OUTPUTS * INPUTS)
        .map(|_| rng.random_range(-127..=127))
        .collect();
    let centred: Vec<i8> = frame.iter().map(|&x| (x ^ 0x80) as i8).collect();
    let mut z = vec![0i32; OUTPUTS];
    group.bench_function("dense, i8", |bencher| {
        bencher.iter(|| {
            let x = black_box(&centred);
            for (z, row) in z.iter_mut().zip(weights.chunks_exact(INPUTS)) {
                let products = row
                    .iter()
                    .zip(x)
                    .map(|(&w, &x)| i32::from(w) * i32::from(x));
                *z = products.sum();
            }
            black_box(&mut z);
        });
    });

    let weights = Array2::from_shape_fn((OUTPUTS, INPUTS), |(row, column)| {
        f32::from(weights[row * INPUTS + column])
    });
    let one: Array1<f32> = centred.iter().map(|&x| f32::from(x)).collect();
    group.bench_function("dense, f32, ndarray", |bencher| {
        bencher.iter(|| weights.dot(black_box(&one)));
    });
    let many = Array2::from_shape_fn((INPUTS, BATCH), |(row, column)| one[row] + column as f32);
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("dense, f32, ndarray, 16 frames", |bencher| {
        bencher.iter(|| weights.dot(black_box(&many)));
    });
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
