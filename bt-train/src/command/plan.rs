//! `bt-train plan --input 8x20x20x18 --hidden 4x4x4x4`

use crate::error::{Error, Result, times};
use crate::plan::cost::{Core, Cost};
use crate::plan::search::{self, Layer, Limits, MapPlan, MapRanked, Ranked};
use crate::say;
use crate::shape::{MapName, MapShape};
use crate::training::modes::Modes;
use bt_core::Pool;
use bt_core::internals::model::ArenaLayout;
use serde_json::{Value, json};

/// Largest magnitude of an input where the data are not known: i16.
const INPUT_MAX: u32 = 1 << 15;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Modes of a frame, slowest first.
    #[arg(long, value_name = "MODES")]
    pub input: Modes,
    /// Modes of the hidden state, slowest first.
    #[arg(long, value_name = "MODES")]
    pub hidden: Modes,
    /// Form of the input map.
    #[arg(long, default_value = "block-term")]
    pub input_map: MapName,
    /// Tucker rank, or every inner rank of a tensor train.
    #[arg(long, default_value_t = 4)]
    pub rank: usize,
    /// Blocks of a block-term map.
    #[arg(long, default_value_t = 2)]
    pub blocks: usize,
    /// Form of the recurrent map; without it, and without its blocks and rank, a dense one is taken
    /// for the RAM (it needs none) and none for flash and instructions.
    #[arg(long)]
    pub recurrent_map: Option<MapName>,
    /// Blocks of the recurrent map [default: 2].
    #[arg(long)]
    pub recurrent_blocks: Option<usize>,
    /// Rank of the recurrent map [default: 4].
    #[arg(long)]
    pub recurrent_rank: Option<usize>,
    /// What the head reads; the mean needs RAM for its sums.
    #[arg(long, default_value = "last")]
    pub pool: crate::float::config::Pool,
    /// Bytes of RAM that a session may take (10K = 10,240).
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub ram: Option<usize>,
    /// Bytes of flash that the maps may take.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub flash: Option<usize>,
    /// The core whose kernels run.
    #[arg(long, default_value = "m4f")]
    pub core: Core,
    /// Clock that milliseconds are for.
    #[arg(long, default_value = "64MHz", value_parser = hertz)]
    pub clock: u64,
    /// Plans to list at most.
    #[arg(long, default_value_t = 10)]
    pub count: usize,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Searches all plans and prints the best.
///
/// # Errors
/// When the modes do not go together, or nothing fits the limits.
pub fn run(args: Args) -> Result<()> {
    let layer = layer(&args)?;
    let limits = Limits {
        ram_bytes: args.ram,
        flash_bytes: args.flash,
        core: args.core,
    };
    let mut plans =
        search::rank(&layer, &limits).map_err(|error| search::refused(&error, &limits))?;
    plans.truncate(args.count.max(1));
    if args.json {
        say!(
            "{}",
            json!({
                "core": args.core,
                "clock_hz": args.clock,
                "plans": plans.iter().map(|plan| describe(plan, args.clock)).collect::<Vec<_>>(),
            })
        );
        return Ok(());
    }
    table(&args, &plans);
    Ok(())
}

/// The layer the flags describe.
fn layer(args: &Args) -> Result<Layer> {
    let (inputs, hidden) = (&args.input.0, &args.hidden.0);
    product("input", inputs)?;
    let units = product("hidden", hidden)?;
    let input = MapShape::to_gates(args.input_map.with(args.blocks, args.rank), inputs, hidden);
    input.validate("", "hidden")?;
    let is_planned = args.recurrent_map.is_some()
        || args.recurrent_blocks.is_some()
        || args.recurrent_rank.is_some();
    let recurrent = is_planned.then(|| {
        let map = args.recurrent_map.unwrap_or(MapName::BlockTerm);
        let (blocks, rank) = (args.recurrent_blocks, args.recurrent_rank);
        let kind = map.with(blocks.unwrap_or(2), rank.unwrap_or(4));
        MapShape::to_gates(kind, hidden, hidden)
    });
    if let Some(recurrent) = &recurrent {
        recurrent.validate("recurrent-", "hidden")?;
    }
    let pool = match args.pool {
        crate::float::config::Pool::Last => Pool::Last,
        crate::float::config::Pool::Mean => Pool::Mean,
    };
    Ok(Layer {
        input,
        input_max: INPUT_MAX,
        recurrent,
        arena: ArenaLayout::new(units, pool, 0, 0),
    })
}

fn product(field: &str, modes: &[usize]) -> Result<usize> {
    modes
        .iter()
        .try_fold(1usize, |product, &mode| product.checked_mul(mode))
        .filter(|&product| product < 1 << 28)
        .ok_or_else(|| {
            Error::setting(format!("{} is too large for a device", times(modes)))
                .field(field)
                .remedy("give modes that multiply to less than 268,435,456")
        })
}

fn describe(plan: &Ranked, clock: u64) -> Value {
    let map = |map: &MapRanked| {
        let mut object = json!({
            "plan": map.plan.to_string(),
            "macs": map.cost.macs,
            "padded_macs": map.cost.padded_macs,
            "instructions": map.cost.instructions,
            "cycles": map.cost.cycles,
            "milliseconds": milliseconds(&map.cost, clock),
            "scratch_bytes": map.cost.scratch_words * 4,
            "flash_bytes": map.cost.flash_bytes,
        });
        if let MapPlan::Program(lowered) = &map.plan {
            object["order"] = json!(lowered.plan);
        }
        object
    };
    let mut object = map(&plan.input);
    object["ram_bytes"] = plan.ram_bytes.into();
    object["flash_bytes"] = plan.flash_bytes.into();
    if let Some(recurrent) = &plan.recurrent {
        object["recurrent"] = map(recurrent);
    }
    object
}

fn milliseconds(cost: &Cost, clock: u64) -> f64 {
    cost.cycles as f64 / clock as f64 * 1e3
}

fn table(args: &Args, plans: &[Ranked]) {
    say!(
        "input map {} -> 4 x {} on {:?}: plans, fastest first, each smaller in RAM or flash than those above",
        args.input,
        args.hidden,
        args.core
    );
    say!(
        "{:>10} {:>12} {:>10} {:>8} {:>8}  plan ({} MHz)",
        "MACs",
        "instructions",
        "ms",
        "RAM",
        "flash",
        args.clock as f64 / 1e6
    );
    for plan in plans {
        let cost = &plan.input.cost;
        say!(
            "{:>10} {:>12} {:>10.3} {:>8} {:>8}  {}",
            cost.macs,
            cost.instructions,
            milliseconds(cost, args.clock),
            plan.ram_bytes,
            plan.flash_bytes,
            plan.input.plan
        );
    }
    let recurrent: Vec<&MapRanked> = plans
        .iter()
        .filter_map(|plan| plan.recurrent.as_ref())
        .collect();
    if recurrent.is_empty() {
        say!("flash is the input map's; --recurrent-map plans the recurrent one too");
        return;
    }
    say!("recurrent map {} -> 4 x {}", args.hidden, args.hidden);
    let mut shown: Vec<String> = Vec::new();
    for map in recurrent {
        let cost = &map.cost;
        let line = format!(
            "{:>10} {:>12} {:>10.3} {:>8} {:>8}  {}",
            cost.macs,
            cost.instructions,
            milliseconds(cost, args.clock),
            "",
            cost.flash_bytes,
            map.plan
        );
        if !shown.contains(&line) {
            say!("{line}");
            shown.push(line);
        }
    }
    say!(
        "RAM is a whole session's ({} hidden units), flash both maps'",
        args.hidden.0.iter().product::<usize>()
    );
}

/// Bytes as people write them: `10K`, `1M`, `6400`; K = 1024.
pub fn bytes(text: &str) -> std::result::Result<usize, String> {
    let (digits, factor) = match text.trim_end_matches(['b', 'B']) {
        t if t.ends_with(['k', 'K']) => (&t[..t.len() - 1], 1 << 10),
        t if t.ends_with(['m', 'M']) => (&t[..t.len() - 1], 1 << 20),
        t => (t, 1),
    };
    let digits = digits.trim();
    let value: Option<f64> = digits.parse().ok().filter(|value| *value > 0.0);
    value
        .map(|value| (value * f64::from(factor)) as usize)
        .ok_or_else(|| format!("`{text}` is not a size such as 10K, 64K or 1M"))
}

/// A clock as people write it: `64MHz`, `168M`, `32768`.
fn hertz(text: &str) -> std::result::Result<u64, String> {
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches("hz");
    let (digits, factor) = match digits {
        t if t.ends_with('k') => (&t[..t.len() - 1], 1e3),
        t if t.ends_with('m') => (&t[..t.len() - 1], 1e6),
        t if t.ends_with('g') => (&t[..t.len() - 1], 1e9),
        t => (t, 1.0),
    };
    let value: Option<f64> = digits.trim().parse().ok();
    value
        .map(|value| value * factor)
        .filter(|hertz| (1.0..1e12).contains(hertz))
        .map(|hertz| hertz as u64)
        .ok_or_else(|| format!("`{text}` is not a clock such as 64MHz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_clocks() {
        assert_eq!(bytes("10K"), Ok(10_240));
        assert_eq!(bytes("1.5KB"), Ok(1_536));
        assert_eq!(bytes("6400"), Ok(6_400));
        assert!(bytes("K").is_err() && bytes("-3").is_err() && bytes("ten").is_err());
        assert_eq!(hertz("64MHz"), Ok(64_000_000));
        assert_eq!(hertz("168m"), Ok(168_000_000));
        assert_eq!(hertz("32768"), Ok(32_768));
        assert!(hertz("fast").is_err() && hertz("0").is_err());
    }
}
