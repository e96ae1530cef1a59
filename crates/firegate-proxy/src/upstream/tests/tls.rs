use std::io::Write as _;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and a service for `localhost` whose certificate is the authority's.
pub(super) struct Authority {
    file: tempfile::NamedTempFile,
    config: ServerConfig,
}

impl Authority {
    pub(super) fn new(alpn: &[&[u8]]) -> Self {
        Self::ending_in(alpn, 4096)
    }

    /// The same, with a certificate that is valid until the beginning of that year.
    fn ending_in(alpn: &[&[u8]], year: i32) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config =
            config.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate");
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(authority.pem().as_bytes()).expect("it is written");
        Self { file, config }
    }

    /// Answers with the version that was agreed on.
    async fn serve(&self) -> Origin {
        let config = self.config();
        Self::serve_by(move |_| Arc::clone(&config)).await
    }

    /// The same; how it does TLS depends on the number of the connection.
    async fn serve_by(config: impl Fn(usize) -> Arc<ServerConfig> + Send + 'static) -> Origin {
        Origin::start(move |stream, number| {
            let acceptor = TlsAcceptor::from(config(number));
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let agreed = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => "h2",
                    _ => "http/1.1",
                };
                let service = hyper::service::service_fn(move |_| async move {
                    Ok::<_, std::convert::Infallible>(Response::new(full(agreed)))
                });
                let builder =
                    hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// What a service of its own is configured with.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::new(self.config.clone())
    }

    /// The way to such a service.
    pub(super) fn site(&self, address: SocketAddr, more: &str) -> Site {
        let site = Site::new(&self.settings(more));
        site.names.set("localhost", address);
        site
    }

    /// How it is configured.
    fn settings(&self, more: &str) -> String {
        let roots = self.file.path().display();
        format!("url: 'https://localhost', credential: none, ca_certificates: '{roots}', {more}")
    }
}

#[tokio::test]
async fn the_handshake_decides_on_the_version() {
    for (offered, protocol, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], "auto", Ok("h2")),
        (&[b"http/1.1"], "auto", Ok("http/1.1")),
        (&[], "auto", Ok("http/1.1")),
        (&[b"h2", b"http/1.1"], "http1", Ok("http/1.1")),
        (&[b"h2", b"http/1.1"], "h2", Ok("h2")),
        (&[], "h2", Err(Code::UpstreamProtocol)),
    ] {
        let authority = Authority::new(offered);
        let origin = authority.serve().await;
        let site = authority.site(origin.address, &format!("protocol: {protocol}"));
        // Several at once: whoever comes first finds out for all.
        let (first, second) = tokio::join!(site.get(), site.get());
        for answer in [first, second, site.get().await] {
            match expected {
                Ok(version) => assert_eq!(answer.expect("an answer").body, version, "{offered:?} {protocol}"),
                Err(expected) => assert_eq!(code(answer), expected),
            }
        }
        if expected == Ok("h2") {
            assert_eq!(origin.connections(), 1);
        }
    }
}

/// What it speaks is known from then on: they do not wait for each other's connections, and take none for one made in vain.
#[tokio::test]
async fn requests_to_a_service_that_agreed_to_http1_have_a_connection_each() {
    const REQUESTS: usize = 8;
    let authority = Authority::new(&[b"http/1.1"]);
    let origin = authority.serve().await;
    let site = authority.site(origin.address, "");
    site.get().await.expect("an answer");
    let held = (0..REQUESTS).map(|_| site.send(Method::GET, &[], full("")));
    let held = futures_util::future::join_all(held).await;
    assert!(held.iter().all(Result::is_ok), "{held:?}");
    assert_eq!(origin.connections(), REQUESTS);
}

#[tokio::test]
async fn only_the_named_authorities_are_believed() {
    let (ours, theirs) = (Authority::new(&[]), Authority::new(&[]));
    let origin = theirs.serve().await;
    expect_unreachable(&ours.site(origin.address, ""), "`ca_certificates`").await;
    assert!(theirs.site(origin.address, "").get().await.is_ok());
}

/// That a service cannot be reached, with a hint that has this in it.
async fn expect_unreachable(site: &Site, hint: &str) {
    let Refused::Fault(fault) = site.get().await.expect_err("no answer") else { panic!("a fault") };
    let (_, told) = fault.detail.split_once("; hint: ").unwrap_or_else(|| panic!("{fault:?}"));
    assert_eq!((fault.code, told.contains(hint)), (Code::UpstreamUnreachable, true), "{told}");
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_as_such() {
    let origin = Origin::start(|mut stream, _| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        stream.shutdown().await.expect("it is sent");
    })
    .await;
    expect_unreachable(&Authority::new(&[]).site(origin.address, ""), "speaks no TLS").await;
}

#[tokio::test]
async fn a_certificate_has_its_time() {
    let authority = Authority::ending_in(&[], 2001);
    let origin = authority.serve().await;
    expect_unreachable(&authority.site(origin.address, ""), "renew").await;
}

#[tokio::test]
async fn the_certificate_has_to_be_for_the_host() {
    let authority = Authority::new(&[]);
    let origin = authority.serve().await;
    let site = Site::new(&format!(
        "url: 'https://other.example:{}', credential: none, ca_certificates: '{}'",
        origin.address.port(),
        authority.file.path().display()
    ));
    site.names.set("other.example", origin.address);
    expect_unreachable(&site, "as its certificate does").await;
}

#[tokio::test]
async fn a_file_without_authorities_is_told_at_the_start() {
    let site = Site::new("url: 'http://127.0.0.1:9'");
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for (file, expected) in [
        (empty.path().display().to_string(), "has no certificate"),
        ("/no/such/file.pem".to_owned(), "cannot be read"),
    ] {
        let text = format!(
            "project: demo-project\nallow: [allUsers]\n\
             backends: {{ api: {{ url: 'https://localhost', ca_certificates: '{file}' }} }}\n"
        );
        let configuration = configuration::parse("firegate.yaml", &text).expect("a configuration");
        let backend = &Snapshot::compile(&configuration).backends[0];
        let error = site.upstreams.open(backend).expect_err("no authorities").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// What does not answer the handshake is a connection that could not be made in time.
#[tokio::test]
async fn a_handshake_without_an_answer_is_given_up() {
    let authority = Authority::new(&[]);
    let silent = Origin::start(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let site = authority.site(silent.address, "timeouts: { connect: 100ms }");
    assert_eq!(code(site.get().await), Code::UpstreamConnectTimedOut);
}

/// In the clear nobody could tell it from a part (RFC 9112, section 9.8).
#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole_if_tls_says_that_this_is_the_end() {
    for says_so in [true, false] {
        let authority = Authority::new(&[b"http/1.1"]);
        let acceptor = TlsAcceptor::from(authority.config());
        let origin = Origin::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(stream).await.expect("a handshake");
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a head"));
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it").await.expect("it is sent");
                stream.flush().await.expect("it is sent");
                if says_so {
                    stream.shutdown().await.expect("it is sent");
                }
            }
        })
        .await;
        let site = authority.site(origin.address, "");
        let answer = site.send(Method::GET, &[], full("")).await.expect("a head");
        let whole = answer.into_body().collect().await;
        assert_eq!(whole.is_ok(), says_so);
    }
}

/// A host with an address at which something else listens: one request finds that out for those that follow.
#[tokio::test]
async fn an_address_with_which_there_is_no_handshake_is_left_for_the_others() {
    let authority = Authority::new(&[b"http/1.1"]);
    let (other, service) = (Origin::start(|stream, _| async { drop(stream) }).await, authority.serve().await);
    let upstreams = upstreams(Two([other.address, service.address]), Arc::default(), 1);
    let upstream = open(&upstreams, &authority.settings(""));
    let site = Site { upstreams, upstream, names: Names::default() };
    // An answer that is not read to its end has a connection of its own.
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(site.send(Method::GET, &[], full("")).await);
    }
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1, "{answers:?}");
    assert_eq!((other.connections(), service.connections()), (1, 5));
}

/// As when it is replaced by another one: what it agrees to now holds for those that come after.
#[tokio::test]
async fn a_service_that_agrees_to_another_version_than_before_is_spoken_to_in_that() {
    const AT_ONCE: usize = 3;
    for (first, then, connections_at_once) in [("http/1.1", "h2", 1), ("h2", "http/1.1", AT_ONCE)] {
        let authority = Authority::new(&[]);
        let [before, after] = [first, then].map(|version| {
            let mut config = authority.config.clone();
            config.alpn_protocols = vec![version.as_bytes().to_vec()];
            Arc::new(config)
        });
        let config = move |number| Arc::clone(if number == 0 { &before } else { &after });
        let origin = Authority::serve_by(config).await;
        let site = authority.site(origin.address, "");
        for (version, connections) in [(first, 1), (then, 2)] {
            for _ in 0..2 {
                assert_eq!(site.get().await.expect("an answer").body, version);
                assert_eq!(origin.connections(), connections, "{version} after {first}");
            }
            origin.close_all();
            until(|| origin.open_connections() == 0).await;
            settle().await;
        }
        let requests = (0..AT_ONCE).map(|_| site.send(Method::GET, &[], full("")));
        let answers = futures_util::future::join_all(requests).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(origin.connections(), 2 + connections_at_once, "{then} after {first}");
    }
}

/// Else servers write of it in their logs.
#[tokio::test]
async fn a_connection_that_is_let_go_of_ends_in_order() {
    let authority = Authority::new(&[b"http/1.1"]);
    let acceptor = TlsAcceptor::from(authority.config());
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let origin = Origin::start(move |stream, _| {
        let (acceptor, tell) = (acceptor.clone(), tell.lock().expect("the sender").take());
        async move {
            let mut stream = acceptor.accept(stream).await.expect("a handshake");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a head"));
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("it is sent");
            stream.flush().await.expect("it is sent");
            let end = stream.read(&mut [0]).await.map_err(|error| error.kind());
            tell.expect("one connection").send(end).expect("the test waits");
        }
    })
    .await;
    let site = authority.site(origin.address, "");
    site.get().await.expect("an answer");
    assert_eq!(told.await.expect("it ends"), Ok(0));
}
