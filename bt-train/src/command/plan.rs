//! `bt-train plan --input-modes 8x20x20x18 --hidden-modes 4x4x4x4`

use crate::command::device::DeviceArgs;
use crate::command::units::hertz;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cost::Cost;
use crate::plan::search::{self, Layer, MapPlan, MapRanked, Ranked};
use crate::say;
use crate::shape::{MapName, MapShape};
use crate::training::modes::Modes;
use bt_core::internals::model::ArenaLayout;
use bt_core::{Cell, Pool};
use serde_json::{Value, json};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Modes of a frame, slowest first, such as 8x20x20x18
    #[arg(long, value_name = "MODES", visible_alias = "input")]
    pub input_modes: Modes,
    /// Modes of the hidden state, as many as of a frame, such as 4x4x4x4
    #[arg(long, value_name = "MODES", visible_alias = "hidden")]
    pub hidden_modes: Modes,
    /// Form of the map from the frame
    #[arg(long, value_name = "MAP", default_value = "block-term")]
    pub input_map: MapName,
    /// Blocks (N) of a block-term input map
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub blocks: usize,
    /// Rank (R) of the input map
    #[arg(long, value_name = "R", default_value_t = 4)]
    pub rank: usize,
    /// Form of the map from the hidden state
    ///
    /// With this flag, or with --recurrent-blocks or --recurrent-rank, the recurrent map is planned too,
    /// and its instructions and flash are added. Without any of them only the input map is planned: the
    /// recurrent map is taken to be dense, which needs no RAM, and its instructions and flash are left
    /// out.
    #[arg(long, value_name = "MAP")]
    pub recurrent_map: Option<MapName>,
    /// Blocks of a block-term recurrent map; plans that map too [default: 2]
    #[arg(long, value_name = "N")]
    pub recurrent_blocks: Option<usize>,
    /// Rank of the recurrent map; plans that map too [default: 4]
    #[arg(long, value_name = "R")]
    pub recurrent_rank: Option<usize>,
    /// Hidden state that the head reads; the mean over all steps needs RAM for its sums
    #[arg(long, default_value = "last")]
    pub pool: crate::float::config::Pool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Clock that milliseconds are computed for, such as 64MHz [default: the board's, or 64MHz]
    #[arg(long, value_name = "HERTZ", value_parser = hertz)]
    clock: Option<u64>,
    /// Plans to list at most
    #[arg(long, value_name = "PLANS", default_value_t = 10)]
    pub count: usize,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The clock where none is told.
const CLOCK_HZ: u64 = 64_000_000;

/// Searches all plans and prints the best.
///
/// # Errors
/// When the modes do not go together, or nothing fits the limits.
pub fn run(args: Args) -> Result<()> {
    let layer = layer(&args)?;
    let limits = args.device.limits();
    let clock = args.clock.or(args.device.clock()).unwrap_or(CLOCK_HZ);
    let mut plans = search::rank(&layer, &limits)
        .map_err(|error| args.device.explain(search::refused(&error, &limits)))?;
    plans.truncate(args.count.max(1));
    if args.json {
        say!(
            "{}",
            json!({
                "core": args.device.core(),
                "clock_hz": clock,
                "plans": plans.iter().map(|plan| describe(plan, clock)).collect::<Vec<_>>(),
            })
        );
        return Ok(());
    }
    table(&args, clock, &plans);
    Ok(())
}

/// The layer the flags describe.
fn layer(args: &Args) -> Result<Layer> {
    let (inputs, hidden) = (&args.input_modes.0, &args.hidden_modes.0);
    product("input-modes", inputs)?;
    let units = product("hidden-modes", hidden)?;
    let input = MapShape::to_gates(args.input_map.with(args.blocks, args.rank), inputs, hidden);
    input.validate("", "hidden-modes")?;
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
        recurrent.validate("recurrent-", "hidden-modes")?;
    }
    let pool = match args.pool {
        crate::float::config::Pool::Last => Pool::Last,
        crate::float::config::Pool::Mean => Pool::Mean,
    };
    Ok(Layer {
        input,
        recurrent,
        arena: ArenaLayout::new((Cell::Lstm, 1), units, pool, 0, 0),
    })
}

fn product(field: &str, modes: &[usize]) -> Result<usize> {
    modes
        .iter()
        .try_fold(1usize, |product, &mode| product.checked_mul(mode))
        .filter(|&product| product < 1 << 28)
        .ok_or_else(|| {
            Error::new(ErrorKind::TooLarge {
                modes: modes.to_vec(),
                allowed: "modes that multiply to less than 268,435,456",
            })
            .field(field)
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

fn table(args: &Args, clock: u64, plans: &[Ranked]) {
    say!(
        "input map {} -> 4 x {} on {:?}: plans, fastest first, each smaller in RAM or flash than those above",
        args.input_modes,
        args.hidden_modes,
        args.device.core()
    );
    say!(
        "{:>10} {:>12} {:>10} {:>8} {:>8}  plan ({} MHz)",
        "MACs",
        "instructions",
        "ms",
        "RAM",
        "flash",
        clock as f64 / 1e6
    );
    for plan in plans {
        let cost = &plan.input.cost;
        say!(
            "{:>10} {:>12} {:>10.3} {:>8} {:>8}  {}",
            cost.macs,
            cost.instructions,
            milliseconds(cost, clock),
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
    say!(
        "recurrent map {} -> 4 x {}",
        args.hidden_modes,
        args.hidden_modes
    );
    let mut shown: Vec<String> = Vec::new();
    for map in recurrent {
        let cost = &map.cost;
        let line = format!(
            "{:>10} {:>12} {:>10.3} {:>8} {:>8}  {}",
            cost.macs,
            cost.instructions,
            milliseconds(cost, clock),
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
        args.hidden_modes.0.iter().product::<usize>()
    );
}
