//! Live sessions by number, for pushes that do not go through UniFFI.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use super::live::SpeechSession;

// Small: the sessions that live right now. Readers are audio threads, which never wait for each other.
static SESSIONS: RwLock<BTreeMap<u64, Weak<SpeechSession>>> = RwLock::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number for a session. No other session ever gets the same.
pub(super) fn give(session: &Arc<SpeechSession>) -> u64 {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    SESSIONS.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::downgrade(session));
    number
}

/// The session with this number, while it lives.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn numbered(number: u64) -> Option<Arc<SpeechSession>> {
    SESSIONS.read().unwrap_or_else(PoisonError::into_inner).get(&number)?.upgrade()
}

/// The session with this number is gone.
pub(super) fn forget(number: u64) {
    SESSIONS.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
}
