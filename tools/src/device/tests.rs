use super::*;

fn identity(frame_values: usize, step_ticks: u32) -> Identity {
    Identity {
        firmware: [0, 1, 0],
        input: InputType::I16,
        golden: Golden::Passed,
        score_shift: 0,
        chunk_bytes_max: 1000,
        classes: 2,
        hidden: 4,
        frame_values,
        arena_bytes: 256,
        model_crc: 0,
        tick_hz: 16_000_000,
        step_ticks,
        sample_hz: 0,
        board: String::new(),
        model: String::new(),
    }
}

/// By hand: twice the ticks · steps of a chunk / clock.
#[test]
fn a_slow_core_is_given_the_time_that_it_needs() {
    // 5 s a step, of which a chunk ends one at most.
    let longest = steps_of_chunk(&identity(57_600, 80_000_000));
    assert_eq!(longest, Duration::from_secs(10));
    // Five frames of 200 bytes end in a chunk of 1000, and a sixth that began before.
    let several = steps_of_chunk(&identity(100, 16_000_000));
    assert_eq!(several, Duration::from_secs(12));
    // What a device says wrongly does no harm.
    let strange = Identity {
        tick_hz: 0,
        ..identity(0, u32::MAX)
    };
    assert!(steps_of_chunk(&strange) > Duration::from_secs(1));
}
