use super::*;
use crate::svg::escape;
use crate::training::confusion::Confusion;
use crate::training::metrics::{Figures, ValueFigures};
use crate::training::outcome::Detail;

const NAMES: [&str; 3] = [
    "<script>alert(1)</script>",
    "R&D \"quoted\" 'name' of many words",
    "日本語 \u{202e}abc\u{7}",
];

fn config(head: &str) -> ModelConfig {
    let text = format!(
        r#"{{"input": {{"map": "block-term", "modes": [4, 8], "blocks": 1, "rank": 2}},
            "hidden": {{"modes": [2, 4]}}, "layers": 2, "head": {head}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn html(config: &ModelConfig, outcome: &Outcome) -> String {
    Report {
        settings: &Settings::default(),
        config,
        epochs: &[],
        best: None,
        learned: Some(12_345),
        validation: Some(outcome),
        device: None,
    }
    .html()
}

fn classified() -> Outcome {
    let confusion = Confusion::new(3, &[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 1, 0]);
    Outcome {
        sequences: 6,
        items: 6,
        figures: Figures::of_classes(&confusion),
        detail: Detail::Classes(confusion),
    }
}

/// Whatever a class is called, it is text: in the table, in the picture and in its hints.
#[test]
fn names_of_classes_are_text_and_nothing_else() {
    let mut config = config(r#"{"classes": 3}"#);
    config.head.labels = NAMES.map(str::to_owned).to_vec();
    let html = html(&config, &classified());
    for raw in ["<script", "R&D", "\"quoted\"", "\u{7}"] {
        assert!(!html.contains(raw), "{raw}");
    }
    for name in NAMES.map(escape) {
        assert!(html.contains(&format!("<bdi>{name}</bdi>")), "{name}");
        assert_eq!(html.matches(&format!(">{name}</text>")).count(), 2);
        assert!(html.contains(&format!("<title>{name} taken for")), "{name}");
    }
    // Tags that are opened are closed.
    for tag in [
        "section", "table", "tr", "td", "th", "div", "svg", "g", "p", "text", "bdi",
    ] {
        let opened = html.matches(&format!("<{tag}>")).count();
        let opened = opened + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    // Nothing is fetched.
    assert!(!html.contains("src=") && !html.contains("href=") && !html.contains("url("));
}

/// By hand: recall 2/3, precision 2/3; recall 1, precision 2/3; never right, never told.
#[test]
fn classes_have_recall_precision_and_f1() {
    let html = html(&config(r#"{"classes": 3}"#), &classified());
    let row = |class: &str| {
        let rows = html.lines().filter(|line| line.starts_with("<tr><td"));
        let mut rows = rows.filter(|line| line.contains(&format!("<bdi>{class}</bdi>")));
        rows.next().unwrap().to_owned()
    };
    let (first, second, third) = (row("0"), row("1"), row("2"));
    assert!(first.contains("<td>3</td><td>3</td>"), "{first}");
    assert_eq!(first.matches(">0.667<").count(), 3, "{first}");
    assert!(second.contains("<td>2</td><td>3</td>"), "{second}");
    for share in [">1.000<", ">0.667<", ">0.800<"] {
        assert_eq!(second.matches(share).count(), 1, "{share} {second}");
    }
    assert!(third.contains("<td>1</td><td>0</td>"), "{third}");
    assert!(third.contains(">0.000</td><td>–</td>"), "{third}");
    // Three of six are of the commonest class; four of six are right.
    assert!(html.contains("<b>0.6667</b><span>accuracy<"), "{html}");
    assert!(html.contains("<b>0.5000</b><span>always telling"), "{html}");
    assert!(html.contains("12,345 sequences"));
}

#[test]
fn values_have_errors_of_their_own() {
    let of = |rmse, r2| ValueFigures {
        rmse,
        mae: rmse / 2.0,
        r2,
    };
    let outcome = Outcome {
        sequences: 5,
        items: 40,
        figures: Figures::Values(of(3.0, None)),
        detail: Detail::Values(vec![of(2.0, Some(0.75)), of(4.0, None)]),
    };
    let mut config = config(r#"{"step_values": 2}"#);
    config.head.labels = vec!["<°C>".into(), "%".into()];
    let html = html(&config, &outcome);
    assert!(
        html.contains("<bdi>&lt;°C&gt;</bdi></td><td>2.0000</td><td>1.0000</td><td>0.7500</td>")
    );
    assert!(html.contains("<bdi>%</bdi></td><td>4.0000</td><td>2.0000</td><td>–</td>"));
    assert!(html.contains("40 steps of 5 others"), "{html}");
    assert!(!html.contains("accuracy"), "{html}");
}
