//! Taking in a model that is on the device already.

use sotto::Progress;
use sotto::job::Step;
use sotto::store::{ImportJob, ImportRequest, ImportSource};

use super::StoredModel;
use super::error::StoreFailure;

/// A model to import.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum ModelFile {
    /// A file, or a folder whose files are the model.
    Path {
        /// Absolute path.
        path: String,
    },
    /// An open file that is read to its end, such as a document that the user picked.
    Descriptor {
        /// What the file is called; its ending is kept.
        name: String,
        /// File descriptor of this process. It is duplicated: the caller closes its own at any time.
        descriptor: i32,
    },
}

/// How a model is imported.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct ImportSettings {
    /// Name in the store, with `@version` where wanted.
    pub name: String,
    /// Its licence, to be shown by lists.
    #[uniffi(default = None)]
    pub licence: Option<String>,
    /// Moves the files instead of copying them.
    #[uniffi(default = false)]
    pub take: bool,
}

/// One report of an import.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum ImportEvent {
    /// How far it is.
    Progress {
        /// Bytes taken in.
        done: u64,
        /// Bytes there are, where that is known.
        total: Option<u64>,
    },
    /// The model is in the store, the last event.
    Finished {
        /// The version that is active now.
        model: StoredModel,
        /// Files of the folder that belong to no model and were left out.
        left_out: Vec<String>,
    },
}

/// A model that is being imported. Letting go of it cancels, and leaves store and source as they were.
#[derive(uniffi::Object)]
pub struct ModelImport {
    job: ImportJob,
}

impl ModelImport {
    pub(super) fn new(job: ImportJob) -> Self {
        Self { job }
    }
}

impl ModelFile {
    pub(super) fn source(self) -> Result<ImportSource, StoreFailure> {
        match self {
            Self::Path { path } => Ok(ImportSource::Path(path.into())),
            Self::Descriptor { name, descriptor } => {
                let file = sotto::audio::duplicate_descriptor(descriptor)
                    .map_err(|cause| StoreFailure::internal(&format!("{name}: {cause}")))?;
                Ok(ImportSource::Stream { name, contents: Box::new(file) })
            }
        }
    }
}

impl ImportSettings {
    pub(super) fn request(self) -> Result<ImportRequest, StoreFailure> {
        let mut request = ImportRequest::new(&self.name)?;
        request.licence = self.licence;
        request.take = self.take;
        Ok(request)
    }
}

#[uniffi::export]
impl ModelImport {
    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the model could not be imported.
    pub async fn next_event(&self) -> Result<Option<ImportEvent>, StoreFailure> {
        while let Some(step) = self.job.event().await.map_err(|failure| StoreFailure::of(&failure))? {
            match step {
                Step::Progress(Progress { done, total, .. }) => return Ok(Some(ImportEvent::Progress { done, total })),
                Step::Done(imported) => {
                    let model = StoredModel::from(&imported.installed);
                    return Ok(Some(ImportEvent::Finished { model, left_out: imported.left_out }));
                }
                // Kinds that are younger than this surface.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Stops. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}
