//! The one call that is made fifty times a second, for Java virtual machines: pieces of audio without UniFFI's
//! conversions, which take fifty times as long as the push itself (`docs/adr/0027-direct-push.md`).
//!
//! A session is named by a number, not by an address: what was closed is not found any more, whoever closes it and
//! when. So nothing on the other side has to keep anything alive, and a late push is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::speech::numbered;

/// The piece was taken.
const TAKEN: i32 = 0;
/// Nothing was taken. `SpeechSession::push_pcm` with the same piece says why.
const REFUSED: i32 = 1;

/// Hands `length` bytes at `pcm` over to the session with this number, as `SpeechSession::push_pcm` does. Copies them
/// and returns: 0 when they were taken, another number when nothing was.
///
/// # Safety
/// `length` bytes at `pcm` must be readable, and nobody may write to them, until this returns.
#[expect(unsafe_code, reason = "the Java virtual machine finds this function by its name and gives an address")]
// SAFETY: no other function of this library has this name, and the prefix keeps it from others' names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sotto_ffi_push_pcm(session: u64, pcm: *const u8, length: i32) -> i32 {
    let Ok(length) = usize::try_from(length) else { return REFUSED };
    if pcm.is_null() {
        return REFUSED;
    }
    // SAFETY: not null, bytes need no alignment, and the caller promises `length` readable ones that stay as they are.
    let pcm = unsafe { std::slice::from_raw_parts(pcm, length) };
    // A panic must not unwind into foreign code. A push leaves nothing half done, so going on afterwards is sound.
    let pushed = catch_unwind(AssertUnwindSafe(|| numbered(session).is_some_and(|session| session.takes(pcm))));
    if pushed.unwrap_or(false) { TAKEN } else { REFUSED }
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::speech::testing::session;

    #[expect(unsafe_code, reason = "as the virtual machine calls it")]
    fn push(session: u64, pcm: &[u8]) -> i32 {
        // SAFETY: a slice is readable and does not change meanwhile.
        unsafe { sotto_ffi_push_pcm(session, pcm.as_ptr(), i32::try_from(pcm.len()).unwrap()) }
    }

    #[test]
    fn a_piece_is_taken_by_its_session_alone_and_refused_afterwards() {
        let (first, second) = (session(), session());
        let (number, other) = (Arc::clone(&first).number(), Arc::clone(&second).number());
        assert_ne!(number, other);
        assert_eq!(Arc::clone(&first).number(), number);
        assert_eq!(push(number, &[1; 641]), TAKEN);
        assert_eq!(push(number, &[]), TAKEN);
        first.finish();
        assert_eq!(push(number, &[1; 640]), REFUSED);
        assert_eq!(push(other, &[1; 640]), TAKEN);
        drop(first);
        assert_eq!(push(number, &[1; 640]), REFUSED);
    }

    #[test]
    #[expect(unsafe_code, reason = "what no caller should hand over")]
    fn what_makes_no_sense_is_refused() {
        let session = session();
        let number = Arc::clone(&session).number();
        // SAFETY: neither is read.
        unsafe {
            assert_eq!(sotto_ffi_push_pcm(number, ptr::null(), 640), REFUSED);
            assert_eq!(sotto_ffi_push_pcm(number, [0].as_ptr(), -1), REFUSED);
        }
        assert_eq!(push(0, &[1; 640]), REFUSED);
        assert_eq!(push(u64::MAX, &[1; 640]), REFUSED);
    }

    #[test]
    fn a_session_may_go_while_others_push_into_it() {
        for _ in 0..20 {
            let session = session();
            let number = Arc::clone(&session).number();
            thread::scope(|scope| {
                let pushers: Vec<_> = (0..2)
                    .map(|_| scope.spawn(move || (0..10_000).take_while(|_| push(number, &[1; 64]) == TAKEN).count()))
                    .collect();
                scope.spawn(move || drop(session));
                for pusher in pushers {
                    pusher.join().unwrap();
                }
            });
            assert_eq!(push(number, &[1; 64]), REFUSED);
        }
    }
}
