use crate::cell::{Cell, Gate};
use crate::front_end::{self, Config};
use crate::model::layout::{self, DenseRecord, FilterRecord};
use crate::model::write::{Contents, Elements, LayerContents, MapContents, Outputs};
use crate::model::{Feature, FloatInput, InputType, ParseError, Pool};

const HIDDEN: usize = 2;
const BANDS: usize = 32;

/// A model of dense maps that takes bytes.
fn contents() -> Contents {
    let dense = |values: usize, slice_word: usize, weights_word: u32| {
        MapContents::Dense(DenseRecord {
            rows: 4 * HIDDEN as u32,
            values: values as u32,
            slice_values: values as u32,
            slice_word: slice_word as u32,
            acc_word: 0,
            weights_word,
            scales_word: 0,
            slice_shift: 0,
            form: 0,
        })
    };
    let mut contents = Contents {
        name: "contents".into(),
        labels: vec![],
        about: "{}".into(),
        hidden: HIDDEN,
        map_values: BANDS,
        input_type: InputType::U8,
        gate: Gate::Sigmoid,
        pool: Pool::Last,
        elements: Elements::default(),
        score_shift: 0,
        outputs: Outputs::default(),
        float_inputs: vec![FloatInput::INTEGER],
        cell: Cell::Lstm,
        layers: vec![LayerContents {
            input: dense(BANDS, 0, 8),
            recurrent: Some(dense(HIDDEN, 0, 72)),
            bias: vec![0; 4 * HIDDEN],
            recurrent_bias: vec![],
            cell_fraction: layout::CELL_FRACTION,
        }],
        filter: None,
        words: None,
        front_end: None,
        weights: vec![0; 76],
        tables: vec![],
        head_weights: vec![0; HIDDEN],
        head_bias: vec![0],
        scratch_words: BANDS / 2,
        golden_seed: 1,
        golden_steps: 1,
    };
    place_input(&mut contents);
    contents
}

/// Puts the slice of the input map behind what the session keeps.
fn place_input(contents: &mut Contents) {
    let scratch = contents.arena().unwrap().scratch_word as u32;
    if let MapContents::Dense(record) = &mut contents.layers[0].input {
        record.slice_word = scratch;
    }
}

fn parsed(mut contents: Contents) -> Result<(), ParseError> {
    place_input(&mut contents);
    contents.write().map(|_| ())
}

/// What parse says of a model that needs these features, that first which it meets first.
fn expected(needed: &[Feature]) -> Result<(), ParseError> {
    match needed.iter().find(|feature| !feature.is_built()) {
        Some(&feature) => Err(ParseError::FeatureOff(feature)),
        None => Ok(()),
    }
}

/// `cargo xtask test` runs these with all features and without.
#[test]
fn a_front_end_is_refused_where_there_is_none() {
    let config = Config {
        bands: BANDS,
        ..Config::default()
    };
    let mut contents = contents();
    contents.input_type = InputType::I16;
    contents.front_end = Some((front_end::write(&config).unwrap(), 1));
    let expected = if cfg!(feature = "front-end") {
        expected(&[Feature::Dense])
    } else {
        Err(ParseError::NoFrontEnd)
    };
    assert_eq!(parsed(contents), expected);
}

#[test]
fn what_a_build_has_not_is_refused_by_name() {
    assert_eq!(parsed(contents()), expected(&[Feature::Dense]));

    let mut gru = contents();
    gru.cell = Cell::Gru;
    gru.layers[0].recurrent_bias = vec![0; HIDDEN];
    gru.layers[0].bias.truncate(3 * HIDDEN);
    let layer = &mut gru.layers[0];
    for map in [Some(&mut layer.input), layer.recurrent.as_mut()] {
        if let Some(MapContents::Dense(record)) = map {
            record.rows = 3 * HIDDEN as u32;
        }
    }
    assert_eq!(parsed(gru), expected(&[Feature::Cells, Feature::Dense]));

    let mut filtered = contents();
    filtered.filter = Some((
        FilterRecord {
            horizon_shift: 0,
            fraction: 11,
        },
        vec![0; 4 * HIDDEN],
    ));
    assert_eq!(
        parsed(filtered),
        expected(&[Feature::Filter, Feature::Dense])
    );

    let mut captions = super::super::cases::captions();
    captions.name = "captions".into();
    assert_eq!(
        captions.write().map(|_| ()),
        expected(&[Feature::Words, Feature::Dense])
    );

    let painting = super::super::cases::painting();
    assert_eq!(
        painting.write().map(|_| ()),
        expected(&[Feature::Painting, Feature::Dense])
    );
    let attended = super::super::cases::attended();
    assert_eq!(
        attended.write().map(|_| ()),
        expected(&[Feature::Painting, Feature::Attention, Feature::Dense])
    );

    // 128 off bytes costs nothing; any other offset, or that off other values, is a feature's.
    for (zero, input_type, needs) in [
        (128, InputType::U8, &[Feature::Dense][..]),
        (127, InputType::U8, &[Feature::Scales, Feature::Dense]),
        (128, InputType::I16, &[Feature::Scales, Feature::Dense]),
    ] {
        let mut offset = contents();
        offset.input_type = input_type;
        offset.elements.offsets = vec![zero];
        let found = parsed(offset);
        let all_missing = needs.iter().filter(|feature| !feature.is_built()).count() == needs.len();
        if all_missing && needs.len() > 1 {
            assert!(matches!(found, Err(ParseError::FeatureOff(_))), "{found:?}");
        } else {
            assert_eq!(found, expected(needs), "{zero} {input_type:?}");
        }
    }
    let text = ParseError::FeatureOff(Feature::Scales).to_string();
    assert!(text.contains("feature `scales`"), "{text}");
}
