//! A new connection to an endpoint: TCP to one of its addresses, TLS if its URL says so, and HTTP in the version that is
//! configured or agreed on.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use firegate_files::configuration::Protocol;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use url::Url;

use super::aside::Aside;
use super::connections::{SharedConnection, Streams};
use super::http1::Http1Connection;
use super::resolve::{Addresses, ResolvedAddress, in_turn};
use super::socket::Socket;
use super::transport::Transport;
use crate::limits::{
    UPSTREAM_ATTEMPT_STAGGER, UPSTREAM_CONNECTION_WINDOW_BYTES, UPSTREAM_KEEPALIVE_TIME,
    UPSTREAM_PING_INTERVAL, UPSTREAM_PING_TIMEOUT, UPSTREAM_RESPONSE_HEAD_BYTES_MAX,
    UPSTREAM_STREAM_WINDOW_BYTES,
};

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectError {
    pub(super) kind: ConnectErrorKind,
    detail: String,
}

/// Whose fault it is that there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectErrorKind {
    /// The service's, or that of the network between.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// The two sides do not speak the same protocol.
    Protocol,
    /// The service's, which takes no WebSockets: that says nothing of other requests.
    NoWebSockets,
    /// This worker's, which has as many WebSockets open there by HTTP/2 as it may.
    NoRoomForWebSockets,
    /// This machine's: it has no descriptors or no memory left, which says nothing of the service.
    OutOfResources,
    /// This machine's: it has no port left for a connection there. For one to another endpoint it may.
    OutOfPorts,
    /// Firegate's own.
    Panicked,
}

impl ConnectErrorKind {
    /// Whether it says something of the endpoint, which another one may do better than.
    pub(super) fn is_endpoints(self) -> bool {
        match self {
            Self::Unreachable | Self::TimedOut | Self::Protocol => true,
            Self::NoWebSockets
            | Self::NoRoomForWebSockets
            | Self::OutOfResources
            | Self::OutOfPorts
            | Self::Panicked => false,
        }
    }

    /// Whether another endpoint may do.
    pub(super) fn may_go_elsewhere(self) -> bool {
        self.is_endpoints() || self == Self::OutOfPorts
    }
}

impl ConnectError {
    pub(super) fn new(kind: ConnectErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Why no connection to an address could be made.
    fn to(address: SocketAddr, error: &io::Error) -> Self {
        let error = Self::of(error, address);
        if error.kind != ConnectErrorKind::OutOfPorts || has_address_towards(address) {
            return error;
        }
        let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
        Self::new(
            ConnectErrorKind::Unreachable,
            format!("{address}: this machine has no {family} address from which it could be reached"),
        )
    }

    fn of(error: &io::Error, what: impl fmt::Display) -> Self {
        let (kind, hint) = match (error.kind(), error.raw_os_error()) {
            // `EMFILE` and `ENFILE`.
            (_, Some(23 | 24)) => (ConnectErrorKind::OutOfResources, DESCRIPTORS_HINT),
            // `ENOMEM`, and Linux' `ENOBUFS`.
            (io::ErrorKind::OutOfMemory, _) | (_, Some(105)) => {
                (ConnectErrorKind::OutOfResources, MEMORY_HINT)
            }
            (io::ErrorKind::AddrNotAvailable, _) => (ConnectErrorKind::OutOfPorts, PORTS_HINT),
            _ => (ConnectErrorKind::Unreachable, tls_hint(error)),
        };
        Self::new(kind, format!("{what}: {error}{hint}"))
    }
}

const DESCRIPTORS_HINT: &str = "; hint: raise how many files may be open on this machine: `LimitNOFILE=` of systemd, `ulimit -n`, \
    `fs.file-max`";

const MEMORY_HINT: &str =
    "; hint: give this machine's sockets more memory: `net.ipv4.tcp_mem`, the memory of the container";

const PORTS_HINT: &str =
    "; hint: this machine has no port left for more connections there: widen `net.ipv4.ip_local_port_range`";

/// What to do about a TLS handshake that failed, where that can be told.
fn tls_hint(error: &io::Error) -> &'static str {
    use rustls::{CertificateError as Certificate, Error, InvalidMessage};
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else { return "" };
    match error {
        // Another authority of the same name has another signature.
        Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
            "; hint: name a file with the authority of this certificate as the backend's `ca_certificates`"
        }
        Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "; hint: write the service's name in the backend's `url` as its certificate does",
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "; hint: renew the service's certificate; if it is valid, set the clock of this machine"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; hint: what listens there speaks no TLS: look at the port in the backend's `url`"
        }
        _ => "",
    }
}

/// Whether this machine has an address from which another one can be reached. The system says the same of one that has none as
/// of one that has no port left. A datagram socket takes its port from others than a connection, and sends nothing by being
/// told where to.
fn has_address_towards(address: SocketAddr) -> bool {
    let any =
        if address.is_ipv6() { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
    let told = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address));
    !told.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

impl fmt::Display for ConnectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

/// Which versions of HTTP a connection may turn out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    Http1,
    Http2,
    /// Whichever the service prefers in the TLS handshake.
    Negotiated,
}

impl Versions {
    /// What the configuration means for a URL of this scheme.
    pub(super) fn of(protocol: Protocol, url: &Url) -> Self {
        match protocol {
            Protocol::Auto if url.scheme() == "https" => Self::Negotiated,
            Protocol::Auto | Protocol::Http1 => Self::Http1,
            Protocol::H2 | Protocol::H2c => Self::Http2,
        }
    }

    fn offered(self) -> &'static [&'static [u8]] {
        match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Negotiated => &[b"h2", b"http/1.1"],
        }
    }
}

/// How the connections of one endpoint are made.
pub(super) struct Connector {
    /// The name that the service's certificate has to be for, and whom to believe; nothing without TLS.
    tls: Option<(ServerName<'static>, Arc<ClientConfig>)>,
    versions: Versions,
}

/// A connection that was just made.
pub(super) enum Opened {
    Http1(Box<Http1Connection>),
    Http2(SharedConnection),
}

impl Connector {
    /// For connections to `connect_to` in the name of `url`, whose certificates `tls` judges.
    ///
    /// # Errors
    /// If the host cannot be the name of a server.
    pub(super) fn new(
        url: &Url,
        connect_to: &Url,
        versions: Versions,
        tls: &ClientConfig,
    ) -> Result<Self, ConnectError> {
        if connect_to.scheme() != "https" {
            return Ok(Self { tls: None, versions });
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            ConnectError::new(ConnectErrorKind::Protocol, format!("{host:?} cannot be the name of a server"))
        })?;
        let mut tls = tls.clone();
        tls.alpn_protocols = versions.offered().iter().map(|name| name.to_vec()).collect();
        Ok(Self { tls: Some((name, Arc::new(tls))), versions })
    }

    /// The versions that its connections may turn out to speak.
    pub(super) fn versions(&self) -> Versions {
        self.versions
    }

    /// Makes a connection, until `deadline` at the latest. `turn` says with which of the addresses to begin.
    pub(super) async fn connect(
        &self,
        addresses: &Addresses,
        turn: usize,
        deadline: Instant,
    ) -> Result<Opened, ConnectError> {
        // Before the addresses are read: what changes in between makes the connection look older than it is.
        let epoch = addresses.epoch();
        let found = addresses.wait(deadline).await;
        let found = found.map_err(|error| ConnectError::new(ConnectErrorKind::Unreachable, error))?;
        let aside = &addresses.aside;
        let (stream, address) = timeout_at(deadline, dial(&aside.last(in_turn(&found, turn)), aside))
            .await
            .map_err(|_| late("no connection could be made"))??;
        // A socket that refuses is slower, not wrong.
        let _ = stream.set_nodelay(true);
        let probes =
            TcpKeepalive::new().with_time(UPSTREAM_KEEPALIVE_TIME).with_interval(UPSTREAM_PING_TIMEOUT);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&probes);
        let opened = self.open(stream, ResolvedAddress { address, epoch }, deadline).await;
        if opened.is_err() {
            // Another one of the host's may be well.
            aside.put(address);
        }
        opened
    }

    /// Begins HTTP on a connection that was made.
    async fn open(
        &self,
        stream: TcpStream,
        address: ResolvedAddress,
        deadline: Instant,
    ) -> Result<Opened, ConnectError> {
        let secured = timeout_at(deadline, self.secure(stream, address.address)).await;
        let transport = secured.map_err(|_| late("the TLS handshake did not end"))??;
        let is_http2 = match self.versions {
            Versions::Http1 => false,
            Versions::Http2 => true,
            Versions::Negotiated => transport.agreed_on_http2(),
        };
        if !is_http2 {
            return Ok(Opened::Http1(Http1Connection::new(transport, address)));
        }
        let handshake = http2_connection(transport, address);
        let opened = timeout_at(deadline, handshake).await.map_err(|_| late("HTTP did not begin"))?;
        opened.map(Opened::Http2).map_err(|error| {
            ConnectError::new(
                ConnectErrorKind::Unreachable,
                format!("{}: HTTP did not begin: {error}", address.address),
            )
        })
    }

    async fn secure(&self, stream: TcpStream, address: SocketAddr) -> Result<Transport, ConnectError> {
        let Some((name, config)) = &self.tls else { return Ok(Transport::Plain(Socket::plain(stream))) };
        let connector = TlsConnector::from(Arc::clone(config));
        let handshake = connector.connect(name.clone(), Socket::below_tls(stream)).await;
        let stream = handshake.map_err(|error| ConnectError::of(&error, format!("{address}: TLS failed")))?;
        let transport = Transport::Tls(Box::new(stream));
        if self.versions == Versions::Http2 && !transport.agreed_on_http2() {
            let what = format!("{address}: the service did not agree to HTTP/2 in the TLS handshake");
            return Err(ConnectError::new(ConnectErrorKind::Protocol, what));
        }
        Ok(transport)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connector").field("versions", &self.versions).finish_non_exhaustive()
    }
}

fn late(what: &str) -> ConnectError {
    ConnectError::new(ConnectErrorKind::TimedOut, format!("{what} in time"))
}

/// A TCP connection to the first address that answers. The next one is tried when an attempt failed or has taken a while,
/// and does not end those before (RFC 8305, section 5). What failed, or was overtaken, is put aside.
async fn dial(addresses: &[SocketAddr], aside: &Aside) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let mut left = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None::<ConnectError>;
    let attempt = |address| async move { (address, TcpStream::connect(address).await) };
    attempts.extend(left.next().map(attempt));
    loop {
        let next = tokio::select! {
            next = attempts.next() => next,
            () = sleep(UPSTREAM_ATTEMPT_STAGGER), if left.len() > 0 => {
                attempts.extend(left.next().map(attempt));
                continue;
            }
        };
        match next {
            Some((address, Ok(stream))) => {
                addresses
                    .iter()
                    .take_while(|earlier| **earlier != address)
                    .for_each(|earlier| aside.put(*earlier));
                aside.take_back(address);
                return Ok((stream, address));
            }
            Some((address, Err(error))) => {
                let error = ConnectError::to(address, &error);
                // What an address says of the service counts for more than that this machine had no way to another one.
                if error.kind.is_endpoints()
                    || !failure.as_ref().is_some_and(|known| known.kind.is_endpoints())
                {
                    failure = Some(error);
                }
                attempts.extend(left.next().map(attempt));
            }
            None => {
                let nowhere = || ConnectError::new(ConnectErrorKind::Unreachable, "the host has no address");
                return Err(failure.unwrap_or_else(nowhere));
            }
        }
    }
}

async fn http2_connection(
    mut transport: Transport,
    address: ResolvedAddress,
) -> hyper::Result<SharedConnection> {
    let look_again = transport.look_again();
    let (dispatch, mut connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(UPSTREAM_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(UPSTREAM_CONNECTION_WINDOW_BYTES)
        .max_header_list_size(UPSTREAM_RESPONSE_HEAD_BYTES_MAX)
        .keep_alive_interval(UPSTREAM_PING_INTERVAL)
        .keep_alive_timeout(UPSTREAM_PING_TIMEOUT)
        .handshake(TokioIo::new(transport))
        .await?;
    let streams = Arc::new(Streams::default());
    let told = Arc::clone(&streams);
    tokio::spawn(async move {
        // How many streams the service allows is the connection's to know, and it is looked at with every request.
        let driven = std::future::poll_fn(|context| {
            let ended = std::pin::Pin::new(&mut connection).poll(context);
            told.allow(connection.current_max_send_streams());
            told.allow_extended_connect(connection.is_extended_connect_protocol_enabled(), context.waker());
            ended
        });
        if let Err(error) = driven.await {
            tracing::debug!(%error, "an HTTP/2 connection to a service ended early");
        }
    });
    Ok(SharedConnection::new(dispatch, look_again, streams, address))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    use super::*;
    use crate::limits::UPSTREAM_ADDRESS_ASIDE_TIME;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    #[cfg(target_os = "linux")]
    fn what_this_machine_lacks_is_none_of_the_endpoints_faults() {
        use ConnectErrorKind::{OutOfPorts, OutOfResources, Unreachable};
        for (numbers, kind) in [
            (&[12, 23, 24, 105][..], OutOfResources),
            (&[99], OutOfPorts),
            (&[1, 13, 101, 104, 110, 111, 113], Unreachable),
        ] {
            for number in numbers {
                let error = ConnectError::of(&io::Error::from_raw_os_error(*number), "an address");
                assert_eq!(error.kind, kind, "{error}");
                assert_eq!(error.kind.is_endpoints(), kind == Unreachable, "{error}");
                assert_eq!(error.to_string().contains("; hint: "), kind != Unreachable, "{error}");
            }
        }
    }

    /// An address of this machine that answers no more attempts: those that it has room for were made.
    async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let listener = socket.listen(1).expect("it listens");
        let address = listener.local_addr().expect("an address");
        let mut held = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(1), TcpStream::connect(address)).await {
            held.push(stream.expect("a connection"));
        }
        (address, listener, held)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_holds_the_next_one_up_for_a_moment() {
        let (silent, _listener, _held) = silent().await;
        let answers = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = answers.local_addr().expect("an address");
        for (addresses, waited) in [
            (vec![address, silent], Duration::ZERO),
            (vec![silent, address], UPSTREAM_ATTEMPT_STAGGER),
            (vec![silent, silent, address], 2 * UPSTREAM_ATTEMPT_STAGGER),
        ] {
            assert_eq!(dialled(&addresses, &Aside::default()).await, (address, waited), "{addresses:?}");
        }
    }

    /// The address of the connection that is made, and how long it took.
    async fn dialled(addresses: &[SocketAddr], aside: &Aside) -> (SocketAddr, Duration) {
        let begun = Instant::now();
        let order = aside.last(addresses.to_vec());
        let dialled = timeout(PATIENCE, dial(&order, aside)).await.expect("it is not waited for longer");
        (dialled.expect("a connection").1, begun.elapsed())
    }

    /// And each that follows is not held up, until it is time to look whether it answers again.
    #[tokio::test(start_paused = true)]
    async fn it_holds_one_connection_up_and_not_each() {
        let (silent, _listener, _held) = silent().await;
        let answers = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = answers.local_addr().expect("an address");
        let (addresses, aside) = ([silent, address], Aside::default());
        for _ in 0..2 {
            assert_eq!(dialled(&addresses, &aside).await, (address, UPSTREAM_ATTEMPT_STAGGER));
            tokio::time::advance(UPSTREAM_ADDRESS_ASIDE_TIME - Duration::from_secs(1)).await;
            assert_eq!(dialled(&addresses, &aside).await, (address, Duration::ZERO));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // One that answers is as good as ever, though it was aside, and one that refuses is put there.
        let nobody =
            TcpListener::bind(("127.0.0.1", 0)).await.expect("a port").local_addr().expect("an address");
        let aside = Aside::default();
        aside.put(address);
        assert_eq!(dialled(&[address, nobody], &aside).await.0, address);
        assert_eq!(aside.last(vec![nobody, address]), [address, nobody]);
    }
}
