//! The services: they say which request each of their answers is to, and note what they got of another's.

mod http1;
mod http2;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::asked::{Asked, Found, Plan, content};

/// How a service that says no more is given up, if nobody closes its connection: longer than any request takes here.
const STALL: std::time::Duration = std::time::Duration::from_secs(5);

/// What services say between two pieces of an answer that they only trickle.
const TRICKLE: std::time::Duration = std::time::Duration::from_millis(20);

/// Which HTTP a service speaks.
#[derive(Clone)]
pub(super) enum Speaks {
    Http1,
    Http2,
    /// What is agreed on in TLS.
    Tls(TlsAcceptor),
}

/// A configuration of the door's, as its requests tell it, and which users it lets through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Configured {
    pub(super) name: &'static str,
    pub(super) admits: fn(usize) -> bool,
}

/// What the services of one backend are.
#[derive(Clone)]
pub(super) struct Serving {
    found: Found,
    /// How often each request came.
    came: Arc<Mutex<HashMap<u64, usize>>>,
    /// Whether the door is told to try requests again.
    is_tried_again: bool,
    by: Option<Configured>,
}

/// Whether a service lives.
pub(super) struct Life(watch::Sender<bool>);

/// A request as any version tells it.
struct Came<'a> {
    asked: Asked,
    method: &'a Method,
    has_content: bool,
    user_id: Option<&'a str>,
    configuration: Option<&'a str>,
}

impl Life {
    pub(super) fn set(&self, lives: bool) {
        self.0.send_replace(lives);
    }
}

impl Serving {
    pub(super) fn new(found: &Found) -> Self {
        Self { found: found.clone(), came: Arc::default(), is_tried_again: false, by: None }
    }

    pub(super) fn tried_again(self) -> Self {
        Self { is_tried_again: true, ..self }
    }

    /// The same for what comes by one configuration alone.
    pub(super) fn by(&self, by: Configured) -> Self {
        Self { by: Some(by), ..self.clone() }
    }

    /// Where one of them listens.
    pub(super) async fn start(&self, speaks: Speaks) -> String {
        let (url, Life(life)) = self.start_mortal(speaks).await;
        // It lives on.
        tokio::spawn(async move { life.closed().await });
        url
    }

    /// The same for one whose connections can be broken all at once, and each new one until it lives again.
    pub(super) async fn start_mortal(&self, speaks: Speaks) -> (String, Life) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let scheme = if matches!(speaks, Speaks::Tls(_)) { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let (life, lives) = watch::channel(true);
        let serving = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, speaks, mut lives) = (serving.clone(), speaks.clone(), lives.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        _ = lives.wait_for(|lives| !lives) => {}
                        () = serving.connection(speaks, stream) => {}
                    }
                });
            }
        });
        (url, Life(life))
    }

    async fn connection(&self, speaks: Speaks, stream: TcpStream) {
        match speaks {
            Speaks::Http1 => http1::serve(self, Box::new(stream)).await,
            Speaks::Http2 => http2::serve(self, Box::new(stream)).await,
            Speaks::Tls(acceptor) => {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http2::serve(self, Box::new(stream)).await,
                    _ => http1::serve(self, Box::new(stream)).await,
                }
            }
        }
    }

    /// Takes note of a request, and says whether it came before.
    fn came(&self, came: &Came<'_>) -> bool {
        let Came { asked, method, has_content, user_id, configuration } = *came;
        let is_its_users = user_id == Some(format!("user-{}", asked.user).as_str());
        self.found.check(|| format!("{asked:?} came as {user_id:?}'s"), is_its_users);
        if let Some(by) = self.by {
            let is_let_through = configuration == Some(by.name) && (by.admits)(asked.user);
            self.found.check(|| format!("{asked:?} came to {by:?}, by {configuration:?}"), is_let_through);
        }
        let before = {
            let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
            let count = came.entry(asked.number).or_default();
            *count += 1;
            *count - 1
        };
        let may_come_again =
            !has_content && (self.is_tried_again || method.is_idempotent() || *method == Method::CONNECT);
        self.found
            .check(|| format!("{method} {asked:?} came {} times", before + 1), before == 0 || may_come_again);
        before > 0
    }

    /// What there is of a request's content has to be this request's, whether it comes to its end or not.
    fn check_content(&self, asked: Asked, got: &[u8]) {
        let expected = content('u', asked.number, got.len());
        self.found.check(|| format!("{asked:?} came with another's content"), got == expected);
    }

    fn check_trailer(&self, asked: Asked, trailer: Option<&str>) {
        let is_its_own = trailer.is_none_or(|trailer| trailer == asked.number.to_string());
        self.found.check(|| format!("{asked:?} came with another's trailer"), is_its_own);
    }

    /// What a service does now: some of it only once.
    fn plan(&self, asked: Asked, comes_again: bool) -> Plan {
        match asked.plan {
            Plan::NoAnswer | Plan::Reset | Plan::Stalls | Plan::StallsUpload if comes_again => Plan::Answer,
            plan => plan,
        }
    }
}
