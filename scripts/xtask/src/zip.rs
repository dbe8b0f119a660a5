//! Zip archives (PKWARE APPNOTE 6.3.3): what AAR, APK, jar and zipped XCFrameworks are.
//!
//! Written here rather than by a crate for two reasons: an archive that is made twice from the same files has the same
//! bytes (no times, entries in the order of their names), and the reader knows where an entry's bytes lie in the file,
//! by which Android maps libraries. Candle reads archives with the crate `zip` without its compression; turning that on
//! for this program would have candle built a second time.
//!
//! No encryption, no parts, no archives over 4 GB: no tool makes such packages.

mod read;
mod write;

pub use read::{Archive, ZipError};
pub use write::{Member, write};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(name: &str, data: &[u8]) -> Member {
        Member::file(name, data.to_vec())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "the same words again and again ".repeat(100);
        let members = [
            member("b/text.txt", text.as_bytes()),
            member("a.bin", &[0, 1, 2]),
            Member::link("b/link", "text.txt"),
            member("empty", b"").stored(),
        ];
        let bytes = write(members.to_vec());
        assert!(bytes.len() < text.len(), "text is compressed");
        let archive = Archive::read(bytes).unwrap();
        let names: Vec<&str> = archive.entries().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a.bin", "b/link", "b/text.txt", "empty"]);
        assert_eq!(archive.data(&archive.entries()[2]).unwrap(), text.as_bytes());
        assert!(archive.entries()[1].is_link() && !archive.entries()[2].is_link());
        assert_eq!(archive.data(&archive.entries()[1]).unwrap(), b"text.txt");
        assert_eq!(archive.data(&archive.entries()[3]).unwrap(), b"");
    }

    #[test]
    fn the_order_in_which_files_are_given_does_not_change_the_archive() {
        let one = write(vec![member("a", b"1"), member("b", b"2")]);
        assert_eq!(one, write(vec![member("b", b"2"), member("a", b"1")]));
    }

    #[test]
    fn an_aligned_entry_lies_where_it_was_asked_for() {
        let library = member("lib/arm64-v8a/libx.so", &[7; 100]).stored().aligned(16384);
        let archive = Archive::read(write(vec![member("a", &[1; 500]), library])).unwrap();
        let entry = &archive.entries()[1];
        assert_eq!(archive.stored_at(entry).unwrap(), Some(16384));
        assert_eq!(archive.data(entry).unwrap(), [7; 100]);
        assert_eq!(archive.stored_at(&archive.entries()[0]).unwrap(), None, "compressed entries cannot be mapped");
    }

    #[test]
    fn other_tools_read_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        std::fs::write(&path, write(vec![member("dir/a.txt", b"hello hello hello hello"), member("b", b"x")])).unwrap();
        match std::process::Command::new("unzip").arg("-t").arg(&path).output() {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(_) => eprintln!("no unzip here: not compared"),
        }
    }

    #[test]
    fn a_flipped_bit_is_found_by_the_checksum() {
        let mut bytes = write(vec![member("a", b"some bytes that are stored").stored()]);
        let at = bytes.windows(4).position(|four| four == b"some").unwrap();
        bytes[at] ^= 1;
        let archive = Archive::read(bytes).unwrap();
        assert!(matches!(archive.data(&archive.entries()[0]), Err(ZipError::Checksum { .. })));
    }

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        for name in ["../a", "/etc/a", "a/../../b", "a\\b", ""] {
            let refused = Archive::read(write(vec![member(name, b"x")])).unwrap_err();
            assert!(matches!(refused, ZipError::Name { .. }), "{name}: {refused}");
        }
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let bytes = write(vec![member("a", b"1"), member("a", b"2")]);
        assert!(matches!(Archive::read(bytes), Err(ZipError::Twice { .. })));
    }

    #[test]
    fn a_size_that_the_data_does_not_have_is_refused_and_not_allocated() {
        let mut bytes = write(vec![member("a", b"123456789").stored()]);
        let central = bytes.windows(4).position(|four| four == CENTRAL_HEADER.to_le_bytes()).unwrap();
        bytes[central + 24..central + 28].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        let archive = Archive::read(bytes).unwrap();
        assert!(archive.data(&archive.entries()[0]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Archive::read(bytes);
        }

        #[test]
        fn a_damaged_archive_is_read_or_refused(at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut bytes = write(vec![member("a/b", b"hello hello hello hello"), member("c", b"d").stored()]);
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(archive) = Archive::read(bytes) {
                for entry in archive.entries() {
                    let _ = archive.data(entry);
                    let _ = archive.stored_at(entry);
                }
            }
        }
    }
}
