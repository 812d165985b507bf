use super::*;
use std::fmt::Write;

fn how() -> Cutting {
    Cutting {
        window: 4,
        hop: 2,
        label: Some("activity".into()),
        ..Cutting::default()
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log.csv");
    std::fs::write(&path, text).unwrap();
    (place, path)
}

/// Rows of a value that counts up: line, class, and what differs.
fn rows(classes: &[(&str, usize)]) -> String {
    let mut text = "time,activity,x,note\n".to_owned();
    let mut row = 0;
    for (class, count) in classes {
        for _ in 0..*count {
            writeln!(text, "{:.2},{class},{row},word", row as f64 * 0.02).unwrap();
            row += 1;
        }
    }
    text
}

#[test]
fn windows_are_of_one_class_and_parts_do_not_overlap() {
    let (_place, path) = file(&rows(&[("walk", 42), ("sit", 44)]));
    let set = cut(&path, &how()).unwrap();
    assert_eq!(
        (set.columns, set.labels),
        (vec!["x".into()], vec!["sit".into(), "walk".into()])
    );
    assert!(!set.grouped);
    assert_eq!(set.warnings.len(), 1, "{:?}", set.warnings);
    assert!(set.warnings[0].contains("line 2: column `note` holds `word`"));
    // 20 windows of 42 rows: 4 for the test, 2 for validation, each part's last but one overlaps the next.
    let starts = |part: PartName, class: i64| -> Vec<f32> {
        let windows = &set.parts[&part];
        let of = windows.x.chunks(4).zip(&windows.y);
        of.filter(|(_, y)| **y == class)
            .map(|(x, _)| x[0])
            .collect()
    };
    let twos = |range: std::ops::Range<usize>| -> Vec<f32> {
        range.step_by(2).map(|row| row as f32).collect()
    };
    assert_eq!(starts(PartName::Test, 1), twos(32..40));
    assert_eq!(starts(PartName::Validation, 1), twos(28..30));
    assert_eq!(starts(PartName::Train, 1), twos(0..26));
    let test = &set.parts[&PartName::Test];
    assert!(test.x.chunks(4).all(|x| x[3] == x[0] + 3.0));
    assert!(
        starts(PartName::Train, 0)
            .iter()
            .all(|&start| start >= 42.0)
    );
}

#[test]
fn nothing_goes_across_gaps_and_missing_values() {
    let mut text = String::from("activity;t;x;y\r\n");
    for row in 0..40 {
        // A jump before row 20; a value missing in row 30, a class in row 36.
        let t = row * 20 + if row >= 20 { 500 } else { 0 };
        let x = if row == 30 {
            "NaN".into()
        } else {
            row.to_string()
        };
        let class = if row == 36 { "" } else { "1" };
        write!(text, "{class};{t};{x};{}\r\n", -row).unwrap();
    }
    let (_place, path) = file(&text);
    let set = cut(&path, &Cutting { hop: 1, ..how() }).unwrap();
    assert_eq!(set.columns, ["x", "y"]);
    let missing = "a value is missing at 2 lines: 32, 38; no window goes across";
    let jumps = "time jumps at 1 line: 22; no window goes across";
    let short = "1 of 4 stretches are shorter than a window";
    for expected in [missing, jumps, short] {
        assert!(
            set.warnings.iter().any(|line| line.contains(expected)),
            "{:?}",
            set.warnings
        );
    }
    for windows in set.parts.values() {
        for x in windows.x.chunks(8) {
            let rows: Vec<f32> = x.chunks(2).map(|row| row[0]).collect();
            assert!(
                rows.windows(2).all(|pair| pair[1] == pair[0] + 1.0),
                "{rows:?}"
            );
            let crosses = rows[0] < 20.0 && rows[3] >= 20.0;
            assert!(!crosses && !rows.contains(&30.0));
            assert!(x.chunks(2).all(|row| row[1] == -row[0]));
        }
    }
}

#[test]
fn groups_are_in_one_part() {
    let mut text = String::from("user,activity,x\n");
    for row in 0..200 {
        writeln!(text, "u{},{},{row}", row / 20, row / 10 % 2).unwrap();
    }
    let (_place, path) = file(&text);
    let grouped = Cutting {
        group: Some("user".into()),
        ..how()
    };
    let set = cut(&path, &grouped).unwrap();
    let users = |windows: &Windows| -> BTreeSet<i64> {
        windows.x.chunks(4).map(|x| x[0] as i64 / 20).collect()
    };
    let (train, test) = (&set.parts[&PartName::Train], &set.parts[&PartName::Test]);
    assert_eq!((users(train).len(), users(test).len()), (8, 2));
    assert!(users(train).is_disjoint(&users(test)));
    assert_eq!(train.groups.len(), train.count);
    let held = Cutting {
        hold_out: Some(("user".into(), vec!["u3".into()])),
        ..grouped.clone()
    };
    let set = cut(&path, &held).unwrap();
    assert_eq!(users(&set.parts[&PartName::Test]), [3].into());
    let nobody = Cutting {
        hold_out: Some(("user".into(), vec!["eve".into()])),
        ..grouped
    };
    let line = cut(&path, &nobody).unwrap_err().to_string();
    assert!(
        line.contains("no row has the value `eve` in column `user`"),
        "{line}"
    );
}

#[test]
fn names_file_line_and_column_of_what_cannot_be() {
    let line = |text: &str, how: Cutting| {
        let (_place, path) = file(text);
        let line = cut(&path, &how).unwrap_err().to_string();
        line.split_once("log.csv: ").unwrap().1.to_owned()
    };
    let good = rows(&[("a", 10)]);
    let column = Cutting {
        label: Some("class".into()),
        ..how()
    };
    let found = line(&good, column);
    assert!(
        found.starts_with("column `class`: is missing; the columns are time, activity"),
        "{found}"
    );
    let note = Cutting {
        columns: vec!["note".into()],
        ..how()
    };
    let remedy = "leave the cell empty where the value is missing, or name the `columns` to take";
    assert_eq!(
        line(&good, note),
        format!("line 2: column `note`: `word` is no number; {remedy}")
    );
    // A column of numbers is not left out for one bad cell.
    assert_eq!(
        line(&good.replace(",7,word", ",7x,word"), how()),
        format!("line 9: column `x`: `7x` is no number; {remedy}")
    );
    let time = Cutting {
        time: Some("note".into()),
        ..how()
    };
    assert!(line(&good, time).starts_with("line 2: column `note`: `word` is no number"));
    let long = Cutting {
        window: 11,
        ..how()
    };
    let found = line(&good, long);
    assert!(
        found.contains("is 11 rows long; the longest has 10"),
        "{found}"
    );
    let found = line("1,2\n3,4\n", how());
    assert!(
        found.starts_with("line 1: the names of the columns: is missing"),
        "{found}"
    );
    let found = line("time,activity,x\n0,a,1\n1,a\n", how());
    assert!(
        found.starts_with("line 3: has 2 cells, the header names 3"),
        "{found}"
    );
    assert!(line("activity,x\n", how()).contains("holds no row"));
}

/// Numbers and texts of a column are counted over all logs.
#[test]
fn a_column_is_of_numbers_by_all_logs_together() {
    let place = tempfile::tempdir().unwrap();
    let log = |name: &str, cell: &dyn Fn(usize) -> String, rows: usize| {
        let rows = (0..rows).map(|row| format!("{row},a,{row}.5,{}\n", cell(row)));
        let text = format!("time,activity,x,other\n{}", rows.collect::<String>());
        std::fs::write(place.path().join(name), text).unwrap();
    };
    log("a.csv", &|row| row.to_string(), 20);
    log("b.csv", &|_| "left".into(), 10);
    let line = cut(place.path(), &how()).unwrap_err().to_string();
    assert!(
        line.contains("b.csv: line 2: column `other`: `left` is no number"),
        "{line}"
    );
    log("b.csv", &|_| "left".into(), 30);
    let set = cut(place.path(), &how()).unwrap();
    assert_eq!(set.columns, ["x"]);
    assert!(
        set.warnings
            .iter()
            .any(|line| line.contains("column `other` holds `left`"))
    );
}

/// What would go wrong without a word: a time that is none, columns of one name, a first row that is no header.
#[test]
fn a_log_that_is_read_otherwise_than_meant_is_told() {
    let log = |header: &str, time: &dyn Fn(usize) -> String| {
        let row = |row: usize| format!("{},a,{row}.5\n", time(row));
        let rows = (0..40).filter(|row| !(20..23).contains(row)).map(row);
        file(&format!("{header}\n{}", rows.collect::<String>()))
    };
    let jump = "time jumps at 1 line: 22";
    for header in [
        "Time (s),activity,x",
        "t[ms],activity,x",
        "timestamp,activity,x",
    ] {
        let (_place, path) = log(header, &|row| row.to_string());
        let set = cut(&path, &how()).unwrap();
        assert_eq!(set.columns, ["x"], "{header}");
        assert!(
            set.warnings.iter().any(|line| line.contains(jump)),
            "{:?}",
            set.warnings
        );
    }
    let (_place, path) = log("time,activity,x", &|row| match row {
        5 => "x".into(),
        row => row.to_string(),
    });
    let set = cut(&path, &how()).unwrap();
    let untimed =
        "line 7: column `time` holds `x`, which is no time in numbers: jumps are not looked for";
    assert!(
        set.warnings.iter().any(|line| line.contains(untimed)),
        "{:?}",
        set.warnings
    );
    let line = |text: &str, how: &Cutting| {
        let (_place, path) = file(text);
        cut(&path, how).unwrap_err().to_string()
    };
    let twice = line("x,activity,x\n1,a,2\n", &how());
    assert!(
        twice.contains("line 1: the names of the columns: has `x` twice"),
        "{twice}"
    );
    let again = Cutting {
        columns: vec!["x".into(), "x".into()],
        ..how()
    };
    let twice = line("x,activity\n1,a\n", &again);
    assert!(twice.contains("columns: has `x` twice"), "{twice}");
    let headless = line("0.02,a,1.5\n0.04,a,1.6\n", &how());
    assert!(
        headless.contains("line 1: the names of the columns: is missing"),
        "{headless}"
    );
    // A row of no group, and nobody left to test.
    let rows = (0..40).map(|row| format!("{row},a,{},{row}.5\n", if row == 20 { "" } else { "u" }));
    let (_place, path) = file(&format!(
        "time,activity,user,x\n{}",
        rows.collect::<String>()
    ));
    let grouped = Cutting {
        group: Some("user".into()),
        ..how()
    };
    let set = cut(&path, &grouped).unwrap();
    for expected in ["a value is missing at 1 line: 22", "no window to test"] {
        assert!(
            set.warnings.iter().any(|line| line.contains(expected)),
            "{:?}",
            set.warnings
        );
    }
}
