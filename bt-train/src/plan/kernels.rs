//! The kernels that plans are made for, and how many instructions each thing takes that they do: fitted to counts of
//! QEMU (`cargo xtask bench` prints prediction and count side by side).

/// Kernels that plans are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kernels {
    /// Armv6-M, the register tile of contractions in assembly, the rest portable.
    M0,
    /// Armv7-M, the same.
    M3,
    /// RV32IM, all portable.
    Rv32,
    /// The DSP extension, all inner loops in assembly, weights from memory.
    M4,
    /// The same with an FPU, in whose registers weights wait.
    #[default]
    M4f,
    /// Helium.
    M55,
}

/// Instructions of each thing the kernels do.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// One k pair of a 2 × 4 tile: 16 multiply-accumulates.
    pub pair: f64,
    /// A stretch of 16 pairs of a row that is too long for the kernel's blocks.
    pub pass: f64,
    /// A tile whatever becomes of it: pointers, loop, start value.
    pub tile: f64,
    /// Requantising a tile and storing it as pairs or columns.
    pub store: f64,
    /// Requantising a tile and adding it to rows of z.
    pub add_rows: f64,
    /// Requantising a tile and storing it by a table.
    pub scatter: f64,
    /// Requantising a tile and adding it to z by a table.
    pub add_scatter: f64,
    /// Keeping the accumulators instead.
    pub keep: f64,
    /// Starting from kept accumulators.
    pub load: f64,
    /// A row of tiles.
    pub m_tile: f64,
    /// A run of a stage.
    pub run: f64,
    /// A stage whose turn it is not.
    pub skip: f64,
    /// A slab: the odometer, the call.
    pub slab: f64,
    /// A value gathered into a row of panels.
    pub gather_row: f64,
    /// A row begun.
    pub row: f64,
    /// A value gathered by a table.
    pub gather_table: f64,
    /// The same where pairs of rows share words.
    pub gather_pairs: f64,
    /// Two values times two rows of a dense map: 4 multiply-accumulates.
    pub dense_pair: f64,
    /// Two rows of a dense map.
    pub dense_rows: f64,
    /// A block of four rows of bytes of a dense map: 64 multiply-accumulates.
    pub byte_block: f64,
    /// Four such rows.
    pub byte_rows: f64,
    /// Taking sixteen values apart for them.
    pub byte_values: f64,
    /// Whether the weights of a row of tiles wait in registers.
    pub weights_wait: bool,
    /// What is otherwise of rows of at least a vector, but for stores by a table.
    pub vectors: Option<VectorCounts>,
}

/// Instructions of contractions on Helium.
#[derive(Debug, Clone, Copy)]
pub struct VectorCounts {
    /// Eight values of the rows of a tile, X loaded: 64 multiply-accumulates.
    pub vector: f64,
    /// Loading W of a vector.
    pub weights: f64,
    /// A pair of values before one or two vectors.
    pub pair: f64,
    /// A tile of a stage that has a loop of its own.
    pub tile: f64,
    /// Storing it.
    pub store: f64,
    /// Adding it to rows of z.
    pub add: f64,
    /// Keeping its sums.
    pub keep: f64,
    /// A run of such a stage.
    pub run: f64,
    /// A tile of the loop that takes every other stage.
    pub general: f64,
    /// The part there of a row that is no whole vector.
    pub part: f64,
    /// Finishing such a tile.
    pub general_store: f64,
}

impl Kernels {
    /// All of them.
    pub const ALL: [Kernels; 6] = [
        Self::M0,
        Self::M3,
        Self::Rv32,
        Self::M4,
        Self::M4f,
        Self::M55,
    ];

    /// Whether its kernels are faster with rows of whole vectors.
    pub fn has_vectors(self) -> bool {
        self.counts().vectors.is_some()
    }

    /// Whether it stores a value that is shifted and saturated for an instruction more than the top half of a
    /// sum: cores without a kernel for it take ten to thirty a value, and a top half costs Helium next to nothing.
    pub fn shifts_and_saturates_at_once(self) -> bool {
        matches!(self, Self::M4f | Self::M4)
    }

    /// The constants.
    pub fn counts(self) -> Counts {
        match self {
            Self::M4f => Counts {
                pair: 31.0 / 3.0,
                pass: 13.0,
                tile: 2.7,
                store: 11.0,
                add_rows: 25.0,
                scatter: 49.0,
                add_scatter: 83.0,
                keep: 13.0,
                load: 6.3,
                m_tile: 21.0,
                run: 160.0,
                skip: 6.0,
                slab: 130.0,
                gather_row: 1.9,
                row: 15.4,
                gather_table: 4.4,
                gather_pairs: 2.9,
                dense_pair: 3.6,
                dense_rows: 30.0,
                byte_block: 450.0,
                byte_rows: 140.0,
                byte_values: 0.0,
                weights_wait: true,
                vectors: None,
            },
            Self::M55 => Counts {
                add_rows: 30.0,
                run: 330.0,
                m_tile: 14.0,
                gather_table: 1.0,
                gather_pairs: 1.0,
                dense_pair: 1.11,
                dense_rows: 16.0,
                byte_block: 14.25,
                byte_rows: 20.0,
                byte_values: 12.0,
                vectors: Some(VectorCounts {
                    vector: 12.0,
                    weights: 2.0,
                    pair: 8.5,
                    tile: 3.0,
                    store: 7.0,
                    add: 17.0,
                    keep: 10.0,
                    run: 165.0,
                    general: 20.0,
                    part: 18.0,
                    general_store: 26.0,
                }),
                ..Self::M4f.counts()
            },
            Self::M4 => Counts {
                pair: 11.0,
                store: 15.0,
                add_rows: 30.0,
                m_tile: 14.0,
                run: 142.0,
                weights_wait: false,
                ..Self::M4f.counts()
            },
            Self::M3 => Counts {
                pair: 30.0,
                pass: 0.0,
                tile: 72.0,
                store: 44.0,
                add_rows: 90.0,
                scatter: 205.0,
                add_scatter: 235.0,
                keep: 20.0,
                load: 20.0,
                m_tile: 30.0,
                run: 230.0,
                skip: 8.0,
                slab: 300.0,
                gather_row: 4.0,
                row: 50.0,
                gather_table: 8.0,
                gather_pairs: 8.0,
                dense_pair: 23.0,
                dense_rows: 60.0,
                byte_block: 450.0,
                byte_rows: 140.0,
                byte_values: 0.0,
                weights_wait: false,
                vectors: None,
            },
            Self::Rv32 => Counts {
                pair: 53.0,
                pass: 0.0,
                tile: 95.0,
                store: 48.0,
                add_rows: 110.0,
                scatter: 190.0,
                add_scatter: 220.0,
                keep: 30.0,
                load: 30.0,
                m_tile: 35.0,
                run: 300.0,
                skip: 8.0,
                slab: 380.0,
                gather_row: 10.5,
                row: 45.0,
                gather_table: 10.5,
                gather_pairs: 10.5,
                dense_pair: 27.0,
                dense_rows: 70.0,
                byte_block: 600.0,
                byte_rows: 160.0,
                byte_values: 0.0,
                weights_wait: false,
                vectors: None,
            },
            Self::M0 => Counts {
                pair: 60.5,
                pass: 0.0,
                tile: 125.0,
                store: 64.0,
                add_rows: 150.0,
                scatter: 248.0,
                add_scatter: 290.0,
                keep: 40.0,
                load: 40.0,
                m_tile: 45.0,
                run: 400.0,
                skip: 10.0,
                slab: 500.0,
                gather_row: 14.0,
                row: 60.0,
                gather_table: 14.0,
                gather_pairs: 14.0,
                dense_pair: 39.4,
                dense_rows: 160.0,
                byte_block: 850.0,
                byte_rows: 300.0,
                byte_values: 0.0,
                weights_wait: false,
                vectors: None,
            },
        }
    }
}
