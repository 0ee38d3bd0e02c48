use proptest::prelude::*;

use crate::probe::{
    FormatField, TracedEvent, TracepointFormat, traced_events,
    tracepoint_format::tests::recorded,
    types::{
        TypesError,
        blob::{self, RELEASE},
    },
};

/// BTF that says the same as a format, made without [`super`]: class, common fields in a struct of their own.
fn btf_of(format: &TracepointFormat, class: &str) -> String {
    let mut common = Vec::new();
    let mut own = Vec::new();
    for field in &format.fields {
        let sign = if field.is_signed { 's' } else { 'u' };
        let at = field.offset_bytes;
        let kind = match (field.is_reference, field.size_bytes) {
            (true, _) => "u4".to_owned(),
            (false, size @ (1 | 2 | 4 | 8)) => format!("~{sign}{size}"),
            (false, size) => format!("{sign}1[{size}]"),
        };
        match field.name.strip_prefix("common_") {
            Some(name) => common.push(format!("{name}@{at}:{kind}")),
            None if field.is_reference => {
                own.push(format!("__data_loc_{}@{at}:{kind}", field.name))
            }
            None => own.push(format!("{}@{at}:{kind}", field.name)),
        }
    }
    format!(
        "struct trace_entry {}\nstruct trace_event_raw_{class} ent@0:=trace_entry {} __data@60:u1[0]",
        common.join(" "),
        own.join(" ")
    )
}

fn event(tracepoint: &str) -> TracedEvent {
    traced_events()
        .find(|event| event.tracepoint == tracepoint)
        .expect("a tracepoint of the programs")
}

fn all() -> Vec<(TracepointFormat, TracedEvent)> {
    recorded()
        .iter()
        .map(|(kernel, tracepoint, text)| {
            let format = TracepointFormat::parse(kernel, tracepoint, text).expect("a format");
            (format, event(tracepoint))
        })
        .collect()
}

fn compare(of_btf: &TracepointFormat, format: &TracepointFormat) -> Result<(), TypesError> {
    let event = event(&format.tracepoint);
    let class = event.classes.last().unwrap_or(&event.tracepoint);
    blob::kernel(&btf_of(of_btf, class)).check_record(&event, format)
}

#[test]
fn recorded_formats_agree_with_btf_that_says_the_same() {
    for (format, event) in all() {
        compare(&format, &format).expect("they agree");
        let own = blob::kernel(&btf_of(&format, event.tracepoint));
        own.check_record(&event, &format).expect("they agree");
        let other = blob::kernel(&btf_of(&format, "another"));
        let error = other
            .check_record(&event, &format)
            .expect_err("no such record");
        assert!(matches!(error, TypesError::MissingType { .. }), "{error}");
    }
}

/// As kernels with the patches for real time do.
fn with_larger_header(format: &TracepointFormat) -> TracepointFormat {
    let mut grown = format.clone();
    let header = grown
        .fields
        .iter()
        .position(|field| !field.name.starts_with("common_"))
        .expect("fields of its own");
    for field in &mut grown.fields[header..] {
        field.offset_bytes += 8;
    }
    for (place, name) in ["common_migrate_disable", "common_preempt_lazy_count"]
        .into_iter()
        .enumerate()
    {
        let field = FormatField {
            name: name.to_owned(),
            is_reference: false,
            offset_bytes: 8 + place as u32,
            size_bytes: 1,
            is_signed: false,
        };
        grown.fields.insert(header + place, field);
    }
    grown
}

#[test]
fn a_larger_common_header_agrees_with_its_own_btf_and_with_no_other() {
    for (format, _) in all() {
        let grown = with_larger_header(&format);
        compare(&grown, &grown).expect("they agree");
        for (btf, file) in [(&format, &grown), (&grown, &format)] {
            let said = compare(btf, file).expect_err("they differ").to_string();
            assert!(said.contains(&format.tracepoint), "{said}");
        }
    }
}

#[test]
fn the_page_cache_events_of_two_kernels_are_told_apart() {
    let of = |kernel: &str| {
        let (kernel, tracepoint, text) = recorded()
            .into_iter()
            .find(|(release, tracepoint, _)| {
                release.starts_with(kernel) && *tracepoint == "mm_filemap_add_to_page_cache"
            })
            .expect("it is recorded");
        TracepointFormat::parse(kernel, tracepoint, text).expect("a format")
    };
    let error = compare(&of("6.18"), &of("7.3")).expect_err("i_ino and pfn changed places");
    assert_eq!(
        error.to_string(),
        "Linux 9.8.7-test: field i_ino of tracepoint mm_filemap_add_to_page_cache is 8 bytes at 8 in its format file; expected 8 bytes at 16, as BTF says"
    );
}

/// Compilers differ on the sign of `char`, and BTF of 5.10 does not say.
#[test]
fn the_sign_of_bytes_is_not_compared() {
    for (format, _) in all() {
        let mut changed = format.clone();
        for field in &mut changed.fields {
            field.is_signed ^= ![2, 4, 8].contains(&field.size_bytes);
        }
        assert_ne!(changed, format);
        compare(&format, &changed).expect("they agree");
    }
}

proptest! {
    /// A field that is moved, grown, removed, added, or has another sign is named, with kernel and tracepoint.
    #[test]
    fn every_change_of_a_field_is_named(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        by in 1_u32..64,
        change in 0..5,
    ) {
        let all = all();
        let (format, _) = which.get(&all);
        let mut changed = format.clone();
        let at = place.index(changed.fields.len());
        let mut name = changed.fields[at].name.clone();
        match change {
            0 => changed.fields[at].offset_bytes += by,
            1 => changed.fields[at].size_bytes += by,
            2 => {
                changed.fields.remove(at);
            }
            3 => {
                name = "added".to_owned();
                let field = FormatField { name: name.clone(), ..changed.fields[at].clone() };
                changed.fields.insert(at, field);
            }
            _ => {
                let field = &changed.fields[at];
                prop_assume!(!field.is_reference && [2, 4, 8].contains(&field.size_bytes));
                changed.fields[at].is_signed ^= true;
            }
        }
        let error = compare(format, &changed).expect_err("they differ");
        let said = error.to_string();
        let TypesError::UnexpectedField { field, tracepoint, kernel, .. } = error else {
            panic!("{said}");
        };
        prop_assert_eq!(field, name);
        prop_assert_eq!(tracepoint, format.tracepoint.as_str());
        prop_assert_eq!(kernel, RELEASE);
    }
}
