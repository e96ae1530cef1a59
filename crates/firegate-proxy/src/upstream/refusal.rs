//! Which hop refused. When Cloud Run's front refuses Firegate's own Google token, its 401, 403 or 404 is a fault of the
//! deployment; handed to the app it would look like a lost login. A wrong guess would hide a service's own answer, so
//! the front is believed to have written an answer only with `server: Google Frontend` and two more signals.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SERVER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::limits::{REFUSAL_PEEK_BYTES_MAX, REFUSAL_PEEK_TIMEOUT};

/// A refusal by Cloud Run's front, with its likely cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrontRefusal {
    /// 404: the service's ingress does not admit the request, or the host is no service.
    Ingress,
    /// 403: the service account may not invoke the service.
    Invoker,
    /// 401: the token's audience, or the token itself, is not what the service expects.
    Token,
}

impl FrontRefusal {
    /// The likely cause and what to do, for the log.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Ingress => {
                "the service's ingress does not admit Firegate, or the URL is no service: let the traffic come from the \
                 project's network, or set the service's ingress to `all`, which leaves the IAM check on: gcloud run services update \
                 SERVICE --ingress=all"
            }
            Self::Invoker => {
                "Firegate's service account lacks roles/run.invoker on the service: gcloud run services \
                 add-iam-policy-binding SERVICE --member=serviceAccount:ACCOUNT --role=roles/run.invoker (a new binding takes minutes)"
            }
            Self::Token => {
                "the token's audience is not the service's: set the backend's `audience` to the service's URL, without a \
                 path or trailing slash, or add it to the service's custom audiences"
            }
        }
    }

    /// What the answer's status and headers alone allow it to be.
    pub(crate) fn suspect<B>(response: &Response<B>) -> Option<Self> {
        let (status, headers) = (response.status(), response.headers());
        if headers.get(SERVER).is_none_or(|server| server != "Google Frontend") || !is_html(headers) {
            return None;
        }
        match status {
            StatusCode::UNAUTHORIZED => Some(Self::Token),
            StatusCode::FORBIDDEN => Some(Self::Invoker),
            StatusCode::NOT_FOUND => Some(Self::Ingress),
            _ => None,
        }
    }

    /// Whether the beginning of the body is what the front writes, word for word.
    pub(crate) fn is_confirmed_by(self, headers: &HeaderMap, start: &[u8]) -> bool {
        let contains = |text: &str| start.windows(text.len()).any(|window| window == text.as_bytes());
        match self {
            Self::Token => {
                let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
                let says_so = challenge.is_some_and(|text| {
                    text.contains("error=\"invalid_token\"") && text.contains("could not be verified")
                });
                says_so
                    || (contains("<title>401 Unauthorized</title>")
                        && contains("<h2>Your client does not have permission to the requested URL <code>"))
            }
            Self::Invoker => {
                // The sentence goes on after the path, which may be longer than what is looked at.
                contains("<title>403 Forbidden</title>")
                    && contains("<h2>Your client does not have permission to get URL <code>")
                    && (contains("</code> from this server.</h2>") || start.len() >= REFUSAL_PEEK_BYTES_MAX)
            }
            Self::Ingress => {
                contains("<title>404 Page not found</title>")
                    && contains("<h2>The requested URL was not found on this server.</h2>")
            }
        }
    }
}

/// How long the front's 403 page is without the path, and its 404 page, without their last line feed.
const INVOKER_PAGE_BYTES: usize = 292;
const INGRESS_PAGE_BYTES: usize = 270;

impl FrontRefusal {
    /// Whether the answer to a HEAD request is as long as the page that the front writes for this target. There is no body
    /// to look at, and by chance no other page is just as long.
    pub(crate) fn is_confirmed_without_body(self, headers: &HeaderMap, target: &Uri) -> bool {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let Some(announced) = announced else { return self.is_confirmed_by(headers, &[]) };
        let page = |bytes: usize| announced == bytes || announced == bytes + 1;
        match self {
            Self::Token => self.is_confirmed_by(headers, &[]),
            Self::Ingress => page(INGRESS_PAGE_BYTES),
            Self::Invoker => [target.path(), target.path_and_query().map_or("", |target| target.as_str())]
                .into_iter()
                .any(|shown| page(INVOKER_PAGE_BYTES + escaped_bytes(shown))),
        }
    }
}

/// How long a text is once it is escaped for HTML.
fn escaped_bytes(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'&' => 5,
        b'<' | b'>' => 4,
        b'"' => 6,
        b'\'' => 5,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
    })
}

/// Reads the beginning of a body, as much as is looked at, and gives the body back whole.
pub(crate) async fn peek<B>(mut body: B) -> (Bytes, PeekedBody<B>)
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut start = BytesMut::new();
    let mut next = None;
    let read = async {
        while start.len() < REFUSAL_PEEK_BYTES_MAX {
            match body.frame().await.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => start.extend_from_slice(&data),
                Some(Ok(Err(trailers))) => return next = Some(Ok(trailers)),
                Some(Err(error)) => return next = Some(Err(error)),
                None => return,
            }
        }
    };
    // A service that writes its page slowly is a service, and its answer goes on from here.
    let _ = tokio::time::timeout(REFUSAL_PEEK_TIMEOUT, read).await;
    let start = start.freeze();
    let looked_at = start.slice(..start.len().min(REFUSAL_PEEK_BYTES_MAX));
    (looked_at, PeekedBody { start: Some(start).filter(|start| !start.is_empty()), next, rest: body })
}

/// A body whose beginning was read: it says the same as before, its error or trailers included.
pub(crate) struct PeekedBody<B: HttpBody> {
    start: Option<Bytes>,
    next: Option<Result<Frame<Bytes>, B::Error>>,
    rest: B,
}

impl<B: HttpBody> PeekedBody<B> {
    /// A body of which this was taken.
    pub(crate) fn new(start: Bytes, rest: B) -> Self {
        Self { start: Some(start), next: None, rest }
    }

    /// What is left of the body, without its beginning.
    pub(crate) fn into_rest(self) -> B {
        self.rest
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for PeekedBody<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(start) = self.start.take() {
            return Poll::Ready(Some(Ok(Frame::data(start))));
        }
        match self.next.take() {
            Some(next) => Poll::Ready(Some(next)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_none() && self.next.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.rest.size_hint();
        let start = self.start.as_ref().map_or(0, |start| start.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + start);
        }
        hint.set_lower(hint.lower() + start);
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use tokio::sync::mpsc;

    use super::*;

    /// A service's answer that happens to look like one of the front's, and is written slowly.
    #[tokio::test(start_paused = true)]
    async fn what_was_looked_at_goes_on_whole_and_nobody_waits_for_its_end() {
        let (write, mut written) = mpsc::unbounded_channel::<Result<Frame<Bytes>, ()>>();
        let body = StreamBody::new(stream::poll_fn(move |context| written.poll_recv(context)).boxed());
        write.send(Ok(Frame::data(Bytes::from_static(b"<html>")))).expect("it is read");
        let began = tokio::time::Instant::now();
        let (start, body) = peek(body).await;
        assert_eq!((&*start, began.elapsed().as_secs()), (&b"<html>"[..], REFUSAL_PEEK_TIMEOUT.as_secs()));
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "1".parse().expect("a value"))]);
        write.send(Ok(Frame::data(Bytes::from_static(b"</html>")))).expect("it is read");
        write.send(Ok(Frame::trailers(trailers.clone()))).expect("it is read");
        drop(write);
        let (start, body) = peek(body).await;
        assert_eq!(&*start, b"<html></html>");
        let whole = body.collect().await.expect("a whole body");
        assert_eq!(whole.trailers(), Some(&trailers));
        assert_eq!(whole.to_bytes(), "<html></html>");
    }
}
