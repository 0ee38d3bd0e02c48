use crate::probe::{
    TracedEvent, traced_events,
    types::{
        TypesError,
        blob::{self, RELEASE},
    },
};

const FOLIOS: &str = "struct folio flags:u8\n";

fn event(program: &str) -> TracedEvent {
    traced_events()
        .find(|event| event.program.name() == program)
        .expect("a program")
}

/// A tracepoint's (or a function's) arguments, by program.
const FITTING: [(&str, &str); 17] = [
    ("block_rq_issue", "trace block_rq_issue *request"),
    (
        "block_rq_issue",
        "trace block_rq_issue *request_queue *request",
    ),
    ("block_rq_requeue", "trace block_rq_requeue *request"),
    (
        "block_rq_complete",
        "trace block_rq_complete *request ~u1 u4",
    ),
    (
        "block_rq_complete",
        "trace block_rq_complete *request s4 u4",
    ),
    (
        "block_bio_complete",
        "trace block_bio_complete *request_queue *bio",
    ),
    (
        "block_bio_queue",
        "trace block_bio_queue *request_queue *bio",
    ),
    ("audit_request", "trace block_getrq *bio"),
    ("audit_remap", "trace block_bio_remap *bio u4 u8"),
    ("filemap_add", "trace mm_filemap_add_to_page_cache *folio"),
    ("filemap_fault", "trace mm_filemap_fault *address_space u8"),
    ("filemap_fault", "func filemap_fault *vm_fault"),
    (
        "filemap_map_pages",
        "func filemap_map_pages *vm_fault ~u8 ~u8",
    ),
    (
        "filemap_map_pages",
        "trace mm_filemap_map_pages *address_space u8 u8",
    ),
    (
        "filemap_get_pages",
        "trace mm_filemap_get_pages *address_space ~u8 ~u8",
    ),
    (
        "sched_switch",
        "trace sched_switch u1 *task_struct *task_struct u4",
    ),
    ("reclaim_end", "trace mm_vmscan_direct_reclaim_end u8"),
];

#[test]
fn arguments_as_the_programs_read_them_are_accepted() {
    for (program, text) in FITTING {
        let types = blob::kernel(&format!("{FOLIOS}{text}"));
        types
            .check_arguments(&event(program))
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn each_argument_that_a_program_reads_is_checked() {
    let mut checked = 0;
    for (program, text) in FITTING {
        let words: Vec<&str> = text.split_whitespace().collect();
        for position in 2..words.len() {
            let read = match words[1] {
                // The queue and the state are not read.
                "sched_switch" => (2..=4).contains(&position),
                "block_bio_remap" => position == 2,
                "mm_vmscan_direct_reclaim_end" => false,
                _ => words[position] != "*request_queue",
            };
            for other in ["*wrong", "u2"] {
                let mut changed = words.clone();
                changed[position] = other;
                let types = blob::kernel(&format!("{FOLIOS}{}", changed.join(" ")));
                let answer = types.check_arguments(&event(program));
                assert_eq!(answer.is_err(), read, "{changed:?}: {answer:?}");
                if let Err(error) = answer {
                    assert!(matches!(error, TypesError::UnexpectedArgument { .. }));
                    let said = error.to_string();
                    assert!(said.contains(RELEASE) && said.contains(words[1]), "{said}");
                    checked += 1;
                }
            }
            // Cut off before it.
            if read {
                let types = blob::kernel(&format!("{FOLIOS}{}", words[..position].join(" ")));
                assert!(types.check_arguments(&event(program)).is_err(), "{text}");
            }
        }
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn the_request_is_told_by_its_type() {
    for (text, expected) in [
        ("trace block_rq_issue *request", 0),
        ("trace block_rq_issue *request_queue *request", 1),
        ("trace block_rq_issue *request u8", 0),
        ("trace block_rq_requeue *request_queue *request", 0),
    ] {
        let found = blob::kernel(text).first_argument("block_rq_issue");
        assert_eq!(found.expect("a position"), expected, "{text}");
    }
    let error = blob::kernel("trace block_rq_issue *bio u8 *request")
        .first_argument("block_rq_issue")
        .expect_err("the programs look no further");
    assert_eq!(
        error.to_string(),
        "Linux 9.8.7-test: tracepoint block_rq_issue: argument 0 or 1 (request) is a pointer to struct bio and an unsigned integer of 8 bytes; expected a pointer to struct request"
    );
}

/// As Linux 5.18 had it at first (commits fa2c3254d7cf, 9c2136be0878).
#[test]
fn a_switch_with_the_state_in_front_is_refused() {
    let types = blob::kernel("trace sched_switch u1 u4 *task_struct *task_struct");
    let error = types
        .check_arguments(&event("sched_switch"))
        .expect_err("the state is no task");
    assert!(error.to_string().contains("previous task"), "{error}");
}

#[test]
fn pages_are_folios_only_where_there_are_none() {
    let page = "trace mm_filemap_add_to_page_cache *page";
    let filemap_add = event("filemap_add");
    assert!(blob::kernel(page).check_arguments(&filemap_add).is_ok());
    let error = blob::kernel(&format!("{FOLIOS}{page}"))
        .check_arguments(&filemap_add)
        .expect_err("folios have other members");
    assert!(
        error
            .to_string()
            .ends_with("expected a pointer to struct folio")
    );
}

#[test]
fn a_tracepoint_that_is_not_there_is_named_with_its_kernel() {
    let types = blob::kernel(FOLIOS);
    assert_eq!(types.tracepoint_arguments("block_rq_issue"), None);
    assert!(types.check_arguments(&event("block_rq_issue")).is_ok());
    let said = types.constants().expect_err("nothing is there").to_string();
    for expected in [RELEASE, "block_rq_issue", "CONFIG_BPF_EVENTS"] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn every_tracepoint_s_programs_agree_on_its_first_argument() {
    for one in traced_events() {
        for other in traced_events() {
            if one.tracepoint == other.tracepoint {
                let names = |event: &TracedEvent| -> Vec<&str> {
                    event
                        .arguments
                        .iter()
                        .map(|argument| argument.name)
                        .collect()
                };
                assert_eq!(names(&one), names(&other), "{}", one.tracepoint);
            }
        }
    }
}
