//! Arrows between things, and the circles they make.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where each arrow leads, with what is known of it.
pub type Graph<Node, Known> = BTreeMap<Node, BTreeMap<Node, Known>>;

/// Things of which each leads to each, two or more.
pub fn knots<Node: Ord + Copy, Known>(graph: &Graph<Node, Known>) -> Vec<BTreeSet<Node>> {
    let reached: BTreeMap<Node, BTreeSet<Node>> = graph
        .keys()
        .map(|&from| (from, reachable(graph, from)))
        .collect();
    let mut seen: BTreeSet<Node> = BTreeSet::new();
    let mut knots = Vec::new();
    for (from, to) in &reached {
        if seen.contains(from) || !to.contains(from) {
            continue;
        }
        let leads_back = |other: &&Node| {
            reached
                .get(*other)
                .is_some_and(|reached| reached.contains(from))
        };
        let knot: BTreeSet<_> = to.iter().filter(leads_back).copied().collect();
        seen.extend(&knot);
        knots.push(knot);
    }
    knots
}

fn reachable<Node: Ord + Copy, Known>(graph: &Graph<Node, Known>, from: Node) -> BTreeSet<Node> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from];
    while let Some(node) = ahead.pop() {
        for &next in graph.get(&node).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next) {
                ahead.push(next);
            }
        }
    }
    reached
}

/// The arrows of the shortest circle in a knot, each with what is known of it.
pub fn shortest_circle<'a, Node: Ord + Copy, Known>(
    graph: &'a Graph<Node, Known>,
    knot: &BTreeSet<Node>,
) -> Vec<(Node, Node, &'a Known)> {
    let circle = knot
        .iter()
        .filter_map(|&start| circle_from(graph, start))
        .min_by_key(Vec::len)
        .unwrap_or_default();
    let next = circle.iter().cycle().skip(1);
    circle
        .iter()
        .zip(next)
        .filter_map(|(from, to)| Some((*from, *to, graph.get(from)?.get(to)?)))
        .collect()
}

/// The shortest way from a thing back to it.
fn circle_from<Node: Ord + Copy, Known>(
    graph: &Graph<Node, Known>,
    start: Node,
) -> Option<Vec<Node>> {
    let mut before = BTreeMap::new();
    let mut ahead = VecDeque::from([start]);
    while let Some(node) = ahead.pop_front() {
        for &next in graph.get(&node).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut way = vec![node];
                while let Some(&last) = way.last().filter(|last| **last != start) {
                    way.push(*before.get(&last)?);
                }
                way.reverse();
                return Some(way);
            }
            before.entry(next).or_insert_with(|| {
                ahead.push_back(next);
                node
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(char, char)]) -> Graph<char, ()> {
        let mut graph = Graph::new();
        for &(from, to) in arrows {
            graph
                .entry(from)
                .or_insert_with(BTreeMap::new)
                .insert(to, ());
        }
        graph
    }

    #[test]
    fn arrows_one_way_make_no_knot() {
        let graph = graph(&[('a', 'b'), ('a', 'c'), ('b', 'c'), ('c', 'd')]);
        assert!(knots(&graph).is_empty());
    }

    #[test]
    fn each_knot_is_found_once_with_its_shortest_circle() {
        let graph = graph(&[
            ('a', 'b'),
            ('b', 'c'),
            ('c', 'a'),
            ('c', 'd'),
            ('d', 'c'),
            ('x', 'y'),
            ('y', 'x'),
            ('d', 'x'),
        ]);
        let knots = knots(&graph);
        assert_eq!(
            knots,
            [
                BTreeSet::from(['a', 'b', 'c', 'd']),
                BTreeSet::from(['x', 'y'])
            ]
        );
        let circle = shortest_circle(&graph, &knots[0]);
        assert_eq!(circle, [('c', 'd', &()), ('d', 'c', &())]);
    }

    #[test]
    fn a_long_circle_is_given_in_its_order() {
        let graph = graph(&[('a', 'b'), ('b', 'c'), ('c', 'a')]);
        let circle = shortest_circle(&graph, &knots(&graph)[0]);
        assert_eq!(circle, [('a', 'b', &()), ('b', 'c', &()), ('c', 'a', &())]);
    }
}
