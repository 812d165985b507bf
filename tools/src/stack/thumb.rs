//! What a Thumb instruction does to the stack and to the flow of control; encodings by the Armv7-M manual, A5 and A7.7.

/// The effect of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// None of the following. A jump through a table that lies beside the code is one, too: it stays in its function.
    None,
    /// Goes, or may go, to an address.
    Jump(u64),
    /// Goes there and comes back.
    Call(u64),
    /// Calls what a register points to.
    CallPointer,
    /// Goes where a register or a word of memory points to, and does not come back.
    JumpPointer,
    /// Takes so many bytes of stack.
    Push(u64),
    /// Loads the word at an address into a register.
    Load { to: u16, place: u64 },
    /// Adds a register to the stack pointer.
    Add(u16),
    /// A register becomes another one, or itself, less some bytes.
    Less { to: u16, from: u16, bytes: u64 },
    /// Changes the stack pointer in a way that is none of these.
    Unknown,
}

/// The stack pointer.
pub(super) const SP: u16 = 13;
/// The frame pointer of Thumb code.
pub(super) const FP: u16 = 7;
const LR: u16 = 14;
const PC: u16 = 15;

/// Whether an instruction that begins so has a second half.
pub(super) fn is_long(first: u16) -> bool {
    first >> 11 >= 0b11101
}

/// The effect of the instruction at `at`.
pub(super) fn effect(first: u16, second: u16, at: u64) -> Effect {
    if is_long(first) {
        long(first, second, at)
    } else {
        short(first, at)
    }
}

/// Whether it is one of the floating-point unit.
pub(super) fn is_float(first: u16, second: u16) -> bool {
    first & 0xEC00 == 0xEC00 && matches!(second >> 8 & 15, 10 | 11)
}

fn bits(value: u16, from: u32, count: u32) -> u32 {
    u32::from(value) >> from & ((1 << count) - 1)
}

fn words(count: u32) -> Effect {
    Effect::Push(u64::from(count) * 4)
}

/// A jump by an offset of so many bits, its sign included.
fn jump(at: u64, offset: u32, width: u32) -> Effect {
    Effect::Jump(target(at, offset, width))
}

fn target(at: u64, offset: u32, width: u32) -> u64 {
    let signed = (offset << (32 - width)) as i32 >> (32 - width);
    (at + 4).wrapping_add_signed(signed.into()) & 0xFFFF_FFFF
}

fn short(code: u16, at: u64) -> Effect {
    let low = |from: u32| bits(code, from, 3) as u16;
    let any = bits(code, 3, 4) as u16;
    match code {
        // B, conditional or not, CBZ and CBNZ.
        _ if code >> 11 == 0b11100 => jump(at, bits(code, 0, 11) << 1, 12),
        _ if code >> 12 == 0b1101 && bits(code, 8, 4) < 14 => jump(at, bits(code, 0, 8) << 1, 9),
        _ if code & 0xF500 == 0xB100 => jump(at, bits(code, 9, 1) << 6 | bits(code, 3, 5) << 1, 8),
        // BLX and BX; to LR it is a return.
        _ if code & 0xFF80 == 0x4780 => Effect::CallPointer,
        _ if code & 0xFF80 == 0x4700 && any != LR => Effect::JumpPointer,
        // PUSH; SUB, ADD and MOV to SP.
        _ if code & 0xFE00 == 0xB400 => words(bits(code, 0, 9).count_ones()),
        _ if code & 0xFF80 == 0xB080 => words(bits(code, 0, 7)),
        _ if code & 0xFF87 == 0x4485 => Effect::Add(any),
        _ if code & 0xFF87 == 0x4685 => Effect::Less {
            to: SP,
            from: any,
            bytes: 0,
        },
        // LDR of a constant.
        _ if code >> 11 == 0b01001 => Effect::Load {
            to: low(8),
            place: (at & !3) + 4 + u64::from(bits(code, 0, 8) << 2),
        },
        // SUBS with 3 or 8 bits.
        _ if code & 0xFE00 == 0x1E00 => Effect::Less {
            to: low(0),
            from: low(3),
            bytes: bits(code, 6, 3).into(),
        },
        _ if code >> 11 == 0b00111 => Effect::Less {
            to: low(8),
            from: low(8),
            bytes: bits(code, 0, 8).into(),
        },
        _ => Effect::None,
    }
}

fn long(first: u16, second: u16, at: u64) -> Effect {
    let to = bits(second, 8, 4) as u16;
    let loaded = bits(second, 12, 4) as u16;
    match first {
        _ if first >> 11 == 0b11110 && second & 0x8000 != 0 => branch(first, second, at),
        // SUB and ADD with a constant, of eight bits spread or turned, or of twelve.
        _ if first & 0xFBE0 == 0xF1A0 => Effect::Less {
            to,
            from: bits(first, 0, 4) as u16,
            bytes: spread(constant(first, second)).into(),
        },
        _ if first & 0xFBF0 == 0xF2A0 => Effect::Less {
            to,
            from: bits(first, 0, 4) as u16,
            bytes: constant(first, second).into(),
        },
        _ if to == SP && matches!(first & 0xFBEF, 0xF10D | 0xF20D) => Effect::None,
        // Whatever else computes SP.
        _ if to == SP && (first >> 11 == 0b11110 || first & 0xFE00 == 0xEA00) => Effect::Unknown,
        // LDR: of PC from the stack, behind what was pushed, it is a return.
        _ if first == 0xF85D && second & 0xFF00 == 0xFB00 => Effect::None,
        _ if first & 0xFF70 == 0xF850 && loaded == PC => Effect::JumpPointer,
        _ if first & 0xFF70 == 0xF850 && loaded == SP => Effect::Unknown,
        // PUSH, VPUSH, STRD and STR below SP.
        0xE92D => words(u32::from(second).count_ones()),
        _ if first & 0xFFBF == 0xED2D => words(bits(second, 0, 8)),
        0xE96D => words(bits(second, 0, 8)),
        0xF84D if second & 0x0F00 == 0x0D00 => Effect::Push(bits(second, 0, 8).into()),
        _ => Effect::None,
    }
}

/// BL, B.W and what shares their form.
fn branch(first: u16, second: u16, at: u64) -> Effect {
    let (s, j1, j2) = (bits(first, 10, 1), bits(second, 13, 1), bits(second, 11, 1));
    let low = bits(second, 0, 11) << 1;
    match second & 0xD000 {
        0x9000 | 0xD000 => {
            let (i1, i2) = (1 ^ j1 ^ s, 1 ^ j2 ^ s);
            let high = s << 24 | i1 << 23 | i2 << 22 | bits(first, 0, 10) << 12;
            // BL, or B.
            match second & 0x4000 {
                0 => jump(at, high | low, 25),
                _ => Effect::Call(target(at, high | low, 25)),
            }
        }
        0x8000 if bits(first, 6, 4) < 14 => {
            let high = s << 20 | j2 << 19 | j1 << 18 | bits(first, 0, 6) << 12;
            jump(at, high | low, 21)
        }
        // MSR to MSP, PSP and CONTROL, which says which of them SP is.
        0x8000 if first & 0xFFE0 == 0xF380 && matches!(second & 0xFF, 8 | 9 | 20) => {
            Effect::Unknown
        }
        // Loops of Armv8.1-M end within their function.
        _ => Effect::None,
    }
}

/// The twelve bits of a constant.
fn constant(first: u16, second: u16) -> u32 {
    bits(first, 10, 1) << 11 | bits(second, 12, 3) << 8 | bits(second, 0, 8)
}

/// Eight bits repeated, or turned to another place.
fn spread(code: u32) -> u32 {
    let byte = code & 0xFF;
    match code >> 8 {
        0 => byte,
        1 => byte * 0x0001_0001,
        2 => byte * 0x0100_0100,
        3 => byte * 0x0101_0101,
        _ => (0x80 | code & 0x7F).rotate_right(code >> 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn less(to: u16, from: u16, bytes: u64) -> Effect {
        Effect::Less { to, from, bytes }
    }

    /// Words as `llvm-mc -triple=thumbv8.1m.main -mattr=+mve -show-encoding` gives them.
    #[test]
    fn instructions() {
        let load = Effect::Load {
            to: 6,
            place: 0x4DC,
        };
        for (first, second, expected) in [
            (0xB5F0, 0, Effect::Push(20)),         // push {r4-r7, lr}
            (0xB088, 0, Effect::Push(32)),         // sub sp, #32
            (0xE92D, 0x4FF0, Effect::Push(36)),    // push.w {r4-r11, lr}
            (0xED2D, 0x8B10, Effect::Push(64)),    // vpush {d8-d15}
            (0xE96D, 0x4504, Effect::Push(16)),    // strd r4, r5, [sp, #-16]!
            (0xF84D, 0x8D04, Effect::Push(4)),     // str r8, [sp, #-4]!
            (0xF84D, 0xED10, Effect::Push(16)),    // str lr, [sp, #-16]!
            (0xF5AD, 0x7D28, less(13, 13, 672)),   // sub.w sp, sp, #672
            (0xF2AD, 0x4D04, less(13, 13, 1028)),  // subw sp, sp, #1028
            (0xF1A7, 0x040C, less(4, 7, 12)),      // sub.w r4, r7, #12
            (0x1FFE, 0, less(6, 7, 7)),            // subs r6, r7, #7
            (0x3E05, 0, less(6, 6, 5)),            // subs r6, #5
            (0x46B5, 0, less(13, 6, 0)),           // mov sp, r6
            (0x44B5, 0, Effect::Add(6)),           // add sp, r6
            (0x4EF6, 0, load),                     // ldr r6, [pc, #984]
            (0xF50D, 0x7D28, Effect::None),        // add.w sp, sp, #672
            (0xEBAD, 0x0D04, Effect::Unknown),     // sub.w sp, sp, r4
            (0xF380, 0x8808, Effect::Unknown),     // msr msp, r0
            (0xF380, 0x880A, Effect::None),        // msr msplim, r0
            (0xF000, 0xF802, Effect::Call(0x108)), // bl +4
            (0xF7FF, 0xFFFE, Effect::Call(0x100)), // bl −4
            (0xF7FF, 0xBFFE, Effect::Jump(0x100)), // b.w −4
            (0xF43F, 0xAFFE, Effect::Jump(0x100)), // beq.w −4
            (0xF00F, 0xC005, Effect::None),        // le lr, −8
            (0xE7FE, 0, Effect::Jump(0x100)),      // b −4
            (0xD0FE, 0, Effect::Jump(0x100)),      // beq −4
            (0xB110, 0, Effect::Jump(0x108)),      // cbz r0, +4
            (0xBB50, 0, Effect::Jump(0x158)),      // cbnz r0, +84
            (0x4798, 0, Effect::CallPointer),      // blx r3
            (0x4718, 0, Effect::JumpPointer),      // bx r3
            (0xF8DD, 0xF008, Effect::JumpPointer), // ldr.w pc, [sp, #8]
            (0xF85D, 0xFB04, Effect::None),        // ldr pc, [sp], #4
            (0xE8DF, 0xF000, Effect::None),        // tbb [pc, r0]
            (0x4770, 0, Effect::None),             // bx lr
            (0xBDF0, 0, Effect::None),             // pop {r4-r7, pc}
        ] {
            let found = effect(first, second, 0x100);
            assert_eq!(found, expected, "{first:04x} {second:04x}");
        }
    }

    /// By the manual's table of constants.
    #[test]
    fn constants_are_spread() {
        for (code, value) in [
            (0x0AB, 0xAB),
            (0x1AB, 0x00AB_00AB),
            (0x2AB, 0xAB00_AB00),
            (0x3AB, 0xABAB_ABAB),
            (0x42B, 0xAB00_0000),
            (0xFAB, 0x156),
        ] {
            assert_eq!(spread(code), value, "{code:03x}");
        }
    }

    #[test]
    fn instructions_of_the_fpu() {
        assert!(is_float(0xED2D, 0x8B10)); // vpush {d8-d15}
        assert!(is_float(0xEE00, 0x1A10)); // vmov s0, r1
        assert!(!is_float(0xE92D, 0x4FF0));
        assert!(!is_float(0xEE07, 0x0F90)); // mcr p15, …
    }
}
