use super::*;

/// Two sequences of 1 to 6 in steps of two values; the nines behind them belong to none.
pub fn part() -> Part {
    Part {
        values: Arc::new(Values::U8(vec![1, 2, 3, 4, 5, 6, 9, 9])),
        width: 2,
        starts: vec![0, 4],
        lengths: vec![2, 1],
        targets: Some(vec![1, 0].into()),
        groups: None,
    }
}

/// Classes of a folder that has some of a model's, or all in another order, are the model's by their names.
#[test]
fn classes_are_numbered_by_their_names() {
    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }
    let theirs = names(&["down", "left", "up"]);
    let number = |set: &mut DataSet| set.number_classes_as(HeadKind::Classes(3), &theirs);
    let set = |labels: &[&str]| DataSet {
        test: Some(part()),
        labels: names(labels),
        ..DataSet::default()
    };
    let classes = |set: &DataSet| set.test.clone().unwrap().targets.unwrap().items;
    for (labels, expected) in [
        (&["up", "down"][..], vec![0, 2]),
        (&["left", "up"], vec![2, 1]),
        (&["down", "left"], vec![1, 0]),
        (&[], vec![1, 0]),
    ] {
        let mut set = set(labels);
        assert_eq!(number(&mut set), None);
        assert_eq!(classes(&set), Items::Classes(expected), "{labels:?}");
    }
    let mut other = set(&["down", "right"]);
    let said = number(&mut other).unwrap();
    assert!(said.contains("the model has no class `right`"), "{said}");
    assert!(
        said.contains("class 1 is `right` here and `left` in the model"),
        "{said}"
    );
    assert_eq!(classes(&other), Items::Classes(vec![1, 0]));
    let mut more = set(&["down", "left", "up", "right"]);
    let said = number(&mut more).unwrap();
    assert!(
        said.contains("class 3 is `right` here and missing in the model"),
        "{said}"
    );
}

#[test]
fn batches_mask_and_pad() {
    let batch = part().batch(&[1, 0], &Normalization::identity(3));
    assert_eq!(batch.lengths, [1, 2]);
    assert_eq!(batch.targets, Some(Items::Classes(vec![0, 1])));
    assert_eq!(
        batch.x,
        ndarray::array![
            [[5.0, 6.0, 0.0], [0.0, 0.0, 0.0]],
            [[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
        ]
    );
}

/// Frames (1, 0), (0, 1), (1, 1) and (0, 1): each is what is to be told of the one before.
#[test]
fn frames_that_follow_are_targets() {
    let bits = Part {
        values: Arc::new(Values::F32(vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0])),
        starts: vec![0, 6],
        lengths: vec![3, 1],
        ..part()
    };
    let next = bits.next_frames().unwrap();
    let batch = next.batch(&[1, 0], &Normalization::identity(2));
    let expected = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
    assert_eq!(
        batch.x.index_axis(ndarray::Axis(0), 0),
        ndarray::arr2(&expected)
    );
    let expected = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    assert_eq!(
        batch.x.index_axis(ndarray::Axis(0), 1),
        ndarray::arr2(&expected)
    );
    let expected = ndarray::array![[false, true], [true, false], [false, true], [true, true]];
    assert_eq!(batch.targets, Some(Items::Bits(expected)));
    assert_eq!(
        next.subset(&[1]).targets.unwrap().name(),
        HeadName::NextBits
    );
    // What is read stays as it is.
    let set = DataSet {
        train: Some(next.clone()),
        ..DataSet::default()
    };
    let again = set.for_head(HeadName::NextBits).unwrap().train.unwrap();
    assert_eq!(again.targets, next.targets);
    assert_eq!(again.values, next.values);
    assert_eq!(next.values.element_type(), crate::data::ElementType::U8);
    let line = part().next_frames().unwrap_err().to_string();
    assert!(line.starts_with("holds value 2 at 1; "), "{line}");
}

#[test]
fn rows_of_pictures_are_read_as_one_frame_and_are_targets() {
    let rows = Part {
        values: Arc::new(Values::F32(vec![
            1.0, 0.0, 0.0, 1.0, 9.0, 1.0, 1.0, 0.0, 1.0,
        ])),
        starts: vec![5, 0],
        lengths: vec![2, 2],
        ..part()
    };
    let pictures = rows.pictures().unwrap();
    assert_eq!((pictures.width, &pictures.lengths[..]), (4, &[1, 1][..]));
    // Wider than the data: what the model puts there.
    let batch = pictures.batch(&[1, 0], &Normalization::identity(5));
    let expected = ndarray::array![[[1.0, 0.0, 0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0, 1.0, 0.0]]];
    assert_eq!(batch.x, expected);
    let expected = ndarray::array![[true, false, false, true], [true, true, false, true]];
    assert_eq!(batch.targets, Some(Items::Bits(expected)));
    assert_eq!(
        pictures.subset(&[1]).targets.unwrap().name(),
        HeadName::Draw
    );
    // What is read stays as it is.
    let set = DataSet {
        train: Some(pictures.clone()),
        ..DataSet::default()
    };
    let again = set.for_head(HeadName::Draw).unwrap().train.unwrap();
    assert_eq!(
        (again.targets, again.values),
        (pictures.targets, pictures.values)
    );
    let uneven = Part {
        lengths: vec![2, 1],
        ..rows.clone()
    };
    let line = uneven.pictures().unwrap_err().to_string();
    assert!(
        line.starts_with("has 1 rows, the first picture has 2"),
        "{line}"
    );
    let grey = Part {
        starts: vec![4, 0],
        ..rows
    };
    let line = grey.pictures().unwrap_err().to_string();
    assert!(line.starts_with("holds value 9 at 4; "), "{line}");
}

#[test]
fn parts_stand_one_after_the_other() {
    let both = Part::concatenate(&[part(), part().subset(&[1])]);
    assert_eq!(both.lengths, [2, 1, 1]);
    assert_eq!(both.targets, Some(vec![1, 0, 0].into()));
    let identity = Normalization::identity(2);
    assert_eq!(both.batch(&[2], &identity).x, both.batch(&[1], &identity).x);
}
