//! Times a training step at the paper's UCF11 shape; `--json` for programs,
//! `--repetitions K` for more than 30 steps.

use bt_train::benchmark;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let repetitions = match arguments.iter().position(|a| a == "--repetitions") {
        Some(at) => arguments
            .get(at + 1)
            .ok_or("--repetitions takes a number")?
            .parse()?,
        None => 30,
    };
    let row = benchmark::train_step(repetitions)?;
    if arguments.iter().any(|a| a == "--json") {
        println!("{}", serde_json::to_string(&row)?);
    } else {
        println!(
            "{}: {:.1} ms (median {:.1}), {:.0} MB, {:.0} of {:.0} GFLOP/s on {} threads",
            row.name,
            row.milliseconds,
            row.milliseconds_median,
            row.peak_rss_bytes as f64 / 1e6,
            row.gflops,
            row.sgemm_peak_gflops,
            row.threads
        );
    }
    Ok(())
}
