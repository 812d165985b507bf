//! Models that come over the line.

use super::*;

const ARENA: usize = 100;
const CLASSES: usize = 8;

type Flash = Chip<4, 1024>;

fn empty() -> Slots<Flash> {
    Slots {
        flash: [Chip::new(SLOT), Chip::new(SLOT)],
        accept: |_| true,
    }
}

/// A boot: the application with these slots, and a model in the program, until the test drops its device.
fn booted<T>(
    slots: &mut Slots<Flash>,
    program: &[u8],
    faults: Faults,
    test: impl FnOnce(&mut Device<End>) -> T,
) -> T {
    let (host, device) = line(faults, faults, 3);
    thread::scope(|scope| {
        let board = board(Uart(device));
        let served = scope.spawn(move || {
            let mut memory = Memory::<300, ARENA, CLASSES>::new();
            run_with_slots(board, Some(slots), program, &mut memory)
        });
        let mut device = Device::new(host, Instant::now() + Duration::from_secs(60));
        device.set_patience(Duration::from_millis(60));
        let result = test(&mut device);
        drop(device);
        assert_eq!(served.join().unwrap(), Ended::End);
        result
    })
}

/// The CRC of the model served, its slot, and its scores of one step.
fn serving(device: &mut Device<End>, file: &ModelBytes) -> (u8, u32) {
    let model = Model::parse(file.bytes()).unwrap();
    let identity = device.hello().unwrap();
    assert_eq!(identity.model_crc, model.crc());
    let bytes = Noise::new(4).bytes(model.frame_values() * 2);
    device.reset().unwrap();
    device.chunk(&bytes).unwrap();
    assert_eq!(device.scores().unwrap().raw, scores_of(&model, &bytes));
    let slots = device.slots().unwrap();
    assert_eq!(slots.passed_over, "");
    (slots.served, slots.sequence)
}

#[test]
fn models_come_over_the_line_and_are_served_at_once_and_after_a_boot() {
    for flip in [0, 400] {
        let faults = Faults {
            flip,
            ..Faults::default()
        };
        let mut slots = empty();
        let [own, a, b, c] = [1, 2, 3, 4].map(model);
        booted(&mut slots, own.bytes(), faults, |device| {
            assert_eq!(serving(device, &own), (0, 0));
            device.put_model(a.bytes()).unwrap();
            assert_eq!(serving(device, &a), (1, 0));
            device.put_model(b.bytes()).unwrap();
            assert_eq!(serving(device, &b), (2, 1));
        });
        booted(&mut slots, own.bytes(), faults, |device| {
            assert_eq!(serving(device, &b), (2, 1));
            // Behind a model stands what the product wants to check.
            let signed = [c.bytes(), b"signature"].concat();
            device.put_model(&signed).unwrap();
            assert_eq!(serving(device, &c), (1, 2));
        });
        // Without a model in the program too.
        booted(&mut slots, &[], faults, |device| {
            assert_eq!(serving(device, &c), (1, 2));
        });
        // A slot that lost a bit while the power was off is none.
        slots.flash[0].bytes_mut()[RECORD_BYTES + 40] ^= 1;
        booted(&mut slots, own.bytes(), faults, |device| {
            assert_eq!(serving(device, &b), (2, 1));
        });
    }
}

/// The power fails in the middle of any request that writes; the next boot serves what was served.
#[test]
fn power_that_fails_in_any_request_leaves_what_was_served() {
    let (old, new) = (model(1), model(2));
    let mut slots = empty();
    booted(&mut slots, &[], Faults::default(), |device| {
        device.put_model(old.bytes()).unwrap();
    });
    let whole = (RECORD_BYTES + new.bytes().len()).next_multiple_of(1024) + new.bytes().len();
    let mut refused = 0;
    for power in (0..whole + 128).step_by(31) {
        slots.flash[1].power = Some(power);
        let put = booted(&mut slots, &[], Faults::default(), |device| {
            device.put_model(new.bytes())
        });
        slots.flash[1].power = None;
        let served = if put.is_ok() { &new } else { &old };
        if let Err(error) = put {
            refused += 1;
            let error = error.to_string();
            let named = [
                "the device answered: the flash could not be erased or written",
                "the device does not accept the model: the flash could not be erased or written",
            ];
            assert!(named.contains(&&*error), "{error}");
        }
        booted(&mut slots, &[], Faults::default(), |device| {
            serving(device, served);
        });
    }
    assert!(refused > 40, "{refused}");
}

#[test]
fn a_model_that_is_no_good_is_refused_by_name_and_the_other_served_on() {
    let own = model(1);
    let good = model(2);
    let mut slots = empty();
    slots.accept = |image| !image.ends_with(b"forged");
    let big = Dense {
        hidden: 40,
        classes: 2,
        ..Dense::default()
    }
    .model();
    let many = Dense {
        classes: 9,
        ..Dense::default()
    }
    .model();
    let need = Model::parse(big.bytes()).unwrap().arena_bytes();
    assert!(need > 4 * ARENA && big.bytes().len() < SLOT, "{need}");
    booted(&mut slots, own.bytes(), Faults::default(), |device| {
        device.put_model(good.bytes()).unwrap();
        let mut refusal = |image: &[u8]| device.put_model(image).unwrap_err().to_string();
        let rejected = |reason: &str| format!("the device does not accept the model: {reason}");
        assert_eq!(
            refusal(&[0; SLOT]),
            format!("the model has {SLOT} bytes, a slot {}", SLOT - RECORD_BYTES)
        );
        let mut old = good.bytes().to_vec();
        old[layout::VERSION_AT.start] = 2;
        let sum = layout::crc(&old).unwrap();
        old[layout::CRC_AT].copy_from_slice(&sum.to_le_bytes());
        let error = Model::parse(ModelBytes::from_unaligned(&old).bytes()).unwrap_err();
        assert_eq!(refusal(&old), rejected(&error.to_string()));
        assert!(
            error.to_string().contains("model file version 2"),
            "{error}"
        );
        assert_eq!(
            refusal(big.bytes()),
            rejected(&format!(
                "the arena has {} bytes, the model needs {need}",
                4 * ARENA
            ))
        );
        assert_eq!(
            refusal(many.bytes()),
            rejected("the firmware has room for 8 scores, the model gives 9")
        );
        assert_eq!(
            refusal(&[good.bytes(), b"forged"].concat()),
            rejected("the product does not accept the model")
        );
        assert_eq!(serving(device, &good), (1, 0));
    });
    // Sound by its CRC, and not what its exporter computed: found at boot, and passed over.
    let failing = failing();
    booted(&mut slots, own.bytes(), Faults::default(), |device| {
        device.put_model(failing.bytes()).unwrap();
        let identity = device.hello().unwrap();
        assert_eq!(
            identity.model_crc,
            Model::parse(good.bytes()).unwrap().crc()
        );
        let slots = device.slots().unwrap();
        assert_eq!(
            (slots.served, &*slots.passed_over),
            (1, "the model's self test failed")
        );
        // The next one takes its place.
        let next = model(7);
        device.put_model(next.bytes()).unwrap();
        assert_eq!(serving(device, &next), (2, 2));
    });
}

/// The device itself, whatever its host believes, and the model served goes on.
#[test]
fn an_image_larger_than_its_slot_is_refused_before_anything_is_erased() {
    let served = model(1);
    let mut slots = empty();
    booted(&mut slots, &[], Faults::default(), |device| {
        device.put_model(served.bytes()).unwrap();
    });
    let before = slots.flash[1].bytes().to_vec();
    let bytes = (SLOT - RECORD_BYTES) as u32;
    let (length, crc) = (bytes + 1, 7);
    let mut frame = [0; 64];
    let count = Request::Begin { length, crc }.encode(9, &mut frame);
    let frame = &frame[..count.unwrap()];
    booted(&mut slots, &[], Faults::default(), |device| {
        serving(device, &served);
        let line = device.stream();
        line.write_all(frame).unwrap();
        let mut decoder = Decoder::<300>::new();
        let mut ended = false;
        while !ended {
            let mut answer = [0; 1];
            // A read gives up for a while when nothing has come yet.
            if line.read(&mut answer).is_ok_and(|count| count == 1) {
                ended = decoder.ends_frame(answer[0]);
            }
        }
        let told = decoder.take().and_then(Reply::decode).unwrap();
        assert_eq!(told, (9, Reply::Error(wire::Error::SlotTooSmall { bytes })));
        serving(device, &served);
    });
    assert_eq!(slots.flash[1].bytes(), before);
}

/// A model whose golden vector it does not give.
fn failing() -> ModelBytes {
    let file = model(5);
    let mut bytes = file.bytes().to_vec();
    for at in (0..bytes.len()).rev() {
        bytes[at] ^= 1;
        let sum = layout::crc(&bytes).unwrap();
        bytes[layout::CRC_AT].copy_from_slice(&sum.to_le_bytes());
        let changed = ModelBytes::from_unaligned(&bytes);
        if let Ok(model) = Model::parse(changed.bytes()) {
            let mut arena = vec![0; model.arena_bytes() / 4];
            let mut session = Session::new(&model, &mut arena).unwrap();
            if session.self_test() != SelfTest::Passed {
                return changed;
            }
        }
        bytes[at] ^= 1;
    }
    panic!("no byte matters");
}

/// Firmware without slots says so, and so does a host of it.
#[test]
fn without_slots_there_is_a_word_for_it() {
    let file = model(1);
    let (host, device) = line(Faults::default(), Faults::default(), 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let board = board(Uart(device));
            bt_embed::app::run(
                board,
                file.bytes(),
                &mut Memory::<300, ARENA, CLASSES>::new(),
            )
        });
        let mut device = Device::new(host, Instant::now() + Duration::from_secs(60));
        let error = device.put_model(file.bytes()).unwrap_err().to_string();
        assert_eq!(error, "this firmware has no slots for models");
        assert_eq!(device.hello().unwrap().classes, 3);
    });
}
