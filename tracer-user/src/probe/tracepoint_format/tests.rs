use std::fs;

use proptest::prelude::*;

use crate::model::corpus_tests::{Random, corpus, mutate};

use super::{FormatFault, FormatField, TracepointFormat};

/// Formats as five kernels of Debian had them: release, tracepoint, file.
pub(crate) fn recorded() -> Vec<(&'static str, &'static str, &'static str)> {
    [
        include_str!("../testdata/tracepoint-formats/5.10.0-46.txt"),
        include_str!("../testdata/tracepoint-formats/6.1.0-56.txt"),
        include_str!("../testdata/tracepoint-formats/6.12.117+deb12.txt"),
        include_str!("../testdata/tracepoint-formats/6.18.15+deb13.txt"),
        include_str!("../testdata/tracepoint-formats/7.3.4+deb13.txt"),
    ]
    .into_iter()
    .flat_map(|text| {
        let mut parts = text.split("## ");
        let release = parts.next().and_then(|head| head.split(": ").nth(1));
        let release = release.expect("a release").trim();
        parts.map(move |part| {
            let (name, format) = part.split_once('\n').expect("a format");
            let (_, tracepoint) = name.split_once('/').expect("a tracepoint");
            (release, tracepoint, format)
        })
    })
    .collect()
}

fn parse(text: &str) -> Result<TracepointFormat, FormatFault> {
    TracepointFormat::parse("5.0-x", "some", text).map_err(|error| error.fault)
}

fn render(format: &TracepointFormat) -> String {
    let mut text = format!("name: {}\nID: 1\nformat:\n", format.tracepoint);
    for field in &format.fields {
        let kind = if field.is_reference {
            "__data_loc char[]"
        } else {
            "unsigned long *"
        };
        text += &format!(
            "\tfield:{kind} {};\toffset:{};\tsize:{};\tsigned:{};\n",
            field.name,
            field.offset_bytes,
            field.size_bytes,
            u8::from(field.is_signed)
        );
        if field.name == "common_pid" {
            text.push('\n');
        }
    }
    text + "\nprint fmt: \"%d\", REC->x\n"
}

#[test]
fn recorded_formats_are_read() {
    let all = recorded();
    // Four on each kernel, and three more from 6.12 on.
    assert_eq!(all.len(), 5 * 4 + 3 * 3);
    for (release, tracepoint, text) in all {
        let format = TracepointFormat::parse(release, tracepoint, text).expect("a format");
        let lines = text.lines().filter(|line| line.contains("field:")).count();
        assert_eq!(format.fields.len(), lines);
        assert_eq!(format.fields[3].name, "common_pid");
    }
}

#[test]
fn fields_of_every_kind_are_read() {
    let text = recorded()
        .into_iter()
        .find(|(release, tracepoint, _)| {
            release.starts_with("5.10") && *tracepoint == "block_rq_issue"
        })
        .expect("it is recorded")
        .2;
    let format = TracepointFormat::parse("5.10", "block_rq_issue", text).expect("a format");
    let of = |name: &str| {
        let field = format.fields.iter().find(|field| field.name == name);
        let field = field.expect("the field");
        (
            field.offset_bytes,
            field.size_bytes,
            field.is_signed,
            field.is_reference,
        )
    };
    assert_eq!(of("sector"), (16, 8, false, false));
    assert_eq!(of("rwbs"), (32, 8, true, false));
    assert_eq!(of("cmd"), (56, 4, true, true));
    let pointer = "name: some\nID: 1\nformat:\n\tfield:struct file *file;\toffset:8;\tsize:8;\tsigned:0;\nprint fmt: x\n";
    assert_eq!(parse(pointer).expect("a format").fields[0].name, "file");
}

#[test]
fn what_is_wrong_is_said_with_kernel_and_tracepoint() {
    let good = "name: some\nID: 1\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n\tfield:int b;\toffset:4;\tsize:4;\tsigned:1;\n\nprint fmt: \"\"\n";
    assert!(parse(good).is_ok());
    for (from, to, expected) in [
        ("name: some", "name: other", "it is the format of \"other\""),
        ("ID: 1\n", "", "line 2 is \"format:\"; expected ID:"),
        ("print fmt: \"\"\n", "", "it ends before print fmt:"),
        ("int b", "int a", "field a is there twice"),
        (
            "offset:4",
            "offset:3",
            "field b begins at byte 3, before the end of the field before it, at 4",
        ),
        ("offset:4", "offset:-4", "line 5 is"),
        ("offset:4", "offset:4294967295", "line 5 is"),
        ("size:4;\tsigned:1;\n\n", "size:4;\n\n", "line 5 is"),
        ("int b", "b", "line 5 is"),
        ("int b", "int 9", "line 5 is"),
        ("signed:1;\n\n", "signed:2;\n\n", "line 5 is"),
        ("signed:1;\n\n", "signed:1;\tnew:1;\n\n", "line 5 is"),
        ("\tfield:int b", "\tspecial", "line 5 is"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = TracepointFormat::parse("5.0-x", "some", &good.replacen(from, to, 1));
        let said = error.expect_err(to).to_string();
        let start = "Linux 5.0-x, format file of tracepoint some: ";
        assert!(said.starts_with(start) && said.contains(expected), "{said}");
    }
    assert_eq!(
        parse("").expect_err("nothing").to_string(),
        "it ends before name:"
    );
}

/// Everything that must hold for any bytes; whether they are accepted.
fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let tracepoint = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("name:"));
    match TracepointFormat::parse("5.0-x", tracepoint.unwrap_or("some").trim(), &text) {
        Ok(format) => {
            assert!(!format.fields.is_empty());
            for (one, next) in format.fields.iter().zip(format.fields.iter().skip(1)) {
                assert!(one.offset_bytes + one.size_bytes <= next.offset_bytes);
            }
            // The same again from what was understood.
            let again = TracepointFormat::parse("5.0-x", &format.tracepoint, &render(&format));
            assert_eq!(again, Ok(format));
            true
        }
        Err(error) => {
            assert!(error.to_string().len() < 1000 + bytes.len());
            false
        }
    }
}

proptest! {
    #[test]
    fn a_format_that_is_written_is_read_back(
        fields in prop::collection::vec(("[a-z_][a-z0-9_]{0,8}", 0_u32..20, 0_u32..300, any::<bool>(), any::<bool>()), 1..12)
    ) {
        let mut format = TracepointFormat { tracepoint: "some".to_owned(), fields: Vec::new() };
        let mut end_bytes = 0;
        for (name, hole_bytes, size_bytes, is_signed, is_reference) in fields {
            let offset_bytes = end_bytes + hole_bytes;
            end_bytes = offset_bytes + size_bytes;
            if format.fields.iter().all(|field| field.name != name) {
                format.fields.push(FormatField { name, is_reference, offset_bytes, size_bytes, is_signed });
            }
        }
        prop_assert_eq!(parse(&render(&format)), Ok(format));
    }

    #[test]
    fn any_text_gives_an_answer(text in any::<String>(), line in "field:[ a-z\\[\\]*;:0-9\t]{0,40}") {
        check(text.as_bytes());
        check(format!("name: x\nID: 1\nformat:\n\t{line}\nprint fmt: {text}").as_bytes());
    }
}

#[test]
fn the_seeds_and_mutations_of_them_give_an_answer() {
    const MUTATIONS: usize = 6_000;
    let mut seeds: Vec<_> = fs::read_dir(corpus("tracepoint_format"))
        .expect("the corpus")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    seeds.sort();
    let contents: Vec<Vec<u8>> = seeds
        .iter()
        .map(|seed| {
            let bytes = fs::read(seed).expect("a seed");
            let is_good = seed.to_string_lossy().contains("/good-");
            assert_eq!(check(&bytes), is_good, "{}", seed.display());
            bytes
        })
        .collect();
    assert!(contents.len() >= 8);
    let mut random = Random(0xF0_12A7);
    let mut accepted = 0;
    for number in 0..MUTATIONS {
        let mut bytes = contents[number % contents.len()].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        accepted += usize::from(check(&bytes));
    }
    // Mutations that are all refused at the first bytes, or all accepted, would test little.
    assert!(
        (MUTATIONS / 50..MUTATIONS * 9 / 10).contains(&accepted),
        "{accepted} of {MUTATIONS} accepted"
    );
}
