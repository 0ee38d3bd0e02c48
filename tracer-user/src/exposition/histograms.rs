//! The numbers of a histogram, put together again.

use super::{ParsedFamily, parsed::Part};

/// One histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedHistogram {
    /// Without `le`.
    pub labels: Vec<(String, String)>,
    /// Upper limits, growing, and how many lie at or below; without infinity.
    pub at_most: Vec<(f64, u64)>,
    pub all: u64,
}

impl ParsedFamily {
    /// Its histograms, in the order of the text; none of a family that is no such. One without its count is left out.
    #[must_use]
    pub fn histograms(&self) -> Vec<ParsedHistogram> {
        let mut all: Vec<(ParsedHistogram, bool)> = Vec::new();
        for sample in &self.samples {
            let labels: Vec<_> = sample
                .labels
                .iter()
                .filter(|(name, _)| sample.part != Part::Bucket || name != "le")
                .cloned()
                .collect();
            let place = all.iter().position(|(known, _)| known.labels == labels);
            let place = place.unwrap_or_else(|| {
                let histogram = ParsedHistogram {
                    labels,
                    at_most: Vec::new(),
                    all: 0,
                };
                all.push((histogram, false));
                all.len() - 1
            });
            let Some((histogram, is_counted)) = all.get_mut(place) else {
                continue;
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count; what is none becomes 0 or the highest one"
            )]
            let count = sample.value as u64;
            match sample.part {
                Part::Bucket => {
                    let limit = sample.label("le").and_then(|limit| limit.parse().ok());
                    let limit = limit.filter(|limit: &f64| limit.is_finite());
                    histogram.at_most.extend(limit.map(|limit| (limit, count)));
                }
                Part::Count => {
                    histogram.all = count;
                    *is_counted = true;
                }
                Part::Sum | Part::Value => {}
            }
        }
        all.retain(|(_, is_counted)| *is_counted);
        all.into_iter().map(|(histogram, _)| histogram).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::exposition::{ParsedHistogram, parse};

    #[test]
    fn a_histogram_comes_together_and_what_only_ends_like_one_does_not() {
        let text = "# TYPE h histogram\nh_bucket{model=\"a\",le=\"0.5\"} 1\nh_bucket{model=\"a\",le=\"1e3\"} 2\nh_bucket{model=\"a\",le=\"+Inf\"} 3\nh_sum{model=\"a\"} NaN\nh_count{model=\"a\"} 3\nh_bucket{model=\"b\",le=\"0.5\"} 9\n# TYPE other gauge\nother 1\n# TYPE other_count counter\nother_count 4\n";
        let families = parse(text).expect("valid");
        let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names, ["h", "other", "other_count"]);
        let expected = ParsedHistogram {
            labels: vec![("model".to_owned(), "a".to_owned())],
            at_most: vec![(0.5, 1), (1000.0, 2)],
            all: 3,
        };
        assert_eq!(families[0].histograms(), [expected]);
        assert_eq!(families[2].histograms(), []);
        assert_eq!(families[2].samples[0].value, 4.0);
    }
}
