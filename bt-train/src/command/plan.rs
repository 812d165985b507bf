//! `bt-train plan --input-modes 8x20x20x18 --hidden-modes 4x4x4x4`

use crate::command::device::DeviceArgs;
use crate::command::units::bytes;
use crate::error::{Error, ErrorKind, Result, With};
use crate::float::config::InputFilter;
use crate::plan::cost::Cost;
use crate::plan::search::{self, Layers, MapPlan, MapRanked, Ranked, WholeMap};
use crate::plan::shapes::{self, Found, Request};
use crate::plan::timing::Processor;
use crate::say;
use crate::shape::{Cell, MapName, MapShape};
use crate::training::modes::Modes;
use bt_core::about::Pool;
use bt_core::internals::model::layout::LAYERS_MAX;
use bt_core::internals::model::{ArenaLayout, Kept};
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
    /// Cell: what moves the state on
    #[arg(long, default_value = "lstm")]
    pub cell: Cell,
    /// Layers, one on top of the other; with more than one, all maps are planned
    #[arg(long, default_value_t = 1)]
    pub layers: usize,
    /// Form of the map from the frame; above the first layer, of that from the layer below
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
    /// Filter over time, as of `train`; it takes RAM for each value of z: a difference 2 bytes, a mean 4
    #[arg(long, value_name = "FILTER", default_value = "none")]
    pub input_filter: InputFilter,
    #[command(flatten)]
    device: DeviceArgs,
    /// Wait states of the flash that weights are read from, for cycles and milliseconds
    ///
    /// A flash of 16 bytes a line. Instruction fetches are taken to be cached or fetched ahead.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub wait_states: u32,
    /// List shapes instead of plans: other modes with the same products, and N and R up to --blocks and --rank, of which
    /// none has both more weights and more instructions than another
    #[arg(long, conflicts_with_all = ["recurrent_map", "recurrent_blocks", "recurrent_rank", "input_map", "layers"])]
    pub search_shapes: bool,
    /// With --search-shapes: most weights of the input map, 4K, 4096
    #[arg(long, value_name = "WEIGHTS", value_parser = bytes, requires = "search_shapes")]
    pub parameters: Option<usize>,
    /// Plans to list at most
    #[arg(long, value_name = "PLANS", default_value_t = 10)]
    pub count: usize,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Searches all plans and prints the best.
///
/// # Errors
/// When the modes do not go together, or nothing fits the limits.
pub fn run(args: Args) -> Result<()> {
    if args.json {
        say!("{}", report(&args)?);
    } else if args.search_shapes {
        list_shapes(&args, &speed(&args), &shapes(&args)?);
    } else {
        table(&args, &speed(&args), &plans(&args)?);
    }
    Ok(())
}

/// For programs.
///
/// # Errors
/// As [`run`].
pub fn report(args: &Args) -> Result<Value> {
    let speed = speed(args);
    let mut object = json!({
        "core": speed.processor,
        "clock_hz": speed.clock_hz,
        "wait_states": speed.wait_states,
    });
    if args.search_shapes {
        let shapes = shapes(args)?;
        let shapes = shapes
            .iter()
            .map(|shape| describe_shape(args, shape, &speed));
        object["shapes"] = shapes.collect();
    } else {
        let plans = plans(args)?;
        let plans = plans.iter().map(|plan| describe(args, plan, &speed));
        object["plans"] = plans.collect();
    }
    Ok(object)
}

fn speed(args: &Args) -> Speed {
    Speed {
        processor: args.device.processor(),
        clock_hz: args.device.clock(),
        wait_states: args.wait_states,
    }
}

fn plans(args: &Args) -> Result<Vec<Ranked>> {
    let limits = args.device.limits()?;
    let layers = layers(args)?;
    let mut plans = search::rank(&layers, &limits)
        .map_err(|error| args.device.explain(search::refused(&error, &limits)))?;
    plans.truncate(args.count.max(1));
    Ok(plans)
}

/// The layers the flags describe.
fn layers(args: &Args) -> Result<Layers> {
    let (inputs, hidden) = (&args.input_modes.0, &args.hidden_modes.0);
    product("input-modes", inputs)?;
    let units = product("hidden-modes", hidden)?;
    if !(1..=LAYERS_MAX).contains(&args.layers) {
        let allowed = format!("1 to {LAYERS_MAX} are possible");
        return Err(Error::out_of_range(args.layers, allowed).field("layers"));
    }
    let cell = args.cell.device();
    let shape = |kind, inputs| MapShape::to_gates(cell.gates(), kind, inputs, hidden);
    let kind = args.input_map.with(args.blocks, args.rank);
    let input = shape(kind, inputs);
    input.validate("", "hidden-modes")?;
    let form = (args.recurrent_blocks, args.recurrent_rank);
    let is_given = args.recurrent_map.is_some() || form != (None, None);
    if is_given && !cell.is_recurrent() {
        let why = "a minGRU has no map from the hidden state";
        return Err(Error::new(ErrorKind::Conflict {
            with: With::Cell,
            why,
        })
        .field("cell")
        .remedy("leave the flags of the recurrent map out"));
    }
    let is_planned = cell.is_recurrent() && (is_given || args.layers > 1);
    let recurrent = is_planned.then(|| {
        let map = args.recurrent_map.unwrap_or(match is_given {
            true => MapName::BlockTerm,
            false => MapName::Dense,
        });
        let (blocks, rank) = form;
        shape(map.with(blocks.unwrap_or(2), rank.unwrap_or(4)), hidden)
    });
    if let Some(recurrent) = &recurrent {
        recurrent.validate("recurrent-", "hidden-modes")?;
    }
    let arena = arena(args, args.layers, units);
    let whole = |shape, apart_words| WholeMap { shape, apart_words };
    let of_layer = |at: usize| {
        let recurrent = recurrent.clone();
        let recurrent = recurrent.map(|shape| whole(shape, arena.apart_words()));
        let below = (at > 0).then(|| whole(shape(kind, hidden), 0));
        below.into_iter().chain(recurrent)
    };
    Ok(Layers {
        input,
        whole: (0..args.layers).flat_map(of_layer).collect(),
        arena,
    })
}

/// Where a session of so many units a layer keeps what.
fn arena(args: &Args, layers: usize, units: usize) -> ArenaLayout {
    let pool = match args.pool {
        crate::float::config::Pool::Last => Pool::Last,
        crate::float::config::Pool::Mean => Pool::Mean,
        crate::float::config::Pool::Recent => Pool::Recent,
    };
    // A mean takes the same whatever its horizon.
    let kept = match args.input_filter {
        InputFilter::None => None,
        InputFilter::Difference => Some(Kept::Filter(0)),
        InputFilter::HighPass => Some(Kept::Filter(1)),
    };
    ArenaLayout::new(
        (args.cell.device(), layers),
        units,
        (pool, None),
        kept,
        0,
        0,
    )
}

fn shapes(args: &Args) -> Result<Vec<Found>> {
    let inputs = product("input-modes", &args.input_modes.0)?;
    let units = product("hidden-modes", &args.hidden_modes.0)?;
    let found = shapes::search(&Request {
        gates: args.cell.device().gates(),
        inputs,
        units,
        blocks: args.blocks,
        rank: args.rank,
        parameters: args.parameters,
        limits: args.device.limits()?,
        arena: arena(args, 1, units),
    });
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NoShape { inputs, units })
            .field("search-shapes")
            .remedy("allow more weights (--parameters), RAM or flash, or choose numbers with small factors"));
    }
    Ok(found)
}

fn describe_shape(args: &Args, one: &Found, speed: &Speed) -> Value {
    let mut object = describe(args, &one.plan, speed);
    object["input_modes"] = json!(one.shape.inputs);
    object["hidden_modes"] = json!(one.hidden);
    object["blocks"] = one.blocks.into();
    object["rank"] = one.rank.into();
    object["parameters"] = one.parameters.into();
    object
}

fn list_shapes(args: &Args, speed: &Speed, found: &[Found]) {
    let inputs: usize = args.input_modes.0.iter().product();
    let units: usize = args.hidden_modes.0.iter().product();
    say!(
        "{inputs} values -> {} x {units} on {:?}: weights against predicted instructions, a front for each N and R",
        args.cell.device().gates(),
        speed.processor
    );
    say!(
        "{:>2} {:>2} {:>8} {:>12} {:>10} {:>8} {:>8}  input -> hidden ({})",
        "N",
        "R",
        "weights",
        "instructions",
        "ms",
        "RAM",
        "flash",
        speed.about()
    );
    for one in found {
        say!(
            "{:>2} {:>2} {:>8} {:>12} {:>10.3} {:>8} {:>8}  {} -> {}",
            one.blocks,
            one.rank,
            one.parameters,
            one.plan.instructions,
            speed.milliseconds(&one.plan.input.cost),
            one.plan.ram_bytes,
            one.plan.flash_bytes,
            Modes(one.shape.inputs.clone()),
            Modes(one.hidden.clone())
        );
    }
    say!(
        "The map from the hidden state is not counted. What accuracy a shape costs, training tells."
    );
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

fn describe(args: &Args, plan: &Ranked, speed: &Speed) -> Value {
    let map = |map: &MapRanked| {
        let mut object = json!({
            "plan": map.plan.to_string(),
            "macs": map.cost.macs,
            "padded_macs": map.cost.padded_macs,
            "instructions": map.cost.instructions,
            "cycles": speed.cycles(&map.cost),
            "milliseconds": speed.milliseconds(&map.cost),
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
    if args.layers == 1
        && let Some(recurrent) = plan.whole.first()
    {
        object["recurrent"] = map(recurrent);
    }
    if args.layers > 1 {
        object["whole"] = plan.whole.iter().map(map).collect();
    }
    object
}

/// What makes milliseconds of instructions.
struct Speed {
    processor: Processor,
    clock_hz: u64,
    wait_states: u32,
}

impl Speed {
    fn cycles(&self, cost: &Cost) -> u64 {
        cost.cycles(self.processor, self.wait_states)
    }

    /// What milliseconds rest on.
    fn about(&self) -> String {
        format!(
            "{} MHz, {} wait states; cycles about, by {}",
            self.clock_hz as f64 / 1e6,
            self.wait_states,
            self.processor.timing().source
        )
    }

    fn milliseconds(&self, cost: &Cost) -> f64 {
        self.cycles(cost) as f64 / self.clock_hz as f64 * 1e3
    }
}

fn table(args: &Args, speed: &Speed, plans: &[Ranked]) {
    say!(
        "input map {} -> {} x {} on {:?}: plans, fastest first, each smaller in RAM or flash than those above",
        args.input_modes,
        args.cell.device().gates(),
        args.hidden_modes,
        args.device.processor()
    );
    say!(
        "{:>10} {:>12} {:>10} {:>8} {:>8}  plan ({})",
        "MACs",
        "instructions",
        "ms",
        "RAM",
        "flash",
        speed.about()
    );
    for plan in plans {
        let cost = &plan.input.cost;
        say!(
            "{:>10} {:>12} {:>10.3} {:>8} {:>8}  {}",
            cost.macs,
            cost.instructions,
            speed.milliseconds(cost),
            plan.ram_bytes,
            plan.flash_bytes,
            plan.input.plan
        );
    }
    if plans.iter().all(|plan| plan.whole.is_empty()) {
        let missing = "flash is the input map's; --recurrent-map plans the recurrent one too";
        if args.cell.device().is_recurrent() {
            say!("{missing}");
        }
        return;
    }
    let whole = plans.iter().flat_map(|plan| &plan.whole);
    say!(
        "maps of the hidden state, {} of {} -> {} x {}",
        plans.first().map_or(0, |plan| plan.whole.len()),
        args.hidden_modes,
        args.cell.device().gates(),
        args.hidden_modes
    );
    let mut shown: Vec<String> = Vec::new();
    for map in whole {
        let cost = &map.cost;
        let line = format!(
            "{:>10} {:>12} {:>10.3} {:>8} {:>8}  {}",
            cost.macs,
            cost.instructions,
            speed.milliseconds(cost),
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
        "RAM is a whole session's ({} x {} hidden units), flash that of all maps",
        args.layers,
        args.hidden_modes.0.iter().product::<usize>()
    );
}
