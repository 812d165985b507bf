use super::*;

const FOREIGN: &str = r#"{"input": {"map": "block-term", "modes": [8,20,20,18], "blocks": 2, "rank": 4}, "hidden": {"modes": [4,4,4,4]}, "recurrent": {"map": "dense"}, "gate": "sigmoid", "head": {"classes": 11, "pool": "last"}}"#;

#[test]
fn reads_what_the_contract_calls_enough() {
    let config: ModelConfig = serde_json::from_str(FOREIGN).unwrap();
    config.validate().unwrap();
    assert_eq!(config.inputs(), 57_600);
    assert_eq!(config.units(), 256);
    // The paper's table: 3,392 weights where a dense map has 58,982,400.
    assert_eq!(config.input_shape().parameters(), 3_392);
    assert_eq!(config.input_shape().dense().parameters(), 58_982_400);
    let again: ModelConfig =
        serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn fills_in_defaults() {
    let config: ModelConfig = serde_json::from_str(
        r#"{"input": {"map": "block-term", "modes": [4,8]}, "hidden": {"modes": [2,2]}, "head": {"classes": 2}}"#,
    )
    .unwrap();
    assert_eq!(config.input.map, MapKind::BlockTerm { blocks: 2, rank: 4 });
    assert_eq!(config.recurrent.map, MapKind::Dense);
    assert_eq!(config.head.pool, Pool::Last);
    assert_eq!(config.gate, Gate::Sigmoid);
}

#[test]
fn refuses_impossible_shapes() {
    let good: ModelConfig = serde_json::from_str(FOREIGN).unwrap();
    let mut uneven = good.clone();
    uneven.hidden.modes = vec![16, 16];
    assert!(
        uneven
            .validate()
            .unwrap_err()
            .to_string()
            .contains("4 input modes")
    );
    let mut zero = good.clone();
    zero.input.modes[1] = 0;
    assert!(zero.validate().is_err());
    let mut huge = good.clone();
    huge.input.modes = vec![usize::MAX, 2, 2, 2];
    assert!(huge.validate().is_err());
    let mut rankless = good;
    rankless.input.map = MapKind::BlockTerm { blocks: 2, rank: 0 };
    let line = rankless.validate().unwrap_err().to_string();
    assert!(line.starts_with("input.rank"), "{line}");
}

#[test]
fn filters_come_back_as_written_or_are_refused_by_name() {
    let with = |filter: &str| -> ModelConfig {
        let rest = r#""hidden":{"modes":[2]},"recurrent":{"map":"dense"},"gate":"sigmoid","head":{"classes":2,"pool":"last"}"#;
        serde_json::from_str(&format!(
            r#"{{"input":{{"map":"dense","modes":[4]{filter}}},{rest}}}"#
        ))
        .unwrap()
    };
    for (filter, horizon) in [
        ("", None),
        (r#","filter":"difference""#, Some(1)),
        (r#","filter":"high-pass""#, Some(4)),
        (r#","filter":"high-pass","filter_horizon":16"#, Some(16)),
    ] {
        let config = with(filter);
        config.validate().unwrap();
        assert_eq!(config.input.filter_horizon(), horizon);
        let written = serde_json::to_string(&config).unwrap();
        assert!(
            written.contains(&format!(r#""modes":[4]{filter}}}"#)),
            "{written}"
        );
    }
    for (filter, expected) in [
        (r#","filter_horizon":4"#, "is 4; only the filter"),
        (
            r#","filter":"difference","filter_horizon":2"#,
            "is 2; only the filter",
        ),
        (
            r#","filter":"high-pass","filter_horizon":1"#,
            "is 1; give a power of two",
        ),
        (
            r#","filter":"high-pass","filter_horizon":12"#,
            "is 12; give a power of two",
        ),
        (
            r#","filter":"high-pass","filter_horizon":65536"#,
            "is 65536; give a power of two",
        ),
    ] {
        let line = with(filter).validate().unwrap_err().to_string();
        assert!(
            line.starts_with(&format!("input.filter_horizon: {expected}")),
            "{line}"
        );
    }
}

fn with_head(head: &str) -> serde_json::Result<ModelConfig> {
    let rest = r#""input": {"map": "dense", "modes": [4]}, "hidden": {"modes": [2]}"#;
    serde_json::from_str(&format!(r#"{{{rest}, "head": {head}}}"#))
}

#[test]
fn heads_come_back_as_written() {
    for (head, gives, horizon) in [
        (r#"{"classes":2,"pool":"mean"}"#, HeadKind::Classes(2), 1),
        (
            r#"{"step_classes":3,"pool":"last"}"#,
            HeadKind::StepClasses(3),
            1,
        ),
        (
            r#"{"values":1,"pool":"recent","horizon":8}"#,
            HeadKind::Values(1),
            8,
        ),
        (
            r#"{"step_values":2,"pool":"recent"}"#,
            HeadKind::StepValues(2),
            16,
        ),
        (r#"{"bits":1,"pool":"mean"}"#, HeadKind::Bits(1), 1),
        (r#"{"step_bits":5,"pool":"last"}"#, HeadKind::StepBits(5), 1),
        (
            r#"{"next_bits":4,"pool":"last","steps":28}"#,
            HeadKind::NextBits(4),
            1,
        ),
    ] {
        let config = with_head(head).unwrap();
        config.validate().unwrap();
        assert_eq!(config.head.gives, gives);
        assert_eq!(config.head.horizon(), horizon);
        assert_eq!(serde_json::to_string(&config.head).unwrap(), head);
    }
    assert!(with_head(r#"{"pool": "last"}"#).is_err());
}

/// Pictures of 4 pixels; the encoder reads 4 + 4 + 2 values.
fn of_pictures(more: &str, head: &str) -> ModelConfig {
    let rest = r#""hidden": {"modes": [2]}"#;
    let head = format!(r#"{{"draw":4,"pool":"last"{head}}}"#);
    let text = format!(
        r#"{{"input": {{"map": "dense", "modes": [10], "width": 4}}, {rest}{more}, "head": {head}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn models_of_pictures_are_whole_or_refused_by_name() {
    let whole = r#","steps":3,"latent":[5],"rows":2"#;
    let config = of_pictures("", whole);
    config.validate().unwrap();
    let head = serde_json::to_string(&config.head).unwrap();
    assert_eq!(head, format!(r#"{{"draw":4,"pool":"last"{whole}}}"#));
    // Two layers of an LSTM, W and b, L and l.
    let layers = (8 * 10 + 8 * 2 + 8) + (8 * 5 + 8 * 2 + 8);
    assert_eq!(config.parameters(), layers + 4 * 3 + 10 * 3);
    assert_eq!(config.input_parameters(), 8 * 15);
    for (more, head, expected) in [
        ("", r#","latent":[5],"rows":2"#, "head.steps: "),
        (
            "",
            r#","steps":0,"latent":[5],"rows":2"#,
            "head.steps: is 0; a drawing or a caption has",
        ),
        (
            "",
            r#","steps":1001,"latent":[5],"rows":2"#,
            "head.steps: is 1001; a picture takes",
        ),
        ("", r#","steps":3,"rows":2"#, "head.latent: "),
        ("", r#","steps":3,"latent":[],"rows":2"#, "head.latent: "),
        ("", r#","steps":3,"latent":[5,0],"rows":2"#, "head.latent: "),
        (
            "",
            r#","steps":3,"latent":[4294967296,4294967296],"rows":2"#,
            "head.latent: ",
        ),
        ("", r#","steps":3,"latent":[5]"#, "head.rows: "),
        (
            "",
            r#","steps":3,"latent":[5],"rows":3"#,
            "head.rows: is 3; 4 pixels",
        ),
        (r#", "cell": "gru""#, whole, "cell: "),
        (r#", "layers": 2"#, whole, "layers: "),
    ] {
        let line = of_pictures(more, head).validate().unwrap_err().to_string();
        assert!(line.starts_with(expected), "{line}");
    }
    let mut narrow = of_pictures("", whole);
    narrow.input.modes = vec![9];
    let line = narrow.validate().unwrap_err().to_string();
    assert!(
        line.starts_with(
            "input.modes: are 9 values, and the encoder reads 10: two pictures and the hidden state"
        ),
        "{line}"
    );
    let mut other = of_pictures("", whole);
    other.input.width = Some(5);
    let line = other.validate().unwrap_err().to_string();
    assert!(line.starts_with("head.draw: has 4 pixels"), "{line}");
}

/// Pictures of 4 rows of 5 pixels, through windows of 3 by 3 points: the encoder reads 9 + 9 + 2 values.
#[test]
fn models_with_attention_are_whole_or_refused_by_name() {
    let model = |modes: usize, attention: usize| -> ModelConfig {
        let text = format!(
            r#"{{"input": {{"map": "dense", "modes": [{modes}]}}, "hidden": {{"modes": [2]}},
            "head": {{"draw":20,"pool":"last","steps":3,"latent":[5],"rows":4,"attention":{attention}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    let config = model(20, 3);
    config.validate().unwrap();
    assert_eq!((config.data_width(), config.frame_values()), (20, 20));
    let head = serde_json::to_string(&config.head).unwrap();
    assert!(head.ends_with(r#""rows":4,"attention":3}"#), "{head}");
    // Two layers of an LSTM, W and b, L and l, A and a.
    let layers = (8 * 20 + 8 * 2 + 8) + (8 * 5 + 8 * 2 + 8);
    assert_eq!(config.parameters(), layers + 9 * 3 + 10 * 3 + 10 * 3);
    for (modes, attention, expected) in [
        (
            19,
            3,
            "input.modes: are 19 values, and the encoder reads 20: two windows and the hidden state",
        ),
        (20, 0, "head.attention: is 0; a window has"),
        (20, 1, "head.attention: is 1; give 2 or more, fewer than"),
        (50, 4, "head.attention: is 4; give 2 or more, fewer than"),
        (50, usize::MAX, "head.attention: is 18446744073709551615; "),
    ] {
        let line = model(modes, attention).validate().unwrap_err().to_string();
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn heads_that_cannot_be_are_refused_by_name() {
    for (head, expected) in [
        (r#"{"classes": 1}"#, "head.classes: is 1; "),
        (r#"{"step_classes": 1}"#, "head.step_classes: is 1; "),
        (r#"{"values": 0}"#, "head.values: is 0; "),
        (
            r#"{"values": 3, "labels": ["a", "b"]}"#,
            "head.labels: has 2 labels, head.values is 3",
        ),
        (r#"{"step_classes": 2, "pool": "mean"}"#, "head.pool: "),
        (
            r#"{"values": 2, "pool": "recent", "horizon": 12}"#,
            "head.horizon: is 12; give a power of two",
        ),
        (
            r#"{"values": 2, "pool": "recent", "horizon": 65536}"#,
            "head.horizon: is 65536; ",
        ),
        (r#"{"values": 2, "horizon": 8}"#, "head.horizon: is 8; only"),
        (r#"{"bits": 0}"#, "head.bits: is 0; "),
        (r#"{"step_bits": 2, "pool": "mean"}"#, "head.pool: "),
        (r#"{"step_bits": 2, "steps": 3}"#, "head.steps: is 3; only"),
        (
            r#"{"classes": 2, "latent": [3]}"#,
            "head.latent: is 3; only",
        ),
        (r#"{"next_bits": 4, "rows": 2}"#, "head.rows: is 2; only"),
        (
            r#"{"bits": 4, "attention": 2}"#,
            "head.attention: is 2; only",
        ),
        (r#"{"next_bits": 4, "steps": 0}"#, "head.steps: is 0; "),
        (
            r#"{"next_bits": 3}"#,
            "head.next_bits: has 3 bits, the data of `input` have 4",
        ),
    ] {
        let line = with_head(head).unwrap().validate().unwrap_err().to_string();
        assert!(line.starts_with(expected), "{line}");
    }
}
