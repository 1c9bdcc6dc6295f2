//! Small pictures of what was: paths for SVG. Each begins and ends just outside of its
//! box, so that one path has both the line and the area below it.

use std::fmt::Write as _;

/// Points of a sparkline; its box is one less wide.
pub const SPARK_POINTS: usize = 60;
/// How high the box of a sparkline is.
pub const SPARK_HEIGHT: u64 = 20;

/// The path of a sparkline, the newest point at the right; nothing for no points.
pub fn spark(points: &[u64]) -> String {
    let shown = &points[points.len().saturating_sub(SPARK_POINTS)..];
    let highest = shown.iter().copied().max().unwrap_or(0);
    let skipped = SPARK_POINTS - shown.len();
    let heights = shown.iter().map(|&point| scaled(point, highest, SPARK_HEIGHT - 2));
    let points = heights.enumerate().map(|(at, height)| (skipped + at, SPARK_HEIGHT - height));
    outline(points, SPARK_HEIGHT)
}

/// A path through `points` from the base line and back to it.
pub fn outline(points: impl Iterator<Item = (usize, u64)>, base: u64) -> String {
    let mut path = String::new();
    let mut last = None;
    for (x, y) in points {
        // Writing to a String cannot fail.
        let _ = match last {
            None if x == 0 => write!(path, "M-2 {base}V{y}H0"),
            None => write!(path, "M{x} {base}V{y}"),
            Some(_) => write!(path, "L{x} {y}"),
        };
        last = Some(x);
    }
    if let Some(x) = last {
        let _ = write!(path, "H{}V{base}Z", x + 2);
    }
    path
}

/// `value` of `highest`, as a part of `height`.
pub fn scaled(value: u64, highest: u64, height: u64) -> u64 {
    let part = u128::from(value) * u128::from(height) / u128::from(highest.max(1));
    u64::try_from(part).unwrap_or(height).min(height)
}

/// The sum of several series that end now: their last points are of the same time.
pub fn summed<'a>(series: impl Iterator<Item = &'a [u64]>) -> Vec<u64> {
    let mut sum = Vec::new();
    for points in series {
        if points.len() > sum.len() {
            let missing = points.len() - sum.len();
            sum.splice(0..0, std::iter::repeat_n(0, missing));
        }
        let skipped = sum.len() - points.len();
        for (total, point) in sum[skipped..].iter_mut().zip(points) {
            *total = u64::saturating_add(*total, *point);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_fills_its_box_and_ends_at_the_right() {
        assert_eq!(spark(&[]), "");
        assert_eq!(spark(&[5]), "M59 20V2H61V20Z");
        assert_eq!(spark(&[0, 10, 5]), "M57 20V20L58 2L59 11H61V20Z");
        let long: Vec<u64> = (0..100).collect();
        assert!(spark(&long).starts_with("M-2 20V13H0L1 "), "{}", spark(&long));
        assert_eq!(spark(&[0, 0]), "M58 20V20L59 20H61V20Z", "nothing moves");
    }

    #[test]
    fn no_value_leaves_the_box() {
        for (value, highest, height, want) in [
            (u64::MAX, u64::MAX, 18, 18),
            (u64::MAX, 1, 18, 18),
            (0, 0, 18, 0),
            (1, 0, 18, 18),
            (1, 3, 18, 6),
        ] {
            assert_eq!(scaled(value, highest, height), want);
        }
    }

    #[test]
    fn series_are_summed_from_their_ends() {
        let sum = |series: &[&[u64]]| summed(series.iter().copied());
        assert_eq!(sum(&[]), Vec::<u64>::new());
        assert_eq!(sum(&[&[1, 2, 3], &[10]]), [1, 2, 13]);
        assert_eq!(sum(&[&[10], &[1, 2, 3]]), [1, 2, 13]);
        assert_eq!(sum(&[&[u64::MAX], &[1]]), [u64::MAX]);
    }
}
