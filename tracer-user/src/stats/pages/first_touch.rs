//! What follows from the page cache's counters.

/// First-touch hits, a lower bound in events: fault-around events (`map_pages`) that were not preceded by a
/// fault of the same thread on that page. The kernel side counts each one tentatively and retracts it when a
/// fault shows it to have been the end of a miss. `None` where more were retracted than counted: then events
/// were missed, and no figure is better than a wrong one.
#[must_use]
pub const fn first_touch_hits(tentative: u64, retracted: u64) -> Option<u64> {
    tentative.checked_sub(retracted)
}

#[cfg(test)]
mod tests {
    use super::first_touch_hits;

    #[test]
    fn retractions_cannot_exceed_what_was_counted() {
        assert_eq!(first_touch_hits(10, 3), Some(7));
        assert_eq!(first_touch_hits(3, 3), Some(0));
        assert_eq!(first_touch_hits(3, 4), None);
    }
}
