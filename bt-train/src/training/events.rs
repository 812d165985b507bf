//! Event files of TensorBoard: an epoch's figures as scalars, by the names `loss/train`, `loss/validation` and so on.
//!
//! Records as TensorFlow frames them: length, its check, message, its check. Times are left at 0, so that a run that
//! goes on has the bytes of an unbroken one; TensorBoard draws over the step, which is the epoch.

use crate::training::metrics::Keep;
use crate::training::trainer::Epoch;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// `Event` of TensorFlow's event.proto.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `Summary` of summary.proto.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `Summary.Value`, a scalar.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// What a file starts with.
pub fn start() -> Vec<u8> {
    record(&Event {
        file_version: Some("brain.Event:2".into()),
        ..Event::default()
    })
}

/// An epoch's figures.
pub fn of_epoch(epoch: &Epoch) -> Vec<u8> {
    let mut scalars = vec![("loss/train", Some(epoch.loss))];
    scalars.push(("accuracy/train", epoch.accuracy));
    let validation = |keep| epoch.validation.and_then(|score| score.get(keep));
    scalars.extend([
        ("loss/validation", validation(Keep::Loss)),
        ("accuracy/validation", validation(Keep::Accuracy)),
        (
            "balanced_accuracy/validation",
            validation(Keep::BalancedAccuracy),
        ),
        ("macro_f1/validation", validation(Keep::MacroF1)),
        ("rmse/validation", validation(Keep::Rmse)),
        ("mae/validation", validation(Keep::Mae)),
        ("r2/validation", validation(Keep::R2)),
        ("bleu/validation", validation(Keep::Bleu)),
        ("lr", Some(epoch.lr.into())),
        ("gradient", Some(epoch.gradient.into())),
    ]);
    let value = scalars.into_iter().filter_map(|(tag, value)| {
        Some(Value {
            tag: tag.into(),
            simple_value: Some(value? as f32),
        })
    });
    record(&Event {
        step: epoch.epoch as i64,
        summary: Some(Summary {
            value: value.collect(),
        }),
        ..Event::default()
    })
}

fn record(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(&message);
    record.extend(masked(&message).to_le_bytes());
    record
}

/// CRC-32C, turned and shifted so that a check of data with checks in them is a good one.
fn masked(bytes: &[u8]) -> u32 {
    const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CASTAGNOLI
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::evaluate::Score;
    use crate::training::metrics::Figures;

    /// Written by the Python package tensorboard 2.21: its messages, its record writer.
    #[test]
    fn bytes_are_those_of_tensorboard() {
        let epoch = Epoch {
            epoch: 3,
            loss: 0.5,
            accuracy: Some(0.75),
            validation: Some(Score {
                figures: Figures::Classes {
                    accuracy: 0.875,
                    balanced_accuracy: 0.8125,
                    macro_f1: 0.71875,
                },
                captions: None,
                loss: 0.625,
            }),
            lr: 0.25,
            gradient: 1.5,
        };
        let mut bytes = start();
        bytes.extend(of_epoch(&epoch));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, EXPECTED);
    }

    const EXPECTED: &str = "\
        0f000000000000006d532b091a0d627261696e2e4576656e743a32fc985129c0000000000000002b2f3c8210032abb010a11\
        0a0a6c6f73732f747261696e150000003f0a150a0e61636375726163792f747261696e150000403f0a160a0f6c6f73732f76\
        616c69646174696f6e150000203f0a1a0a1361636375726163792f76616c69646174696f6e150000603f0a230a1c62616c61\
        6e6365645f61636375726163792f76616c69646174696f6e150000503f0a1a0a136d6163726f5f66312f76616c6964617469\
        6f6e150000383f0a090a026c72150000803e0a0f0a086772616469656e74150000c03fb731ff53";
}
