//! A state over the line and a power cycle.

use bt_core::{Model, Session};
use bt_tests::line::{End, Faults};
use bt_tests::model::{Dense, Noise, scores_of};
use tools::device::{Device, Identity};

use super::{ARENA, shapes, with_device};

/// A stream goes on after the power was gone, from what the host saved, with the scores of one that never broke.
#[test]
fn a_state_goes_over_the_line_and_a_power_cycle() {
    for (shape, faults) in shapes().into_iter().zip([0, 300].into_iter().cycle()) {
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let faults = [Faults {
            flip: faults,
            ..Faults::default()
        }; 2];
        let frame = shape.values * shape.input_type.bytes();
        let bytes = Noise::new(7).bytes(5 * frame);
        let (first, second) = bytes.split_at(3 * frame);
        let stream = |device: &mut Device<End>, bytes: &[u8]| {
            // Short chunks, so that most frames survive.
            for chunk in bytes.chunks(40) {
                device.chunk(chunk).unwrap();
            }
        };
        let state = with_device(file.bytes(), faults, 1, |mut device, _| {
            device.reset().unwrap();
            stream(&mut device, first);
            device.save().unwrap()
        });
        let mut arena = vec![0; ARENA];
        let mut session = Session::new(&model, &mut arena).unwrap();
        session.load(&state).unwrap();
        assert_eq!(session.steps(), 3);
        with_device(file.bytes(), faults, 2, |mut device, _| {
            let identity = device.hello().unwrap();
            // What was under way is forgotten.
            stream(&mut device, &[1; 3]);
            let short = Identity {
                chunk_bytes_max: 43,
                ..identity
            };
            device.load(&short, &state).unwrap();
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw), (3, scores_of(&model, first)));
            stream(&mut device, second);
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw), (5, scores_of(&model, &bytes)));
        });
    }
}

#[test]
fn a_damaged_state_is_refused_by_name_on_both_ends() {
    let file = Dense::default().model();
    let other = Dense {
        seed: 9,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(file.bytes()).unwrap();
    let states: Vec<Vec<u8>> = [&file, &other]
        .into_iter()
        .map(|file| {
            with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
                device.chunk(&[3; 14]).unwrap();
                device.save().unwrap()
            })
        })
        .collect();
    let [state, of_other] = &states[..] else {
        panic!("two states");
    };
    let (crc, other_crc) = (model.crc(), Model::parse(other.bytes()).unwrap().crc());
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        let identity = device.hello().unwrap();
        let message = |result: anyhow::Result<()>| result.unwrap_err().to_string();
        // The host's end.
        for at in 0..state.len() {
            let mut damaged = state.clone();
            damaged[at] ^= 4;
            assert_eq!(
                message(device.load(&identity, &damaged)),
                "the state is damaged"
            );
        }
        assert_eq!(
            message(device.load(&identity, of_other)),
            format!("the state is of model {other_crc:08x}, the device has model {crc:08x}")
        );
        // The device's own: a host that does not look. It has no hello to compare with.
        let trusting = Identity {
            model_crc: other_crc,
            ..identity.clone()
        };
        assert_eq!(
            message(device.load(&trusting, of_other)),
            format!("the device answered: the state is another model's than {crc:08x}")
        );
        let mut long = state.clone();
        long.splice(8..8, [0; 8]);
        reseal(&mut long);
        assert_eq!(
            message(device.load(&identity, &long)),
            format!(
                "the device answered: a state has {} bytes, and this is longer",
                state.len()
            )
        );
        let mut short = state.clone();
        short.drain(8..12);
        reseal(&mut short);
        assert_eq!(
            message(device.load(&identity, &short)),
            format!("a state has {} bytes, not {}", state.len(), short.len())
        );
        // Which leaves the device waiting: it says so, and a reset ends it.
        assert_eq!(
            message(device.chunk(&[0; 2]).map(drop)),
            format!(
                "the device answered: byte {} of a state is due, or a reset",
                short.len()
            )
        );
        // More steps than the mean has: right checksum, and no session comes to it.
        let mut impossible = state.clone();
        impossible[8] ^= 1;
        reseal(&mut impossible);
        assert_eq!(
            message(device.load(&identity, &impossible)),
            "the device answered: the state is damaged"
        );
        // It serves on, and in the middle of a step there is no state.
        device.reset().unwrap();
        device.chunk(&[3; 13]).unwrap();
        assert_eq!(
            message(device.save().map(drop)),
            "the device answered: a step is under way; a state is saved between steps"
        );
        device.chunk(&[3]).unwrap();
        assert_eq!(device.save().unwrap(), *state);
    });
}

/// A right checksum under changed bytes of a state.
fn reseal(state: &mut [u8]) {
    let (bytes, sum) = state.split_last_chunk_mut::<4>().unwrap();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    *sum = crc.checksum(bytes).to_le_bytes();
}
