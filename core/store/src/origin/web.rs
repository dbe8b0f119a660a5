//! What every server of models is asked in the same way: small texts, files from any byte on, and what its refusals
//! mean.

use sotto_runtime::CancelToken;

use super::client::{Client, Fetch, Head};
use super::{Answer, Ask, Part};
use crate::error::{NetworkFailure, StoreError};
use crate::range::ContentRange;
use crate::retry::Attempts;

impl Client<'_> {
    /// The answer of an address in full, refused beyond `limit` bytes, and the host that gave it. `refusal` says what a
    /// status other than 200 means.
    ///
    /// No name or no connection at the first request is reported at once: whoever is offline should not wait for
    /// retries.
    pub(crate) fn text(
        &self,
        address: &str,
        limit: u64,
        refusal: &dyn Fn(&Head) -> StoreError,
        cancel: &CancelToken,
    ) -> Result<(Vec<u8>, String), StoreError> {
        let once = || {
            let fetch = Fetch { address: address.to_owned(), ..Fetch::default() };
            let (head, mut transfer) = self.send(&fetch, cancel)?;
            if head.status != 200 {
                return Err(refusal(&head));
            }
            let stated = head.length();
            let body = transfer.read_to_end(limit, cancel)?;
            if stated.is_some_and(|stated| (body.len() as u64) < stated) {
                return Err(StoreError::Network { host: head.host, failure: NetworkFailure::Cut });
            }
            Ok((body, head.host))
        };
        let mut attempts = Attempts::new(&self.server().patience);
        loop {
            match once() {
                Err(StoreError::Network { host, failure })
                    if matches!(failure, NetworkFailure::Dns | NetworkFailure::Refused | NetworkFailure::Offline) =>
                {
                    return Err(StoreError::Network { host, failure });
                }
                Err(error) => attempts.failed(error, cancel)?,
                text => return text,
            }
        }
    }

    /// Asks once for a file, from the byte on that `ask` names.
    pub(crate) fn open(
        &self,
        address: String,
        ask: &Ask<'_>,
        refusal: &dyn Fn(&Head) -> StoreError,
        cancel: &CancelToken,
    ) -> Result<Answer, StoreError> {
        let fetch = Fetch { address, from: ask.from, if_range: ask.tag.clone(), ..Fetch::default() };
        let (head, transfer) = self.send(&fetch, cancel)?;
        let part = |head: &Head| Part {
            length: head.length(),
            tag: head.text("etag").map(str::to_owned),
            host: head.host.clone(),
            body: transfer.into_body(),
        };
        match head.status {
            200 => Ok(Answer::Whole(part(&head))),
            206 if ask.from > 0 && continues(&head, ask) => Ok(Answer::Rest(part(&head))),
            // Another range than asked for, or none: this part cannot be continued.
            206 | 416 if ask.from > 0 => Ok(Answer::Lost),
            206 | 416 => Err(StoreError::Reply {
                host: head.host,
                reason: "it sends a part of a file that was asked for whole".to_owned(),
            }),
            _ => Err(refusal(&head)),
        }
    }

    /// The error that a status other than success means; `missing` is the one of 404.
    pub(crate) fn refusal(&self, head: &Head, missing: impl FnOnce() -> StoreError) -> StoreError {
        let (host, status, had_token) = (head.host.clone(), head.status, self.had_token());
        match status {
            // Addresses of a storage are signed and expire: a fresh request to the server gets a new one.
            401 | 403 | 404 | 410 if !head.from_server => StoreError::Storage { host, status },
            401 | 403 => StoreError::Unauthorized { host, had_token },
            404 => missing(),
            429 => StoreError::RateLimited { host, retry_after: head.retry_after(), had_token },
            // A server under maintenance may say when it will be back.
            503 if head.retry_after().is_some() => {
                StoreError::RateLimited { host, retry_after: head.retry_after(), had_token: true }
            }
            _ => StoreError::Server { host, status },
        }
    }
}

/// Whether the server sends what is missing behind the byte asked for of the very file.
fn continues(head: &Head, ask: &Ask<'_>) -> bool {
    let range = head.text("content-range").and_then(ContentRange::parse);
    range.is_some_and(|range| range.first == ask.from && range.total == Some(ask.size))
}
