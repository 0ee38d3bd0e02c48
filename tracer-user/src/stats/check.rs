//! A self-check: two roads to one figure, or a law that figures obey.

use serde::{Deserialize, Serialize};

/// Two sides of which a relation is expected: roads to one figure, or the sides of a law.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    /// Whether it holds; null where a side could not be observed.
    pub holds: Option<bool>,
    /// One side, with its road.
    pub left: String,
    /// The other side, with its road.
    pub right: String,
}

impl Check {
    #[must_use]
    pub fn equal(name: impl Into<String>, left: (&str, u64), right: (&str, u64)) -> Self {
        Self {
            name: name.into(),
            holds: Some(left.1 == right.1),
            left: format!("{}: {}", left.0, left.1),
            right: format!("{}: {}", right.0, right.1),
        }
    }

    /// A count within bounds, both included.
    #[must_use]
    pub fn within(name: impl Into<String>, left: (&str, u64), right: (&str, u64, u64)) -> Self {
        let (road, count) = left;
        Self::intervals_meet(name, (road, count, count), right)
    }

    /// Two counts of the same, each known within bounds, both included.
    #[must_use]
    pub fn intervals_meet(
        name: impl Into<String>,
        left: (&str, u64, u64),
        right: (&str, u64, u64),
    ) -> Self {
        let words = |(road, low, high): (&str, u64, u64)| {
            if low == high {
                format!("{road}: {low}")
            } else {
                format!("{road}: {low} to {high}")
            }
        };
        Self {
            name: name.into(),
            holds: Some(left.1 <= right.2 && right.1 <= left.2),
            left: words(left),
            right: words(right),
        }
    }

    /// A law: both sides, which have no roads of their own, are equal.
    #[must_use]
    pub fn equation(name: &str, left: u64, right: u64) -> Self {
        Self {
            name: name.to_owned(),
            holds: Some(left == right),
            left: left.to_string(),
            right: right.to_string(),
        }
    }

    /// A law: the left side is at most the right one.
    #[must_use]
    pub fn at_most(name: &str, left: u64, right: u64) -> Self {
        Self {
            holds: Some(left <= right),
            ..Self::equation(name, left, right)
        }
    }

    /// Something that could not be compared.
    #[must_use]
    pub fn unobserved(
        name: impl Into<String>,
        left: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            holds: None,
            left: left.into(),
            right: why.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Check;

    #[test]
    fn bounds_are_included_and_a_difference_is_a_violation() {
        assert_eq!(Check::equal("x", ("a", 1), ("b", 2)).holds, Some(false));
        assert_eq!(Check::within("x", ("a", 5), ("b", 5, 5)).holds, Some(true));
        assert_eq!(Check::within("x", ("a", 4), ("b", 5, 9)).holds, Some(false));
        assert_eq!(
            Check::within("x", ("a", 10), ("b", 5, 9)).holds,
            Some(false)
        );
        let law = |left, right| Check::equation("x", left, right).holds;
        assert_eq!((law(1, 1), law(1, 2)), (Some(true), Some(false)));
        let bound = |left| Check::at_most("x", left, 2).holds;
        assert_eq!(
            (bound(1), bound(2), bound(3)),
            (Some(true), Some(true), Some(false))
        );
        assert_eq!(Check::unobserved("x", "a", "no counter").holds, None);
    }
}
