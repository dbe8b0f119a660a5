//! How much memory an engine frees when the system is short of it.

use sotto_runtime::Bytes;

/// What [`Engine::trim`](super::Engine::trim) frees. Each level includes the ones before it.
///
/// Running work is never affected: transcriptions and live sessions keep their model, caches and scratch memory, which
/// are freed when they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TrimLevel {
    /// Gives the pages of idle mapped models back to the system. Nothing has to be loaded again; the next transcription
    /// reads its weights from the file.
    Pages,
    /// Frees models without handles. Loading one again takes the full time.
    Unused,
    /// Frees all idle models, also those with handles: calls on these fail with
    /// [`SpeechError::Unloaded`](sotto_speech::SpeechError::Unloaded) and the model has to be loaded again.
    Idle,
}

impl TrimLevel {
    /// The level for the value of Android's `onTrimMemory`, in any version:
    ///
    /// | `ComponentCallbacks2` | value | level |
    /// |---|---|---|
    /// | `TRIM_MEMORY_RUNNING_MODERATE`, `UI_HIDDEN` | 5, 20 | [`Pages`](Self::Pages) |
    /// | `RUNNING_LOW`, `RUNNING_CRITICAL`, `BACKGROUND`, `MODERATE` | 10, 15, 40, 60 | [`Unused`](Self::Unused) |
    /// | `COMPLETE` | 80 | [`Idle`](Self::Idle) |
    ///
    /// Values in between count as the lower one. For a memory warning on iOS, or `onLowMemory`, an application should
    /// use [`Unused`](Self::Unused) in the foreground and [`Idle`](Self::Idle) in the background.
    #[must_use]
    pub fn of_android(level: i32) -> Self {
        match level {
            ..10 | 20..40 => Self::Pages,
            10..20 | 40..80 => Self::Unused,
            80.. => Self::Idle,
        }
    }
}

/// What [`Engine::trim`](super::Engine::trim) freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Trimmed {
    /// Number of freed models.
    pub models: usize,
    /// Bytes that they had reserved from the budget.
    pub memory: Bytes,
    /// Mapped size of loaded models whose pages were given back to the system: at most this much became free.
    pub pages: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_android_says_it_is_the_more_is_given_back() {
        let levels = [0, 5, 20, 10, 15, 40, 60, 80, 100].map(TrimLevel::of_android);
        assert!(levels.is_sorted(), "{levels:?}");
        assert_eq!((levels[0], levels[5], levels[8]), (TrimLevel::Pages, TrimLevel::Unused, TrimLevel::Idle));
    }
}
