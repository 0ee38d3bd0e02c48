use crate::{
    chart::{
        Across, Axis, Chart, Dot, Edge, Ink, Mark, Point, Scale, Shape, Size, readout, standalone,
        svg,
    },
    figures::Unit,
};

const HOSTILE: &str = "</desc></svg><script>alert(1)</script>\" onload=\"x";

fn chart(name: &str) -> Chart {
    Chart {
        name: "a".into(),
        title: name.into(),
        sees: name.into(),
        x: Axis::linear(name, Unit::Seconds, 0.0, 10.0),
        y: Axis::linear(name, Unit::Bytes, 0.0, 1024.0),
        edges: vec![Edge {
            from: 0.0,
            to: 512.0,
            name: name.into(),
        }],
        marks: vec![
            Mark::Band {
                name: name.into(),
                from: 0.0,
                to: 9.0,
                ink: None,
            },
            Mark::Line {
                name: name.into(),
                ink: Ink::Read,
                shape: Shape::Steps,
                points: vec![
                    Point {
                        x: 0.0,
                        y: Some(0.0),
                    },
                    Point { x: 5.0, y: None },
                    Point {
                        x: 10.0,
                        y: Some(1024.0),
                    },
                ],
            },
            Mark::Dots {
                name: name.into(),
                ink: Ink::Wait,
                dots: vec![Dot {
                    x: 5.0,
                    y: 512.0,
                    says: name.into(),
                }],
            },
        ],
    }
}

#[test]
fn foreign_names_stay_text_wherever_they_stand() {
    for text in [
        standalone(&chart(HOSTILE)),
        svg(&chart(HOSTILE), Size::Narrow, "x"),
    ] {
        assert!(!text.contains("<script"), "{text}");
        assert!(!text.contains("onload=\""), "{text}");
        // Of the file's own and of the plot.
        assert_eq!(text.matches("</svg>").count(), 2, "{text}");
    }
    let lying = Chart {
        y: Axis::of_names("", vec![HOSTILE.into()]),
        marks: vec![Mark::Across {
            name: HOSTILE.into(),
            ink: Ink::Read,
            bars: vec![Across {
                row: 0,
                from: 0.0,
                to: 3.0,
                says: HOSTILE.into(),
            }],
        }],
        ..chart("plain")
    };
    assert!(!standalone(&lying).contains("<script"));
}

#[test]
fn a_chart_says_what_it_is_and_its_text_is_text() {
    let text = standalone(&chart("Bytes over time"));
    assert!(text.contains("role=\"img\""));
    assert!(text.contains("<title id=\"a-title\">Bytes over time</title>"));
    assert!(text.contains("<desc id=\"a-about\">"));
    assert!(text.contains(">512 B</text>"), "{text}");
    assert!(text.contains("prefers-color-scheme:dark"));
}

#[test]
fn everything_lies_within_its_chart_at_both_sizes() {
    for size in [Size::Wide, Size::Narrow] {
        let text = svg(&chart("a"), size, "a");
        let view = text.split("viewBox=\"0 0 ").nth(1).expect("a view");
        let width: f64 = view
            .split(' ')
            .next()
            .expect("a width")
            .parse()
            .expect("a number");
        for place in text.split(" x=\"").skip(1) {
            let x: f64 = place
                .split('"')
                .next()
                .expect("a value")
                .parse()
                .expect("a number");
            assert!((0.0..=width).contains(&x), "{x} of {width}");
        }
    }
}

/// The first digits of a bar's words would be lost left of it, and another figure would be read.
#[test]
fn the_words_of_a_bar_begin_within_the_plot() {
    let says = "12.0×, 11.99 MiB of 1.00 MiB";
    for tenths in 0..=10 {
        let bars = Chart {
            y: Axis::of_names("", vec!["output".into(), "all".into()]),
            marks: vec![Mark::Across {
                name: "read".into(),
                ink: Ink::Read,
                bars: vec![
                    Across {
                        row: 0,
                        from: 0.0,
                        to: f64::from(tenths),
                        says: says.into(),
                    },
                    Across {
                        row: 1,
                        from: 0.0,
                        to: 10.0,
                        says: String::new(),
                    },
                ],
            }],
            ..chart("bars")
        };
        let text = svg(&bars, Size::Narrow, "a");
        let words = text.split(&format!(">{says}<")).next().expect("the words");
        let words = words.rsplit("<text").next().expect("their element");
        let x: f64 = words
            .split(" x=\"")
            .nth(1)
            .and_then(|place| place.split('"').next())
            .expect("a place")
            .parse()
            .expect("a number");
        let width = says.chars().count() as f64 * super::measures::CHARACTER;
        let start = if words.contains("text-anchor=\"end\"") {
            x - width
        } else {
            x
        };
        assert!(start >= 0.0, "{tenths}: the words begin at {start}");
    }
}

#[test]
fn the_read_out_has_the_figures_and_the_gaps() {
    let stops = readout(&chart("read"));
    let says: Vec<&str> = stops.iter().map(|stop| stop.says.as_str()).collect();
    assert_eq!(
        says,
        [
            "0.00 s · read · read 0 B",
            "read",
            "10.00 s · read 1.00 KiB"
        ]
    );
    let named = Scale::Names(vec!["a".into()]);
    assert_eq!(named.ends(), (0.0, 0.0));
}
