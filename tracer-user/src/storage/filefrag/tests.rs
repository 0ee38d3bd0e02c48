//! Texts of filefrag, right and wrong.

use std::path::Path;

use proptest::prelude::*;

use super::parse_filefrag;

/// As e2fsprogs 1.47 prints it.
const TWO_EXTENTS: &str = "\
Filesystem type is: ef53
File size of a is b/model (1).gguf is 16777000 (4096 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..    2047:       2065..      4112:   2048:            
   1:     2048..    4095:       8192..     10239:   2048:       4113: last,eof
a is b/model (1).gguf: 2 extents found
";

#[test]
fn extents_are_read() {
    let files = parse_filefrag(TWO_EXTENTS).unwrap();
    let [(path, extents)] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert_eq!(path, Path::new("a is b/model (1).gguf"));
    assert_eq!(extents.size_bytes, 16_777_000);
    assert_eq!(extents.holes_bytes, 0);
    assert_eq!(extents.physical_extent_count, 2);
    assert_eq!(extents.extents[1].physical_bytes, 8192 * 4096);
    assert_eq!(extents.extents[1].file_offset_bytes, 2048 * 4096);
    // Units of 512 bytes, and two files in one text.
    let text = format!(
        "{TWO_EXTENTS}File size of b is 1024 (2 blocks of 512 bytes)\n 0: 0.. 1: 100.. 101: 2: last,unwritten,eof\n"
    );
    let files = parse_filefrag(&text).unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(
        (files[1].1.holes_bytes, files[1].1.extents.len()),
        (1024, 0)
    );
}

#[test]
fn what_is_none_is_refused_with_its_line() {
    for (text, expected) in [
        ("", "no line `File size of"),
        ("model: 2 extents found", "no line `File size of"),
        (
            "File size of a is x (1 block of 4096 bytes)",
            "line 1: expected `NAME is",
        ),
        // Of e2fsprogs before 1.42.
        (
            "File size of a is 4096 (1 block of 4096 bytes)\n ext logical physical\n   0:  0  2065  1 eof",
            "line 3: expected a range of logical",
        ),
        (
            "File size of a is 4096 (1 block of 4096 bytes)\n 0: 0..0: 7..7: x: eof",
            "line 2: expected the extent's length",
        ),
        (
            "File size of a is 4096 (1 block of 4096 bytes)\n 0: 0..0: 7..7: 1: : inline",
            "a: the data at offset 0 is stored inside",
        ),
    ] {
        let error = parse_filefrag(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

const ONE_EXTENT: &str = "\
Filesystem type is: ef53
File size of m.gguf is 2097052 (512 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..     511:       1000..      1511:    512:             last,eof
m.gguf: 1 extent found
";

#[test]
fn numbers_are_decimal_or_hexadecimal_as_the_text_shows() {
    let hexadecimal = "\
Filesystem type is: 58465342
File size of m.gguf is 2097052 (512 blocks of 4096 bytes)
   0:        0..      ff:       1000..      10ff:    100:            
   1:      100..     1ff:       5000..      50ff:    100:       1100: last,eof
m.gguf: 2 extents found
";
    let files = parse_filefrag(hexadecimal).unwrap();
    let starts: Vec<_> = files[0]
        .1
        .extents
        .iter()
        .map(|e| e.physical_bytes)
        .collect();
    assert_eq!(starts, [0x1000 * 4096, 0x5000 * 4096]);
    // Without a letter: the ranges tell.
    let no_letter =
        "File size of a is 90112 (22 blocks of 4096 bytes)\n 0: 0..15: 1000..1015: 16: last,eof\n";
    assert_eq!(
        parse_filefrag(no_letter).unwrap()[0].1.extents[0].physical_bytes,
        0x1000 * 4096
    );
    // More was allocated than the file needs, and the numbers fit either way.
    let both =
        "File size of a is 4096 (1 block of 4096 bytes)\n 0: 0..1: 1000..1001: 2: last,eof\n";
    let error = parse_filefrag(both).unwrap_err().to_string();
    assert!(error.contains("without -X"), "{error}");
}

#[test]
fn a_text_that_contradicts_itself_is_refused() {
    let changed = |from: &str, to: &str| {
        assert!(ONE_EXTENT.contains(from));
        parse_filefrag(&ONE_EXTENT.replace(from, to))
    };
    parse_filefrag(ONE_EXTENT).unwrap();
    for (from, to, expected) in [
        ("ef53", "9123683e", "m.gguf: it lies on btrfs"),
        ("ef53", "dead", "not known (type dead)"),
        (" 1511", " 1510", "line 4: the range of physical blocks"),
        (" 511:", " 510:", "line 4: the range of logical blocks"),
        ("512 blocks", "600 blocks", "line 2: expected `NAME is SIZE"),
        (
            "2097052 (512 blocks",
            "2457600 (600 blocks",
            "line 4: the extent that is marked `eof` ends before",
        ),
        (
            "1 extent found",
            "2 extents found",
            "it says 2 extents and has lines for 1",
        ),
        ("last,eof", "", "not marked `last`"),
        (
            "last,eof",
            "last,strange,eof",
            "line 4: expected flags that are known",
        ),
        (
            "m.gguf: 1",
            "hello\nm.gguf: 1",
            "line 5: expected an extent",
        ),
        ("   0:", "   1:", "extent 1 where 0 should follow"),
        (
            "512:             last,eof",
            "0:     last,unknown_loc,delalloc,eof",
            "delayed allocation",
        ),
        (
            "512:             last,eof",
            "512: 100\nlast,eof",
            "line 5: expected an extent",
        ),
    ] {
        let error = changed(from, to).expect_err(to).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
    // Marks of byte order and lines of a shell do not matter.
    changed("Filesystem type", "\u{feff}Filesystem type").unwrap();
    changed("Filesystem type", "$ filefrag -v m.gguf\nFilesystem type").unwrap();
    // Nor do extents behind the end, which fallocate(2) can make.
    changed(
        "last,eof\nm.gguf: 1 extent",
        "eof\n   1: 512.. 767: 1512.. 1767: 256: last,unwritten,eof\nm.gguf: 1 extent",
    )
    .unwrap();
    changed("   0:", "   0: 0.. 1: 7.. 8: 2: last\n   1:").unwrap_err();
}

proptest! {
    #[test]
    fn any_text_gives_an_answer(text in "(File size of [a-z ]{0,9}is [0-9]{1,20} \\([0-9]{1,3} blocks of [0-9]{1,12} bytes\\)\n)?[ 0-9:.,a-z\n]{0,200}") {
        let _ = parse_filefrag(&text);
    }
}
