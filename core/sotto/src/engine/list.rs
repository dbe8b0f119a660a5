//! The loaded models of an engine: shared when they are loaded again, kept while there is memory, and freed on request.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sotto_runtime::{Bytes, CancelToken, Cancelled};
use sotto_speech::ModelSource;

use super::key::Key;
use super::trim::{TrimLevel, Trimmed};

/// Identifies a loaded model of an [`Engine`](super::Engine); never reused in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(u64);

impl ModelId {
    /// The number, for languages without such a type.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The id with this number. There need not be such a model: see the result of
    /// [`Engine::unload`](super::Engine::unload).
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The task of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelTask {
    /// Speech to text.
    Speech,
}

/// A model that an [`Engine`](super::Engine) has in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedModel {
    /// Its number, for [`Engine::unload`](super::Engine::unload).
    pub id: ModelId,
    /// Its path, or the name of its source.
    pub name: String,
    /// Its task.
    pub task: ModelTask,
    /// Bytes that it has reserved from the budget, without running work.
    pub bytes: Bytes,
    /// Number of the application's handles; with 0 it is kept in case it is loaded again.
    pub handles: usize,
    /// Number of transcriptions and sessions that run on it.
    pub running: usize,
    /// Time since it was loaded, or since work on it last began or ended.
    pub idle: Duration,
}

/// Operations of the list on a handle to a model of any task.
pub(super) trait Resident: Any + Send + Sync {
    fn handles(&self) -> usize;
    fn running(&self) -> usize;
    fn last_used(&self) -> Instant;
    fn bytes(&self) -> Bytes;
    fn unload(&self) -> bool;
    fn unload_if_idle(&self) -> bool;
    fn release_pages(&self) -> Bytes;
    fn weak(&self) -> Box<dyn WeakResident>;
}

/// A weak reference to a [`Resident`], valid while a handle exists and it is loaded.
pub(super) trait WeakResident: Send + Sync {
    fn upgrade(&self) -> Option<Box<dyn Resident>>;
}

/// The loaded models, and those being loaded. Models are freed outside of its lock, and nothing is reserved inside it,
/// because the budget calls the list when memory is short.
pub(super) struct List {
    state: Mutex<State>,
    /// Signalled when a load has ended.
    loaded: Condvar,
    /// Whether models without handles stay loaded.
    keeps: bool,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    loading: Vec<(Key, ModelTask)>,
}

struct Entry {
    id: ModelId,
    task: ModelTask,
    key: Option<Key>,
    /// Keeps the bytes alive whose address is part of the key.
    source: ModelSource,
    weak: Box<dyn WeakResident>,
    /// The list's own handle, if models without handles stay loaded.
    kept: Option<Box<dyn Resident>>,
}

impl Entry {
    /// Whether only the list has a handle and nothing runs on the model. Other handles come only from the list, under
    /// its lock, so this cannot change while the lock is held.
    fn is_unused(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.handles() == 1 && kept.running() == 0)
    }
}

/// The result of [`List::claim`].
pub(super) enum Claim<'a, T> {
    /// The model is loaded.
    Loaded(T),
    /// The caller must load it; others that want it wait.
    Load(Loading<'a>),
}

/// The right to load a model; released on drop.
pub(super) struct Loading<'a> {
    list: &'a List,
    key: Option<Key>,
    task: ModelTask,
}

impl List {
    /// An empty list. `keeps`: whether models without handles stay loaded.
    pub(super) fn new(keeps: bool) -> Self {
        Self { state: Mutex::default(), loaded: Condvar::new(), keeps }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model of the source if it is loaded; otherwise the right to load it. Waits for another thread that is
    /// loading it; the end of that load, or cancelling, ends the wait.
    pub(super) fn claim<T: Resident>(
        self: &Arc<Self>,
        source: &ModelSource,
        task: ModelTask,
        cancel: &CancelToken,
    ) -> Result<Claim<'_, T>, Cancelled> {
        let Some(key) = Key::of(source) else { return Ok(Claim::Load(Loading { list: self, key: None, task })) };
        // The token is not polled under the lock: a poll may fire it, which calls listeners.
        cancel.check()?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let (list, told) = (Arc::clone(self), Arc::clone(&cancelled));
        let _listener = cancel.on_cancel(move || {
            told.store(true, Relaxed);
            // A thread that has checked the flag but does not sleep yet holds the lock.
            drop(list.lock());
            list.loaded.notify_all();
        });
        let mut state = self.lock();
        loop {
            let found = state.entries.iter().find(|entry| entry.task == task && entry.key.as_ref() == Some(&key));
            if let Some(model) = found.and_then(|entry| entry.weak.upgrade()) {
                let model: Box<dyn Any> = model;
                if let Ok(model) = model.downcast() {
                    return Ok(Claim::Loaded(*model));
                }
            }
            let wanted = (key.clone(), task);
            if !state.loading.contains(&wanted) {
                state.loading.push(wanted);
                return Ok(Claim::Load(Loading { list: self, key: Some(key), task }));
            }
            if cancelled.load(Relaxed) {
                return Err(Cancelled);
            }
            state = self.loaded.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The loaded models, the most recently used first.
    pub(super) fn models(&self) -> Vec<LoadedModel> {
        let mut handles = Vec::new();
        let mut models: Vec<LoadedModel> = Vec::new();
        {
            let mut state = self.lock();
            state.entries.retain(|entry| {
                let Some(model) = entry.weak.upgrade() else { return false };
                models.push(LoadedModel {
                    id: entry.id,
                    name: entry.source.name(),
                    task: entry.task,
                    bytes: model.bytes(),
                    // Without the temporary one here and the list's own.
                    handles: model.handles() - 1 - usize::from(entry.kept.is_some()),
                    running: model.running(),
                    idle: model.last_used().elapsed(),
                });
                handles.push(model);
                true
            });
        }
        models.sort_by_key(|model| (model.idle, std::cmp::Reverse(model.id)));
        models
    }

    /// Unloads a model for all its handles; `false` if there is no such model.
    pub(super) fn unload(&self, id: ModelId) -> bool {
        let (model, _entry) = {
            let mut state = self.lock();
            let Some(at) = state.entries.iter().position(|entry| entry.id == id) else { return false };
            let entry = state.entries.swap_remove(at);
            (entry.weak.upgrade(), entry)
        };
        model.is_some_and(|model| model.unload())
    }

    /// Frees unused models, the least recently used first, until `missing` bytes are free. Frees none if all of them
    /// together are not enough.
    pub(super) fn make_room(&self, missing: Bytes) -> bool {
        let freed = {
            let mut state = self.lock();
            let mut unused: Vec<(Instant, ModelId, Bytes)> = Vec::new();
            for entry in &state.entries {
                if let Some(kept) = entry.kept.as_ref().filter(|_| entry.is_unused()) {
                    unused.push((kept.last_used(), entry.id, kept.bytes()));
                }
            }
            if unused.iter().map(|(_, _, bytes)| *bytes).sum::<Bytes>() < missing {
                return false;
            }
            unused.sort_unstable();
            let mut free = Bytes(0);
            let chosen: Vec<ModelId> = unused
                .iter()
                .take_while(|(_, _, bytes)| {
                    let more = free < missing;
                    free = free + *bytes;
                    more
                })
                .map(|(_, id, _)| *id)
                .collect();
            state.take(|entry| chosen.contains(&entry.id))
        };
        !freed.is_empty()
    }

    /// See [`TrimLevel`].
    pub(super) fn trim(&self, level: TrimLevel) -> Trimmed {
        let mut trimmed = Trimmed::default();
        if level >= TrimLevel::Unused {
            let freed = self.lock().take(Entry::is_unused);
            trimmed.models = freed.len();
            trimmed.memory = freed.iter().filter_map(|entry| entry.kept.as_ref()).map(|kept| kept.bytes()).sum();
        }
        // Temporary handles, so that nothing is freed under the lock.
        let models: Vec<(ModelId, Box<dyn Resident>)> =
            self.lock().entries.iter().filter_map(|entry| Some((entry.id, entry.weak.upgrade()?))).collect();
        let mut gone = Vec::new();
        for (id, model) in &models {
            let bytes = model.bytes();
            if level >= TrimLevel::Idle && model.unload_if_idle() {
                trimmed.models += 1;
                trimmed.memory = trimmed.memory + bytes;
                gone.push(*id);
            } else if model.running() == 0 {
                trimmed.pages = trimmed.pages + model.release_pages();
            }
        }
        let _entries = self.lock().take(|entry| gone.contains(&entry.id));
        trimmed
    }
}

impl State {
    /// Removes entries; the caller drops them without the lock.
    fn take(&mut self, mut wanted: impl FnMut(&Entry) -> bool) -> Vec<Entry> {
        self.entries.extract_if(.., |entry| wanted(entry)).collect()
    }
}

impl Loading<'_> {
    /// Adds the loaded model to the list.
    pub(super) fn done(self, source: &ModelSource, model: &(impl Resident + Clone)) -> ModelId {
        let id = ModelId(NEXT_ID.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let kept: Option<Box<dyn Resident>> = if self.list.keeps { Some(Box::new(model.clone())) } else { None };
        let entry =
            Entry { id, task: self.task, key: self.key.clone(), source: source.clone(), weak: model.weak(), kept };
        let mut living = Vec::new();
        let _gone = {
            let mut state = self.list.lock();
            // Entries without handles, or unloaded by one of their handles.
            let gone = state.take(|entry| {
                let model = entry.weak.upgrade();
                let is_gone = model.is_none();
                living.extend(model);
                is_gone
            });
            state.entries.push(entry);
            gone
        };
        drop(living);
        id
    }
}

static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.list.lock().loading.retain(|(loading, task)| loading != key || *task != self.task);
            self.list.loaded.notify_all();
        }
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("models", &self.models()).finish_non_exhaustive()
    }
}
