//! Models that a device refuses, and the reasons it gives.

use bt_core::about::Feature;
use bt_core::detection::Watch;
use bt_core::error::{Field, ParseError, SessionError};
use bt_core::internals::model::layout;
use bt_core::{InputType, Model, ModelBytes};
use bt_embed::app::Memory;
use bt_embed::service::{Places, Refusal, Service};
use bt_embed::wire::REASON_BYTES_MAX;
use bt_tests::line::Faults;
use bt_tests::model::Dense;
use bt_tests::still::Still;

use super::with_device;

/// What a device says of a model that it refuses, twice.
fn refusal(model: &[u8]) -> String {
    with_device(model, [Faults::default(); 2], 1, |mut device, _| {
        let [first, second] = [(); 2].map(|()| device.hello().unwrap_err().to_string());
        assert_eq!(first, second);
        assert_eq!(device.reset().unwrap_err().to_string(), first);
        assert_eq!(device.repeats(), 0);
        let reason = first.strip_prefix("the device has no model to serve: ");
        reason.expect(&first).to_owned()
    })
}

#[test]
fn a_model_with_any_byte_changed_is_refused_and_the_device_serves_on() {
    let file = Dense::default().model();
    for at in 0..file.bytes().len() {
        let mut damaged = file.bytes().to_vec();
        damaged[at] ^= 1 << (at % 8);
        let damaged = ModelBytes::from_unaligned(&damaged);
        let error = Model::parse(damaged.bytes()).unwrap_err();
        if at % 40 == 0 {
            assert_eq!(refusal(damaged.bytes()), error.to_string());
        }
    }
}

/// The device gives the reason that the host would give, whatever it is.
#[test]
fn the_reason_of_a_refusal_crosses_the_line() {
    let file = Dense::default().model();
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut changed = file.bytes().to_vec();
        change(&mut changed);
        let sum = layout::crc(&changed).unwrap();
        changed[layout::CRC_AT].copy_from_slice(&sum.to_le_bytes());
        ModelBytes::from_unaligned(&changed)
    };
    let (oldest, newest) = (layout::VERSION_OLDEST, layout::VERSION);
    let refusals = [
        (
            changed(&|bytes| bytes[layout::VERSION_AT.start] = 77),
            format!("model file version 77, this build reads {oldest} to {newest}"),
        ),
        (
            changed(&|bytes| bytes[0] = b'Z'),
            "not a .btm model (wrong first bytes)".to_owned(),
        ),
        (
            changed(&|bytes| bytes[layout::HEADER_LEN..][..4].copy_from_slice(b"NEW!")),
            "model has a section this build does not know: NEW!".to_owned(),
        ),
    ];
    for (model, reason) in &refusals {
        assert_eq!(refusal(model.bytes()), *reason);
        let on_host = Model::parse(model.bytes()).unwrap_err();
        assert_eq!(on_host.to_string(), *reason);
    }
    let half = &file.bytes()[..file.bytes().len() / 2];
    let half = ModelBytes::from_unaligned(half);
    let (need, found) = (file.bytes().len(), half.bytes().len());
    assert_eq!(
        refusal(half.bytes()),
        format!("model has {found} bytes of {need}")
    );
}

/// The longest reasons there can be fit the reply.
#[test]
fn no_reason_is_cut() {
    let most = usize::MAX;
    let mut reasons = vec![
        ParseError::NoFrontEnd.to_string(),
        ParseError::FeatureOff(Feature::Cells).to_string(),
        ParseError::FeatureOff(Feature::Scales).to_string(),
        ParseError::FeatureOff(Feature::Painting).to_string(),
        ParseError::Crc {
            stated: u32::MAX,
            computed: u32::MAX,
        }
        .to_string(),
        ParseError::Version { found: u16::MAX }.to_string(),
        ParseError::UnknownSection { tag: [0xFF; 4] }.to_string(),
        ParseError::Truncated {
            need: most,
            found: most,
        }
        .to_string(),
        Refusal::Classes {
            need: most,
            found: most,
        }
        .to_string(),
        Refusal::SelfTest.to_string(),
        Refusal::Changed.to_string(),
        Refusal::Session(SessionError::ArenaTooSmall {
            need: most,
            found: most,
        })
        .to_string(),
    ];
    for &section in layout::Section::ALL {
        // The longest name of a field.
        let field = Field::ElementScaleTable;
        reasons.push(
            ParseError::Field {
                section,
                field,
                found: u32::MAX,
            }
            .to_string(),
        );
        reasons.push(
            ParseError::Stage {
                section,
                stage: most,
                field,
            }
            .to_string(),
        );
        reasons.push(
            ParseError::Overflow {
                section,
                index: most,
            }
            .to_string(),
        );
    }
    for reason in reasons {
        assert!(reason.len() <= usize::from(REASON_BYTES_MAX), "{reason}");
    }
}

#[test]
fn a_model_too_big_for_its_memory_is_refused() {
    let shape = Dense {
        hidden: 300,
        ..Dense::default()
    };
    let file = shape.model();
    let need = Model::parse(file.bytes()).unwrap().arena_bytes();
    assert_eq!(
        refusal(file.bytes()),
        format!("the arena has 4000 bytes, the model needs {need}")
    );
    let shape = Dense {
        classes: 71,
        ..Dense::default()
    };
    assert_eq!(
        refusal(shape.model().bytes()),
        "the firmware has room for 70 scores, the model gives 71"
    );
}

/// RAM of bits and rules is taken for models that have them: what is missing is refused, what is not used is nothing.
#[test]
fn memory_follows_the_model() {
    let shape = Dense {
        values: 12,
        classes: 12,
        ..Dense::default()
    };
    let bytes_in = Dense {
        input_type: InputType::U8,
        ..shape
    };
    for (file, bits, rules) in [
        (shape.model(), 0, 12),
        (shape.drawing(), 12, 0),
        (shape.painting(3, 4), 0, 0),
        (bytes_in.captioning(3), 0, 0),
    ] {
        let model = Model::parse(file.bytes()).unwrap();
        let fits = |bits: usize, rules: usize| {
            let places = Places {
                arena: &mut vec![0; model.arena_words()],
                scores: &mut [0; 12],
                drawn: &mut vec![0; bits],
                watches: &mut vec![Watch::OFF; rules],
            };
            let service = Service::new(&model, file.bytes(), places, Still, Still);
            service.err()
        };
        assert_eq!(fits(bits, rules), None);
        let refused = Some(Refusal::Classes {
            need: 12,
            found: 11,
        });
        assert_eq!(fits(bits, rules.max(1) - 1), refused.filter(|_| rules > 0));
        assert_eq!(fits(bits.max(1) - 1, rules), refused.filter(|_| bits > 0));
    }
    // Of each score 4 bytes, of each rule 12, of each bit one.
    let bytes = size_of::<Memory<300, 100, 2000>>();
    assert_eq!(
        bytes - size_of::<Memory<300, 100, 0>>(),
        2000 * (4 + 12 + 1)
    );
    assert_eq!(
        bytes - size_of::<Memory<300, 100, 2000, 0, 0>>(),
        2000 * (12 + 1)
    );
}
