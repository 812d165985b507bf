//! Products with contiguous columns in registers.
//!
//! The products of a contraction are small (sums of 4 to 30, 16 or 32
//! columns), so nothing is packed: rows of `b` are loaded as they lie, `a` is
//! broadcast value by value from wherever its strides lead, and a tile of `c`
//! stays in registers through the whole sum.

/// The product over the registers of the module it stands in. The module has
/// `Register` of `LANES` lanes, `Mask`, `ROWS_MAX` (most rows of a tile one
/// register wide and of one two registers wide) and `zero`, `mask`, `load`,
/// `splat`, `fused`, `sum_of`, `store`. `$rows` are the heights of tiles of one
/// and of two registers, `$tall` those of one register alone.
macro_rules! products {
    ($features:literal, $($rows:literal)*; $($tall:literal)*) => {
        /// Tiles of one size, below each other: where their first values lie.
        #[derive(Clone, Copy)]
        struct Tiles {
            a: *const f32,
            b: *const f32,
            c: *mut f32,
            /// How many, in each product of the batch.
            count: usize,
            /// Valid lanes of the last register.
            mask: Mask,
        }

        /// Computes the product.
        ///
        /// # Safety
        /// The processor has the features, and as for [`Product::multiply`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn run(product: &Product, a: *const f32, b: *const f32, c: *mut f32) {
            let mut col = 0;
            while col < product.cols {
                let width = (product.cols - col).min(2 * LANES);
                let registers = width.div_ceil(LANES);
                let lanes = width - (registers - 1) * LANES;
                let mask = mask(lanes);
                // Tiles of nearly equal height, so that none is left with a row or two:
                // first those of one row more.
                let count = product.rows.div_ceil(ROWS_MAX[registers - 1]);
                let (rows, taller) = (product.rows / count, product.rows % count);
                for (row, rows, count) in [
                    (0, rows + 1, taller),
                    (taller * (rows + 1), rows, count - taller),
                ] {
                    if count == 0 {
                        continue;
                    }
                    // SAFETY: `row` and `col` are inside the product, whose indices
                    // the caller vouches for; `mask` ends at its last column.
                    unsafe {
                        let tiles = Tiles {
                            a: a.add(row * product.a.line),
                            b: b.add(col),
                            c: c.add(row * product.c_row + col),
                            count,
                            mask,
                        };
                        dispatch(product, tiles, rows, registers);
                    }
                }
                col += width;
            }
        }

        /// Calls the code for tiles of this size.
        ///
        /// # Safety
        /// As for [`run`], for `rows` rows and `registers` registers a tile.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn dispatch(product: &Product, tiles: Tiles, rows: usize, registers: usize) {
            // SAFETY: passed on from the caller.
            unsafe {
                match (registers, rows) {
                    $((1, $rows) => run_tiles::<$rows, 1>(product, tiles),
                    (2, $rows) => run_tiles::<$rows, 2>(product, tiles),)*
                    $((1, $tall) => run_tiles::<$tall, 1>(product, tiles),)*
                    _ => unreachable!("no tile of {rows} rows"),
                }
            }
        }

        /// Tiles of `ROWS` rows and `WIDE` registers.
        ///
        /// # Safety
        /// As for [`run`].
        #[target_feature(enable = $features)]
        unsafe fn run_tiles<const ROWS: usize, const WIDE: usize>(p: &Product, tiles: Tiles) {
            let full = mask(LANES);
            let mask = |register: usize| {
                if register + 1 == WIDE {
                    tiles.mask
                } else {
                    full
                }
            };
            // Row 4·g + i is reached from a pointer of its group g, so that no address
            // waits for another one's.
            let line = p.a.line;
            for batch in 0..p.batch {
                for tile in 0..tiles.count {
                    // SAFETY: every offset is one of the product's indices.
                    unsafe {
                        let mut sums = [[zero(); WIDE]; ROWS];
                        let a = tiles.a.add(batch * p.a.batch + tile * ROWS * line);
                        let b = tiles.b.add(batch * p.b.batch);
                        let c = tiles.c.add(batch * p.c_batch + tile * ROWS * p.c_row);
                        for outer in 0..p.outer {
                            let a = a.add(outer * p.a.outer);
                            let mut groups: [*const f32; 4] =
                                std::array::from_fn(|g| super::tiles::opaque(a.wrapping_add(4 * g * line)));
                            let mut b = b.add(outer * p.b.outer);
                            for _ in 0..p.inner {
                                let values: [Register; WIDE] = std::array::from_fn(|r| {
                                    load(b.add(r * LANES), mask(r))
                                });
                                for (row, sums) in sums.iter_mut().enumerate() {
                                    let value =
                                        splat(*groups[row / 4].wrapping_add(row % 4 * line));
                                    for (sum, values) in sums.iter_mut().zip(values) {
                                        *sum = fused(value, values, *sum);
                                    }
                                }
                                for group in &mut groups {
                                    *group = super::tiles::opaque(group.wrapping_add(p.a.inner));
                                }
                                b = b.wrapping_add(p.b.inner);
                            }
                        }
                        for (row, sums) in sums.iter().enumerate() {
                            for (r, &sum) in sums.iter().enumerate() {
                                let c = c.add(row * p.c_row + r * LANES);
                                let value = if p.add {
                                    sum_of(sum, load(c, mask(r)))
                                } else {
                                    sum
                                };
                                store(c, mask(r), value);
                            }
                        }
                    }
                }
            }
        }
    };
}

pub(super) use products;

/// The same address, about which the compiler knows nothing: left to itself it
/// keeps sixteen row pointers, more than there are registers, or finds each
/// row's address by adding the stride to the row before.
#[inline(always)]
pub(super) fn opaque(mut address: *const f32) -> *const f32 {
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!(
            "/* {0} */",
            inout(reg) address,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    address
}
