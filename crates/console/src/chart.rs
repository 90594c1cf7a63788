//! Charts as SVG. Their texts are numbers and dates; the table beside a chart has the same values.

use std::fmt::Write;

/// One bar: amounts on top of each other, in millionths.
pub(crate) struct Bar {
    /// What it stands for, for instance `2026-11-30`.
    pub(crate) label: String,
    /// The parts from below, each drawn in its own style.
    pub(crate) parts: Vec<i64>,
}

const WIDTH: i64 = 960;
const HEIGHT: i64 = 220;
const BELOW: i64 = 24;

/// Bars side by side. `describe` names the chart for those who do not see it.
pub(crate) fn bars(bars: &[Bar], describe: &str) -> String {
    let total = |bar: &Bar| bar.parts.iter().map(|p| i128::from((*p).max(0))).sum::<i128>();
    let most = bars.iter().map(total).max().unwrap_or_default().max(1);
    let count = i64::try_from(bars.len()).unwrap_or(i64::MAX).max(1);
    let (step, plot) = (WIDTH / count, HEIGHT - BELOW);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" preserveAspectRatio=\"none\">",
        escape(describe)
    );
    for (n, bar) in bars.iter().enumerate() {
        let x = i64::try_from(n).unwrap_or_default() * step;
        let mut top = i128::from(plot);
        // Writing to a String cannot fail.
        let _ = write!(svg, "<g><title>{}</title>", escape(&bar.label));
        for (kind, part) in bar.parts.iter().enumerate() {
            let height = i128::from((*part).max(0)) * i128::from(plot) / most;
            top -= height;
            let width = (step - step / 5).max(1);
            let _ =
                write!(svg, "<rect class=\"part{kind}\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>");
        }
        svg.push_str("</g>");
    }
    let _ = write!(svg, "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{plot}\" y2=\"{plot}\"/></svg>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Bar, bars};

    #[test]
    fn the_highest_bar_fills_the_chart_and_the_others_are_in_proportion() {
        let bar = |label: &str, parts: &[i64]| Bar { label: label.to_owned(), parts: parts.to_vec() };
        let svg = bars(&[bar("a", &[100, 100]), bar("b", &[50, 0])], "two \"days\"");
        assert!(svg.contains("aria-label=\"two &quot;days&quot;\""), "{svg}");
        let heights: Vec<&str> = svg.split(" height=\"").skip(1).filter_map(|s| s.split('"').next()).collect();
        assert_eq!(heights, ["98", "98", "49", "0"], "{svg}");
    }

    #[test]
    fn a_chart_of_nothing_or_of_extremes_is_a_chart() {
        assert!(bars(&[], "").starts_with("<svg"));
        for parts in [vec![0], vec![-5], vec![i64::MAX, i64::MAX], vec![]] {
            assert!(bars(&[Bar { label: "<b>".to_owned(), parts }], "").contains("&lt;b&gt;"));
        }
    }
}
