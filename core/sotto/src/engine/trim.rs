//! How much memory an engine gives back when the system has little.

use sotto_runtime::Bytes;

/// What [`Engine::trim`](super::Engine::trim) gives back. Each level does what those before it do.
///
/// What runs is never touched: transcriptions and live sessions keep their model, their caches and their scratch, which
/// are freed when they end and are kept nowhere afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TrimLevel {
    /// The pages of mapped models on which nothing runs go back to the system. Nothing has to be loaded again; the next
    /// transcription reads its weights from the file.
    Pages,
    /// Models that the application has no handle to are freed. The next load of one takes its time again.
    Unused,
    /// Models on which nothing runs are freed, also those that the application has handles to: calls on these fail with
    /// [`SpeechError::Unloaded`](sotto_speech::SpeechError::Unloaded) and the model has to be loaded again.
    Idle,
}

impl TrimLevel {
    /// The level for what Android hands to `onTrimMemory`, of any version:
    ///
    /// | `ComponentCallbacks2` | value | level |
    /// |---|---|---|
    /// | `TRIM_MEMORY_RUNNING_MODERATE`, `UI_HIDDEN` | 5, 20 | [`Pages`](Self::Pages) |
    /// | `RUNNING_LOW`, `RUNNING_CRITICAL`, `BACKGROUND`, `MODERATE` | 10, 15, 40, 60 | [`Unused`](Self::Unused) |
    /// | `COMPLETE` | 80 | [`Idle`](Self::Idle) |
    ///
    /// Values between two are those of the lower one. An application that hears of a memory warning on iOS, or of
    /// `onLowMemory`, names [`Unused`](Self::Unused) in the foreground and [`Idle`](Self::Idle) in the background.
    #[must_use]
    pub fn of_android(level: i32) -> Self {
        match level {
            ..10 | 20..40 => Self::Pages,
            10..20 | 40..80 => Self::Unused,
            80.. => Self::Idle,
        }
    }
}

/// What [`Engine::trim`](super::Engine::trim) gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Trimmed {
    /// Models that were freed.
    pub models: usize,
    /// What they had taken out of the budget.
    pub memory: Bytes,
    /// Length of the maps of loaded models whose pages went back to the system: at most that much became free.
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
