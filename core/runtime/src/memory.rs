//! One memory budget per process: a model reserves its memory before it touches a weight, so that it is refused instead
//! of the process being killed.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::spans::{self, Counter};

/// A number of bytes; prints with a binary unit (`151.2 MiB`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// `count` values of type `T`; saturates instead of overflowing.
    #[must_use]
    pub fn of<T>(count: usize) -> Self {
        Self((count as u64).saturating_mul(size_of::<T>() as u64))
    }
}

impl std::ops::Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self(0), |total, part| total + part)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// A request that the budget refused. Nothing was allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed} needed, {available} left of the memory budget; unload a model, choose a smaller one or raise the budget"
)]
pub struct OutOfBudget {
    /// Bytes that were requested.
    pub needed: Bytes,
    /// Bytes that were left at that moment.
    pub available: Bytes,
}

/// How much memory the models of this process may use together.
///
/// Clones share one account. The budget counts reservations, it does not measure memory: engines reserve their
/// `estimate` before they load and keep the [`Reservation`] as long as the model lives.
///
/// ```
/// use sotto_runtime::{Bytes, MemoryBudget};
///
/// let budget = MemoryBudget::limited(Bytes(1000));
/// let model = budget.reserve(Bytes(800))?;
/// assert!(budget.reserve(Bytes(300)).is_err());
/// drop(model);
/// assert!(budget.reserve(Bytes(300)).is_ok());
/// # Ok::<(), sotto_runtime::OutOfBudget>(())
/// ```
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Account>);

struct Account {
    limit: u64,
    used: Mutex<u64>,
    /// Called to free bytes when a request does not fit.
    relief: OnceLock<Box<Relief>>,
}

type Relief = dyn Fn(Bytes) -> bool + Send + Sync;

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Account");
        shown.field("limit", &self.limit).field("used", &*self.used()).finish_non_exhaustive()
    }
}

impl Account {
    fn used(&self) -> std::sync::MutexGuard<'_, u64> {
        // A panic while the lock is held cannot leave the sum half-written.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryBudget {
    /// A budget that refuses what would go beyond `limit`.
    #[must_use]
    pub fn limited(limit: Bytes) -> Self {
        Self(Arc::new(Account { limit: limit.0, used: Mutex::new(0), relief: OnceLock::new() }))
    }

    /// A budget that refuses nothing but still counts.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::limited(Bytes(u64::MAX))
    }

    /// Sets what is called before a request is refused, to free models that are not in use. `relief` gets the number of
    /// missing bytes, on the requesting thread, and returns whether it freed anything. It must not reserve anything
    /// itself. Only the first call of this function has an effect.
    pub fn set_relief(&self, relief: impl Fn(Bytes) -> bool + Send + Sync + 'static) {
        let _ = self.0.relief.set(Box::new(relief));
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn used(&self) -> Bytes {
        Bytes(*self.0.used())
    }

    /// Bytes that can still be reserved.
    #[must_use]
    pub fn available(&self) -> Bytes {
        Bytes(self.0.limit - *self.0.used())
    }

    /// Most bytes that can be reserved at once.
    #[must_use]
    pub fn limit(&self) -> Bytes {
        Bytes(self.0.limit)
    }

    /// Whether it refuses anything.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.0.limit != u64::MAX
    }

    /// Takes `needed` bytes out of the budget until the reservation is dropped. If they do not fit, the callback of
    /// [`set_relief`](Self::set_relief) is called first; the call then takes as long as freeing memory takes.
    ///
    /// # Errors
    /// [`OutOfBudget`] when less is left; the budget stays as it was.
    pub fn reserve(&self, needed: Bytes) -> Result<Reservation, OutOfBudget> {
        loop {
            let refused = match self.reserve_now(needed) {
                Ok(reservation) => return Ok(reservation),
                Err(refused) => refused,
            };
            // Another thread may have taken the freed bytes meanwhile: ask again, until there is nothing more to free.
            let missing = Bytes(needed.0 - refused.available.0);
            let may_fit = needed.0 <= self.0.limit;
            if !may_fit || !self.0.relief.get().is_some_and(|relief| relief(missing)) {
                return Err(refused);
            }
        }
    }

    fn reserve_now(&self, needed: Bytes) -> Result<Reservation, OutOfBudget> {
        let mut used = self.0.used();
        let available = self.0.limit - *used;
        if needed.0 > available {
            return Err(OutOfBudget { needed, available: Bytes(available) });
        }
        *used += needed.0;
        drop(used);
        spans::count(Counter::ReservedBytes, needed.0);
        Ok(Reservation { account: Arc::clone(&self.0), bytes: needed })
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::unlimited()
    }
}

/// Bytes taken out of a [`MemoryBudget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    bytes: Bytes,
}

impl Reservation {
    /// How much this reservation holds.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Returns all but `bytes` of this reservation to the budget; a smaller reservation is not changed.
    pub fn shrink_to(&mut self, bytes: Bytes) {
        let surplus = self.bytes.0.saturating_sub(bytes.0);
        self.give_back(surplus);
        self.bytes.0 -= surplus;
    }

    fn give_back(&self, bytes: u64) {
        *self.account.used() -= bytes;
        spans::count(Counter::ReleasedBytes, bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.bytes.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_changes_nothing_and_says_what_is_left() {
        let budget = MemoryBudget::limited(Bytes(100));
        let _held = budget.reserve(Bytes(60)).unwrap();
        let refused = budget.reserve(Bytes(50)).unwrap_err();
        assert_eq!(refused, OutOfBudget { needed: Bytes(50), available: Bytes(40) });
        assert_eq!(budget.used(), Bytes(60));
    }

    #[test]
    fn dropping_gives_the_bytes_back_to_every_clone() {
        let budget = MemoryBudget::limited(Bytes(100));
        let held = budget.clone().reserve(Bytes(100)).unwrap();
        assert_eq!(budget.available(), Bytes(0));
        drop(held);
        assert_eq!(budget.available(), Bytes(100));
    }

    #[test]
    fn a_reservation_can_shrink_but_not_grow() {
        let budget = MemoryBudget::limited(Bytes(100));
        let mut held = budget.reserve(Bytes(80)).unwrap();
        held.shrink_to(Bytes(30));
        assert_eq!((held.bytes(), budget.used()), (Bytes(30), Bytes(30)));
        held.shrink_to(Bytes(50));
        assert_eq!((held.bytes(), budget.used()), (Bytes(30), Bytes(30)));
        drop(held);
        assert_eq!(budget.used(), Bytes(0));
    }

    #[test]
    fn what_can_be_given_back_is_asked_for_before_a_request_is_refused() {
        let budget = MemoryBudget::limited(Bytes(100));
        let spare = Arc::new(Mutex::new(vec![budget.reserve(Bytes(30)).unwrap(), budget.reserve(Bytes(40)).unwrap()]));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (shelf, log) = (Arc::clone(&spare), Arc::clone(&asked));
        budget.set_relief(move |missing| {
            log.lock().unwrap().push(missing.0);
            shelf.lock().unwrap().pop().is_some()
        });
        assert!(budget.reserve(Bytes(101)).is_err(), "can never fit, so nothing is given back for it");
        let held = budget.reserve(Bytes(90)).unwrap();
        assert_eq!(*asked.lock().unwrap(), [60, 20]);
        assert!(spare.lock().unwrap().is_empty());
        let refused = budget.reserve(Bytes(20)).unwrap_err();
        assert_eq!(refused, OutOfBudget { needed: Bytes(20), available: Bytes(10) });
        drop(held);
    }

    #[test]
    fn an_unlimited_budget_takes_the_largest_request() {
        let budget = MemoryBudget::unlimited();
        assert!(budget.reserve(Bytes(u64::MAX)).is_ok());
    }

    #[test]
    fn bytes_print_with_a_unit() {
        assert_eq!(Bytes(12).to_string(), "12 B");
        assert_eq!(Bytes(1536).to_string(), "1.5 KiB");
        assert_eq!(Bytes(151 << 20).to_string(), "151.0 MiB");
    }
}
