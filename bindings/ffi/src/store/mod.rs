//! Models on the device: which are there, which versions, and how they come and go.

mod error;
mod import;
mod pull;

use std::sync::Arc;

use sotto::job::Step;
use sotto::store::{Installed, Revision, Store, VerifyJob};
use sotto::{CancelToken, Engine};

pub use error::StoreFailure;
pub use import::{ImportEvent, ImportSettings, ModelFile, ModelImport};
pub use pull::{Header, HttpFetch, ModelPull, NetworkProblem, PullEvent, PullSettings};

/// A version of a model in a store.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct StoredModel {
    /// Name, without the version.
    pub name: String,
    /// The version: a publisher's commit, or what an import was called.
    pub version: String,
    /// Whether the name alone means this version.
    pub active: bool,
    /// Whether a rollback leads to this version.
    pub previous: bool,
    /// What `Engine.load_speech` takes as its path.
    pub path: String,
    /// Bytes of its files; `null` where that is not known.
    pub bytes: Option<u64>,
    /// Its licence, where it names one.
    pub licence: Option<String>,
    /// What is missing or of the wrong length; empty for a sound version.
    pub problems: Vec<String>,
}

/// A folder of models. May be used from any thread, and by several processes at once. Calls look at files on the
/// calling thread: milliseconds, but not for a main thread.
#[derive(uniffi::Object)]
pub struct ModelStore {
    store: Store,
    engine: Engine,
}

impl ModelStore {
    pub(crate) fn open(folder: &str, engine: Engine) -> Result<Self, StoreFailure> {
        Ok(Self { store: Store::open(folder)?, engine })
    }
}

#[uniffi::export]
impl ModelStore {
    /// All versions of all models.
    ///
    /// # Errors
    /// [`StoreFailure::Internal`] where the folder cannot be read.
    pub fn list(&self) -> Result<Vec<StoredModel>, StoreFailure> {
        Ok(self.store.list()?.iter().map(StoredModel::from).collect())
    }

    /// The path of a model: `openai/whisper-tiny.en`, `whisper-tiny.en`, or `name@version`. No network.
    ///
    /// # Errors
    /// [`StoreFailure::NotFound`], [`StoreFailure::InvalidName`], [`StoreFailure::Damaged`].
    pub fn resolve(&self, name: String) -> Result<String, StoreFailure> {
        Ok(self.store.resolve(&name)?.display().to_string())
    }

    /// Makes `version` the one that the name alone means.
    ///
    /// # Errors
    /// [`StoreFailure::NotFound`].
    pub fn activate(&self, name: String, version: String) -> Result<StoredModel, StoreFailure> {
        let revision: Revision = version.parse()?;
        Ok((&self.store.activate(&name, &revision)?).into())
    }

    /// Goes back to the version that was active before.
    ///
    /// # Errors
    /// [`StoreFailure::NotFound`] where there is none.
    pub fn rollback(&self, name: String) -> Result<StoredModel, StoreFailure> {
        Ok((&self.store.rollback(&name)?).into())
    }

    /// Removes a model, or one version of it (`name@version`); the bytes that are free again.
    ///
    /// # Errors
    /// [`StoreFailure::NotFound`], [`StoreFailure::Busy`].
    pub fn remove(&self, name: String) -> Result<u64, StoreFailure> {
        Ok(self.store.remove(&name)?)
    }

    /// Starts reading every file of a model and comparing it with its hash.
    pub fn verify(&self, name: String) -> Arc<ModelCheck> {
        Arc::new(ModelCheck { job: self.engine.verify(&self.store, name, &CancelToken::new()) })
    }

    /// Starts taking in a model that is on the device already.
    ///
    /// # Errors
    /// [`StoreFailure::InvalidName`].
    pub fn import(&self, file: ModelFile, settings: ImportSettings) -> Result<Arc<ModelImport>, StoreFailure> {
        let (source, request) = (file.source()?, settings.request()?);
        let job = self.engine.import(&self.store, request, source, &CancelToken::new());
        Ok(Arc::new(ModelImport::new(job)))
    }

    /// Starts fetching a model (`owner/name`, with `/file` and `@revision` where wanted) from a hub or a folder. The
    /// library has no network of its own: the app carries out the requests that the pull asks for, and for a folder on
    /// the device there are none.
    ///
    /// # Errors
    /// [`StoreFailure::InvalidName`], for an address or a token that cannot be one too.
    pub fn pull(&self, reference: String, settings: PullSettings) -> Result<Arc<ModelPull>, StoreFailure> {
        let request = settings.request(&reference)?;
        Ok(Arc::new(ModelPull::start(&self.engine, &self.store, request)))
    }
}

/// A model that is being checked. Letting go of it cancels.
#[derive(uniffi::Object)]
pub struct ModelCheck {
    job: VerifyJob,
}

#[uniffi::export]
impl ModelCheck {
    /// Waits until every file was compared with its hash; the bytes that were. Does not block a thread.
    ///
    /// # Errors
    /// [`StoreFailure::Damaged`], [`StoreFailure::NotFound`].
    pub async fn result(&self) -> Result<u64, StoreFailure> {
        while let Some(step) = self.job.event().await.map_err(|failure| StoreFailure::of(&failure))? {
            if let Step::Done(manifest) = step {
                return Ok(manifest.size());
            }
        }
        Err(StoreFailure::ended("the result was given already"))
    }

    /// Stops. Returns at once.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

impl From<&Installed> for StoredModel {
    fn from(installed: &Installed) -> Self {
        let manifest = installed.manifest.as_ref();
        Self {
            name: installed.name.to_string(),
            version: installed.commit.as_str().to_owned(),
            active: installed.active,
            previous: installed.previous,
            path: installed.path.display().to_string(),
            bytes: manifest.ok().map(sotto::store::Manifest::size),
            licence: manifest.ok().and_then(|manifest| manifest.licence.clone()),
            problems: installed.problems.iter().chain(manifest.err()).cloned().collect(),
        }
    }
}
