use crate::probe::types::{
    KernelTypes, TypesError,
    blob::{self, RELEASE},
};

/// All that the programs read, as new kernels have it.
const NEW: &str = "
struct pair a:u4 b:u4
struct memdesc_flags f:u8
struct bvec_iter bi_sector:~u8 bi_size:u4
struct place index:u8 other:u8
struct request q:*request_queue mq_hctx:*blk_mq_hw_ctx cmd_flags:~u4 tag:s4 internal_tag:s4 __data_len:u4 __sector:~u8 deadline:u8 bio:*bio start_time_ns:u8
struct request_queue unread:u4 disk:*gendisk
struct gendisk major:s4 first_minor:s4
struct blk_mq_hw_ctx queue_num:u4
struct folio flags:=memdesc_flags mapping:*address_space :=place _flags_1:u8
struct page compound_info:u8
struct address_space host:*inode
struct inode i_ino:u8 i_sb:*super_block
struct super_block s_dev:~u4 s_magic:u8
struct task_struct __state:u4 flags:u4 pid:~s4 tgid:~s4 sched:bit in_iowait:bit
struct bio bi_bdev:*block_device bi_opf:~u4 bi_status:~u1 bi_iter:=bvec_iter bi_io_vec:*bio_vec
struct bio_vec bv_page:*page
struct block_device bd_disk:*gendisk
struct vm_fault vma:*vm_area_struct pgoff:u8
struct vm_area_struct vm_file:*file
struct file f_mapping:*address_space
";

/// The same as 5.10 has it.
fn old() -> String {
    NEW.lines()
        .filter(|line| {
            !["struct folio", "struct place", "struct memdesc"]
                .iter()
                .any(|beginning| line.starts_with(beginning))
        })
        .map(|line| match line.split_whitespace().nth(1) {
            Some("request") => format!("{line} rq_disk:*gendisk"),
            Some("request_queue") => "struct request_queue unread:u4".to_owned(),
            Some("page") => {
                "struct page flags:u8 mapping:*address_space index:u8 compound_head:u8 order@33:u1 compound_order@35:u1"
                    .to_owned()
            }
            Some("task_struct") => line.replace("__state:u4", "state:~s8"),
            Some("bio") => line.replace("bi_bdev:*block_device", "bi_disk:*gendisk"),
            _ => line.to_owned(),
        })
        .map(|line| line + "\n")
        .collect()
}

/// Every member that the text has and the programs read: line, name, kind.
fn read_members(text: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for line in text.lines() {
        for word in line.split_whitespace().skip(2) {
            let (place, kind) = word.split_once(':').expect("a member");
            let name = place.split('@').next().unwrap_or_default();
            if !["", "a", "b", "f", "other", "unread", "sched", "order"].contains(&name) {
                all.push((line.to_owned(), word.to_owned(), kind.to_owned()));
            }
        }
    }
    all
}

/// The index is inside an anonymous struct of the folio.
fn folio_or_page(text: &str) -> &'static str {
    if text.contains("struct folio") {
        "folio"
    } else {
        "page"
    }
}

fn refused(text: &str) -> TypesError {
    match blob::kernel(text).members() {
        Err(error) => error,
        Ok(found) => panic!("{found:?} from {text}"),
    }
}

#[test]
fn members_are_found_where_they_are() {
    let members = blob::kernel(NEW).members().expect("all members");
    assert_eq!(members.request_queue, 0);
    assert_eq!(members.request_tag, 20);
    assert_eq!(members.request_sector, 32);
    assert_eq!(members.queue_disk, 8);
    assert_eq!(members.folio_mapping, 8);
    assert_eq!(members.folio_index, 16);
    assert_eq!(members.folio_order, 32);
    assert_eq!(members.page_compound_head, 0);
    assert_eq!(members.superblock_magic, 8);
    // Two bits follow 16 bytes.
    assert_eq!(members.task_in_iowait, 16);
    assert_eq!(blob::kernel(NEW).in_iowait().expect("it").1, 2);
    assert_eq!((members.bio_sector, members.bio_bytes), (16, 24));
    assert_eq!(members.bio_status, 12);
}

#[test]
fn members_of_an_old_kernel_are_found_where_they_are() {
    let kernel = blob::kernel(&old());
    let members = kernel.members().expect("all members");
    assert_eq!(members.queue_disk, 64);
    assert_eq!(members.bio_block_device, 0);
    assert_eq!(members.folio_index, 16);
    // In the second page.
    assert_eq!(members.folio_order, 40 + 35);
    assert_eq!(members.task_state, 0);
    assert_eq!(kernel.disk_in_request().expect("it"), Some(64));
    assert_eq!(kernel.disk_in_bio().expect("it"), Some(0));
}

#[test]
fn a_member_that_is_missing_is_named_with_kernel_and_struct() {
    for text in [NEW.to_owned(), old()] {
        for (line, word, _) in read_members(&text) {
            let name = word.split([':', '@']).next().unwrap_or_default();
            // The disk is looked for in the queue, and the order in the page, where it is not here.
            let structure = match name {
                "rq_disk" => "request_queue",
                "index" => folio_or_page(&text),
                "_flags_1" => "page",
                _ => line.split_whitespace().nth(1).unwrap_or_default(),
            };
            let name = match name {
                "rq_disk" => "disk",
                "_flags_1" => "compound_order",
                "bi_disk" => "bi_bdev",
                _ => name,
            };
            let error = refused(&text.replace(&line, &line.replace(&format!(" {word}"), "")));
            let said = error.to_string();
            for expected in [RELEASE, structure, name] {
                assert!(said.contains(expected), "{word}: {said}");
            }
        }
    }
}

#[test]
fn a_member_of_another_size_or_kind_is_named_with_both() {
    for text in [NEW.to_owned(), old()] {
        for (line, word, kind) in read_members(&text) {
            let others: &[&str] = match kind.trim_start_matches('~') {
                "u1" => &["u2", "*bio", "bit", "=pair"],
                "u4" | "s4" => &["u2", "s8", "*bio", "bit", "u4[2]"],
                "u8" | "s8" => &["u4", "*bio", "=pair", "u8[1]"],
                "bit" => &["u4", "u1"],
                "=memdesc_flags" => &["u4", "=pair"],
                pointer if pointer.starts_with('*') => &["*wrong", "u8", "u4"],
                // The iterator of a bio is only passed through.
                "=bvec_iter" => continue,
                _ => panic!("{word}"),
            };
            for other in others {
                let changed = word.replace(&format!(":{kind}"), &format!(":{other}"));
                let error = refused(&text.replace(&line, &line.replace(&word, &changed)));
                let said = error.to_string();
                assert!(
                    matches!(error, TypesError::UnexpectedMember { .. }),
                    "{changed}: {said}"
                );
                let name = word.split([':', '@']).next().unwrap_or_default();
                let structure = match name {
                    "index" => folio_or_page(&text),
                    _ => line.split_whitespace().nth(1).unwrap_or_default(),
                };
                for expected in [RELEASE, structure, name] {
                    assert!(said.contains(expected), "{changed}: {said}");
                }
            }
        }
    }
}

#[test]
fn a_tag_without_a_sign_is_refused_and_another_sign_is_not() {
    let error = refused(&NEW.replace(" tag:s4", " tag:u4"));
    assert_eq!(
        error.to_string(),
        "Linux 9.8.7-test: member tag of struct request is an unsigned integer of 4 bytes; expected a signed integer of 4 bytes"
    );
    let other_sign = NEW.replace("first_minor:s4", "first_minor:u4");
    assert!(blob::kernel(&other_sign).members().is_ok());
}

#[test]
fn a_member_that_moves_is_followed() {
    let moved = NEW.replace("q:*request_queue", "new:u8 new2:u8 q:*request_queue");
    let members = |text: &str| blob::kernel(text).members().expect("all members");
    assert_eq!(
        members(&moved).request_sector,
        members(NEW).request_sector + 16
    );
}

#[test]
fn members_of_no_kernel_are_missing() {
    let empty: KernelTypes = blob::kernel("struct nothing a:u4");
    assert!(matches!(
        empty.members(),
        Err(TypesError::MissingType { .. })
    ));
}

#[test]
fn a_kernel_that_hides_events_from_process_1_is_told_by_its_types() {
    let with = blob::kernel("struct bpf_prog_aux id:u4 init_owned:u1");
    let without = blob::kernel("struct bpf_prog_aux id:u4");
    assert!(with.hides_from_process_1());
    assert!(!without.hides_from_process_1());
}
