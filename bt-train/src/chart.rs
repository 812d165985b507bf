//! Charts: lines and dots in a field with two axes.

use crate::svg::{GREY, escape, head, styled, text, width};
use std::fmt::Write;

/// Size of a chart, axes, title and legend included: 1 to 1 on a phone.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 250.0;
/// What is left for the ticks, the title and the legend.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 42.0;
const BOTTOM: f64 = 40.0;

/// A field with two axes.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// What runs to the right.
    pub x: Axis<'a>,
    /// What runs upward.
    pub y: Axis<'a>,
    /// Lines and dots, drawn in this order.
    pub series: Vec<Series<'a>>,
    /// A vertical line at this x, and what it says.
    pub mark: Option<(f64, String)>,
}

/// An axis; its range follows from the values.
#[derive(Debug, Clone, Copy)]
pub struct Axis<'a> {
    /// What stands at it.
    pub name: &'a str,
    /// How it is divided.
    pub scale: Scale,
}

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From 0 on, in whole numbers.
    Count,
    /// From 0 on.
    FromZero,
    /// From the least value on.
    Linear,
    /// By factors.
    Logarithmic,
}

/// Values of one colour.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// For the legend; empty: none.
    pub name: &'a str,
    /// See [`crate::svg::BLUE`].
    pub colour: &'static str,
    /// (x, y).
    pub points: Vec<(f64, f64)>,
    /// Dots, or a line through them all.
    pub is_dots: bool,
}

impl<'a> Series<'a> {
    /// A line of values that come one by one, the first at 1.
    pub fn counted(name: &'a str, colour: &'static str, values: &[f64]) -> Series<'a> {
        let points = values.iter().enumerate();
        Series {
            name,
            colour,
            points: points.map(|(at, &y)| ((at + 1) as f64, y)).collect(),
            is_dots: false,
        }
    }
}

impl Chart<'_> {
    /// The picture of one chart.
    pub fn svg(&self) -> String {
        stacked(std::slice::from_ref(self))
    }

    fn draw(&self, svg: &mut String) {
        let of = |pick: fn(&(f64, f64)) -> f64| {
            let points = self.series.iter().flat_map(|series| &series.points);
            points.map(pick).collect::<Vec<f64>>()
        };
        let top = self.legend(svg);
        let (x, y) = (of(|point| point.0), of(|point| point.1));
        let x = Places::of(self.x.scale, &x, LEFT, WIDTH - RIGHT);
        let y = Places::of(self.y.scale, &y, HEIGHT - BOTTOM, top);
        styled(
            svg,
            (LEFT, 16.0),
            "start",
            r#" font-weight="bold""#,
            self.title,
        );
        for &tick in &y.ticks {
            let at = y.place(tick);
            let _ = writeln!(
                svg,
                r##"<path d="M{LEFT} {at:.1}H{:.1}" stroke="#dddddd"/>"##,
                WIDTH - RIGHT
            );
            text(svg, LEFT - 6.0, at + 4.0, "end", &short(tick));
        }
        for &tick in &x.ticks {
            let at = x.place(tick);
            let bottom = HEIGHT - BOTTOM;
            let _ = writeln!(
                svg,
                r#"<path d="M{at:.1} {bottom}v4" stroke="{GREY}" fill="none"/>"#
            );
            text(svg, at, bottom + 17.0, "middle", &short(tick));
        }
        let _ = writeln!(
            svg,
            r#"<path d="M{LEFT} {top}V{:.1}H{:.1}" stroke="{GREY}" fill="none"/>"#,
            HEIGHT - BOTTOM,
            WIDTH - RIGHT
        );
        let grey = format!(r#" fill="{GREY}""#);
        styled(
            svg,
            (WIDTH - RIGHT, HEIGHT - 6.0),
            "end",
            &grey,
            self.x.name,
        );
        if let Some((at, words)) = &self.mark {
            let at = x.place(*at);
            let _ = writeln!(
                svg,
                r#"<path d="M{at:.1} {top}V{:.1}" stroke="{GREY}" stroke-dasharray="4 3"/>"#,
                HEIGHT - BOTTOM
            );
            // On the side that has room.
            let (anchor, beside) = if at > WIDTH / 2.0 {
                ("end", at - 5.0)
            } else {
                ("start", at + 5.0)
            };
            styled(svg, (beside, HEIGHT - BOTTOM - 6.0), anchor, &grey, words);
        }
        for series in &self.series {
            let points = series.points.iter();
            let mut points = points.map(|&(a, b)| (x.place(a), y.place(b)));
            let colour = series.colour;
            if series.is_dots || series.points.len() == 1 {
                for (x, y) in points {
                    let _ = writeln!(
                        svg,
                        r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#
                    );
                }
                continue;
            }
            let words = points
                .by_ref()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect::<Vec<_>>();
            let _ = writeln!(
                svg,
                r#"<polyline fill="none" stroke="{colour}" stroke-width="1.7" points="{}"/>"#,
                words.join(" ")
            );
        }
    }

    /// Draws the legend, in as many rows as it takes; gives how far down it reaches.
    fn legend(&self, svg: &mut String) -> f64 {
        const ROW: f64 = 15.0;
        let (mut at, mut top) = (LEFT, TOP - ROW);
        for series in self.series.iter().filter(|series| !series.name.is_empty()) {
            let own = 30.0 + width(series.name, 12.0);
            if at > LEFT && at + own > WIDTH {
                (at, top) = (LEFT, top + ROW);
            }
            let (colour, name) = (series.colour, escape(series.name));
            let _ = writeln!(
                svg,
                r#"<rect x="{at:.1}" y="{:.1}" width="12" height="4" fill="{colour}"/><text x="{:.1}" y="{:.1}">{name}</text>"#,
                top - 2.0,
                at + 16.0,
                top + 5.0
            );
            at += own;
        }
        top + ROW
    }
}

/// Charts one below the other.
pub fn stacked(charts: &[Chart<'_>]) -> String {
    let height = HEIGHT as usize;
    let mut svg = head(WIDTH as usize, height * charts.len());
    for (at, chart) in charts.iter().enumerate() {
        let _ = writeln!(svg, r#"<g transform="translate(0 {})">"#, at * height);
        chart.draw(&mut svg);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

/// Where the values of an axis lie.
struct Places {
    ticks: Vec<f64>,
    is_logarithmic: bool,
    /// Places of the first and the last tick.
    from: f64,
    to: f64,
}

impl Places {
    fn of(scale: Scale, values: &[f64], from: f64, to: f64) -> Places {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let high = finite().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let ticks = match scale {
            Scale::Count => ticks(0.0, high.max(1.0), 1.0),
            Scale::FromZero => ticks(0.0, high, 0.0),
            Scale::Linear => ticks(low, high, 0.0),
            Scale::Logarithmic => factors(low, high),
        };
        Places {
            ticks,
            is_logarithmic: scale == Scale::Logarithmic,
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let on = |value: f64| match self.is_logarithmic {
            true => value.max(f64::MIN_POSITIVE).ln(),
            false => value,
        };
        let ends = self.ticks.first().zip(self.ticks.last());
        let (first, last) = ends.map_or((0.0, 1.0), |(&first, &last)| (on(first), on(last)));
        let share = ((on(value) - first) / (last - first)).clamp(0.0, 1.0);
        self.from + (self.to - self.from) * share
    }
}

/// About five round values from at most `low` to at least `high`, at least two, no closer than `least`.
fn ticks(low: f64, high: f64, least: f64) -> Vec<f64> {
    let span = (high - low).max(1e-9 * high.abs().max(1e-3));
    let wanted = span / 4.0;
    let unit = 10f64.powf(wanted.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * unit);
    let step = steps.into_iter().find(|&step| step >= wanted * 0.999);
    let step = step.unwrap_or(10.0 * unit).max(least);
    let first = (low / step + 1e-6).floor() as i64;
    let last = ((high / step - 1e-6).ceil() as i64).max(first + 1);
    (first..=last).map(|at| at as f64 * step).collect()
}

/// The same of values above 0 by factors: powers of ten, of a short range 2 and 5 times those too.
fn factors(low: f64, high: f64) -> Vec<f64> {
    let low = low.max(1e-9);
    let high = high.max(low);
    let decades = low.log10().floor() as i32..=high.log10().floor() as i32 + 1;
    let is_short = high / low < 300.0;
    let of_decade = |decade: i32| {
        let factors: &[f64] = if is_short { &[1.0, 2.0, 5.0] } else { &[1.0] };
        factors
            .iter()
            .map(move |factor| factor * 10f64.powi(decade))
    };
    let all: Vec<f64> = decades.flat_map(of_decade).collect();
    let first = all.iter().rposition(|&tick| tick <= low * 1.000_001);
    let last = all.iter().position(|&tick| tick >= high * 0.999_999);
    let first = first.unwrap_or(0);
    let last = last.unwrap_or(all.len() - 1).max(first + 1);
    all[first..=last.min(all.len() - 1)].to_vec()
}

/// A number in few letters: 0.25, 120, 4k, 2.5M.
pub fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        size if size > 0.0 && size < 1e-3 => return format!("{value:.0e}"),
        _ => (value, ""),
    };
    let text = format!("{value:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svg::BLUE;

    #[test]
    fn ticks_are_round_and_hold_the_values() {
        assert_eq!(ticks(0.0, 60.0, 1.0), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(ticks(0.0, 2.0, 1.0), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(0.0, 1.0, 1.0), [0.0, 1.0]);
        assert_eq!(ticks(0.0, 2.31, 0.0), [0.0, 1.0, 2.0, 3.0]);
        let fine: Vec<String> = ticks(0.913, 0.987, 0.0).into_iter().map(short).collect();
        assert_eq!(fine, ["0.9", "0.92", "0.94", "0.96", "0.98", "1"]);
        // One value, whatever it is.
        for only in [0.0, 0.5, -3.0, 1e9] {
            let ticks = ticks(only, only, 0.0);
            assert!(ticks.len() >= 2 && ticks[0] <= only, "{ticks:?}");
            assert!(ticks[ticks.len() - 1] >= only, "{ticks:?}");
        }
    }

    #[test]
    fn factors_are_round_and_hold_the_values() {
        assert_eq!(factors(3_000.0, 3_000.0), [2_000.0, 5_000.0]);
        assert_eq!(factors(120.0, 900.0), [100.0, 200.0, 500.0, 1_000.0]);
        assert_eq!(factors(8.0, 9_000.0), [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
    }

    #[test]
    fn numbers_are_told_in_few_letters() {
        let told = [0.0, 0.25, 120.0, 5_000.0, 25_000.0, 2.5e6, 4e-5].map(short);
        assert_eq!(told, ["0", "0.25", "120", "5000", "25k", "2.5M", "4e-5"]);
    }

    /// The field runs from 52 to 382 and from 210 up to 42.
    #[test]
    fn values_lie_where_the_axes_say() {
        let chart = Chart {
            title: "a < b",
            x: Axis {
                name: "epoch",
                scale: Scale::Count,
            },
            y: Axis {
                name: "",
                scale: Scale::FromZero,
            },
            series: vec![Series::counted("up", BLUE, &[1.0, 2.0])],
            mark: Some((1.0, "best: 1".into())),
        };
        let svg = chart.svg();
        assert!(svg.contains(r#"points="217.0,126.0 382.0,42.0""#), "{svg}");
        assert!(svg.contains(r#"<path d="M217.0 42V210.0""#), "{svg}");
        assert!(svg.contains(">best: 1</text>") && svg.contains("a &lt; b"));
    }
}
