//! Fetching a model: this library says what is to be fetched and checks what comes, the app does the HTTP.

use std::future::poll_fn;
use std::task::{Context, Poll};

use sotto::job::Step;
use sotto::store::{
    DEFAULT_ENDPOINT, Hub, NetworkFailure, Origin, PullJob, PullRequest, Relay, RelayEvent, Store, Token,
};
use sotto::{CancelToken, Engine, Progress, Stage};

use super::StoredModel;
use super::error::StoreFailure;

/// How a model is fetched. What is `null` is the default.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct PullSettings {
    /// Address of the hub; that of Hugging Face by default.
    #[uniffi(default = None)]
    pub endpoint: Option<String>,
    /// Access token for models that want one. It is sent to the hub or the folder alone, and never stands in errors or
    /// logs.
    #[uniffi(default = None)]
    pub token: Option<String>,
    /// Asks the hub or the folder for a newer version although one is here.
    #[uniffi(default = false)]
    pub update: bool,
    /// A folder to fetch from instead of a hub: an `https` address or a path on the device, where a version of a store
    /// was copied to, with its `sotto.json`.
    #[uniffi(default = None)]
    pub from: Option<String>,
}

/// A header of a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A request that the app carries out: exactly so, without following redirects, without cookies, caches or credentials.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct HttpFetch {
    /// `HEAD` instead of `GET`.
    pub head: bool,
    /// The address.
    pub url: String,
    /// Headers to send, a range among them where one is wanted.
    pub headers: Vec<Header>,
    /// Seconds without an answer or a further byte after which the request has failed.
    pub patience_seconds: f64,
}

/// One report of a pull.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum PullEvent {
    /// How far it is.
    Progress {
        /// Bytes fetched, or checked.
        done: u64,
        /// Bytes there are, where that is known.
        total: Option<u64>,
        /// Whether files are being checked against their hashes.
        checking: bool,
    },
    /// The app is to carry out a request and hand over what comes: `respond`, then `push` as often as needed, then
    /// `end`; or `fail`.
    Fetch {
        /// Number of the request.
        id: u64,
        /// What to fetch.
        request: HttpFetch,
    },
    /// Nobody wants the answer to that request any more.
    Abandon {
        /// Number of the request.
        id: u64,
    },
    /// The model is here and checked, the last event.
    Finished {
        /// The version that is active now.
        model: StoredModel,
    },
}

/// Why a request of the app failed.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum NetworkProblem {
    /// The device has no connection.
    Offline,
    /// The name of the host could not be resolved.
    UnknownHost,
    /// Nothing answers at the address.
    Refused,
    /// No answer, or no further byte, in time.
    Timeout,
    /// The connection ended before the answer was complete.
    Cut,
    /// Certificate or encryption was not accepted.
    Insecure {
        /// What the platform said.
        reason: String,
    },
    /// The platform does not let the app make this request.
    Forbidden {
        /// What the platform said.
        reason: String,
    },
    /// Anything else.
    Other {
        /// What the platform said.
        reason: String,
    },
}

/// A model that is being fetched. Letting go of it cancels; the next pull goes on with what has arrived.
#[derive(uniffi::Object)]
pub struct ModelPull {
    job: PullJob,
    relay: Relay,
}

impl ModelPull {
    pub(super) fn start(engine: &Engine, store: &Store, request: PullRequest) -> Self {
        let relay = Relay::new();
        let job = engine.pull(store, request, relay.clone(), &CancelToken::new());
        Self { job, relay }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Option<PullEvent>, StoreFailure>> {
        loop {
            if let Poll::Ready(Some(event)) = self.relay.poll_event(context) {
                if let Some(event) = PullEvent::of_relay(event) {
                    return Poll::Ready(Ok(Some(event)));
                }
                continue;
            }
            return match self.job.poll_event(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(Some(step))) => match PullEvent::of_step(step) {
                    Some(event) => Poll::Ready(Ok(Some(event))),
                    None => continue,
                },
                Poll::Ready(Ok(None)) => Poll::Ready(Ok(None)),
                Poll::Ready(Err(failure)) => Poll::Ready(Err(StoreFailure::of(&failure))),
            };
        }
    }
}

#[uniffi::export]
impl ModelPull {
    /// The next event; `null` after the last one. Waits without blocking a thread; giving the wait up loses nothing.
    ///
    /// # Errors
    /// Why the model could not be fetched.
    pub async fn next_event(&self) -> Result<Option<PullEvent>, StoreFailure> {
        poll_fn(|context| self.poll(context)).await
    }

    /// Status and headers of the answer to a request; whether its body is wanted.
    pub fn respond(&self, id: u64, status: u16, headers: Vec<Header>) -> bool {
        let headers = headers.into_iter().map(|Header { name, value }| (name, value)).collect();
        self.relay.respond(id, status, headers)
    }

    /// A piece of the body; whether more is wanted. Waits while the disk is slower than the network.
    pub async fn push(&self, id: u64, bytes: Vec<u8>) -> bool {
        self.relay.push(id, &bytes).await
    }

    /// The body is complete.
    pub fn end(&self, id: u64) {
        self.relay.end(id);
    }

    /// The request failed; what to do about it is decided here.
    pub fn fail(&self, id: u64, problem: NetworkProblem) {
        self.relay.fail(id, problem.failure());
    }

    /// Stops. Returns at once; what has arrived is kept.
    pub fn cancel(&self) {
        self.job.cancel();
    }
}

impl Drop for ModelPull {
    fn drop(&mut self) {
        self.relay.close();
    }
}

impl PullSettings {
    pub(super) fn request(self, reference: &str) -> Result<PullRequest, StoreFailure> {
        let mut origin: Origin = match (&self.from, &self.endpoint) {
            (Some(_), Some(_)) => {
                return Err(StoreFailure::InvalidName {
                    reason: "a model comes from a hub or from a folder, and both are given".to_owned(),
                    next_step: "give one of the two".to_owned(),
                });
            }
            (Some(place), None) => Origin::folder(place)?,
            (None, endpoint) => Hub::new(endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT))?.into(),
        };
        if let Some(token) = &self.token {
            origin = origin.with_token(Token::new(token)?)?;
        }
        Ok(PullRequest::new(reference, origin)?.with_update(self.update))
    }
}

impl PullEvent {
    /// `None` for kinds that are younger than this surface.
    fn of_relay(event: RelayEvent) -> Option<Self> {
        Some(match event {
            RelayEvent::Fetch { id, request } => {
                let mut headers: Vec<Header> =
                    request.headers.into_iter().map(|(name, value)| Header { name, value }).collect();
                let has_range = headers.iter().any(|header| header.name.eq_ignore_ascii_case("range"));
                if request.from_byte > 0 && !has_range {
                    headers.push(Header { name: "Range".into(), value: format!("bytes={}-", request.from_byte) });
                }
                let patience_seconds = request.silence.as_secs_f64();
                Self::Fetch {
                    id,
                    request: HttpFetch { head: request.head, url: request.url, headers, patience_seconds },
                }
            }
            RelayEvent::Abandon { id } => Self::Abandon { id },
            _ => return None,
        })
    }

    /// `None` for kinds that are younger than this surface.
    fn of_step(step: Step<sotto::store::Installed>) -> Option<Self> {
        match step {
            Step::Progress(Progress { stage, done, total, .. }) => {
                Some(Self::Progress { done, total, checking: stage == Stage::Verify })
            }
            Step::Done(installed) => Some(Self::Finished { model: (&installed).into() }),
            _ => None,
        }
    }
}

impl NetworkProblem {
    fn failure(self) -> NetworkFailure {
        match self {
            Self::Offline => NetworkFailure::Offline,
            Self::UnknownHost => NetworkFailure::Dns,
            Self::Refused => NetworkFailure::Refused,
            Self::Timeout => NetworkFailure::Timeout,
            Self::Cut => NetworkFailure::Cut,
            Self::Insecure { reason } => NetworkFailure::Tls(reason),
            Self::Forbidden { reason } => NetworkFailure::Forbidden(reason),
            Self::Other { reason } => NetworkFailure::Protocol(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_comes_from_a_hub_or_from_a_folder() {
        let settings = PullSettings { endpoint: None, token: None, update: false, from: None };
        let from = |place: &str| PullSettings { from: Some(place.to_owned()), ..settings.clone() };
        let origin = |settings: PullSettings| settings.request("a/b").map(|request| request.origin);
        assert!(matches!(origin(settings.clone()), Ok(Origin::Hub(_))));
        assert!(matches!(origin(from("https://example.org/m")), Ok(Origin::Web(_))));
        assert!(matches!(origin(from("some/folder")), Ok(Origin::Local(_))));
        let both = PullSettings { endpoint: Some(DEFAULT_ENDPOINT.to_owned()), ..from("some/folder") };
        let with_token = PullSettings { token: Some("x".to_owned()), ..from("some/folder") };
        for refused in [from("http://example.org/m"), both, with_token] {
            assert!(matches!(origin(refused), Err(StoreFailure::InvalidName { .. })));
        }
    }
}
