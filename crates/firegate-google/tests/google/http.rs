use std::sync::Arc;
use std::time::Duration;

use firegate_google::http::{ConnectFailure, ExchangeBounds, FetchError, HttpClient, Roots};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::{Answer, Server, client};

const BOUNDS: ExchangeBounds = ExchangeBounds { timeout: Duration::from_secs(20), body_bytes_max: 16 };

async fn check(server: &Server, answer: Answer, expected: Result<&str, FetchError>) {
    server.respond(move |_| answer.clone());
    let got = client().get(&server.url("/"), BOUNDS).await;
    assert_eq!(got.map(|response| response.into_body()), expected.map(|body| body.to_owned().into()));
}

#[tokio::test]
async fn answers_are_taken_within_bounds_and_only_with_status_200() {
    let server = Server::start(|_| Answer::new(500, "text/plain", "")).await;
    check(&server, Answer::new(200, "text/plain", "sixteen bytes .."), Ok("sixteen bytes ..")).await;
    check(&server, Answer::new(200, "text/plain", "seventeen bytes .."), Err(FetchError::TooLarge)).await;
    check(&server, Answer::new(204, "text/plain", ""), Err(FetchError::Status(204))).await;
    check(
        &server,
        Answer::new(302, "text/plain", "").with("location", "/else"),
        Err(FetchError::Status(302)),
    )
    .await;
    check(
        &server,
        Answer::new(200, "text/plain", "x").with("content-encoding", "gzip"),
        Err(FetchError::Compressed),
    )
    .await;
    assert_eq!(server.count(), 5, "no redirect was followed");
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_in_time() {
    let server = Server::start(|_| Answer::new(200, "text/plain", "")).await;
    server.hold();
    let bounds = ExchangeBounds { timeout: Duration::from_millis(50), ..BOUNDS };
    assert_eq!(client().get(&server.url("/"), bounds).await.map(drop), Err(FetchError::TimedOut));
}

#[tokio::test]
async fn what_cannot_be_connected_to_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    for (url, expected) in [
        (closed.as_str(), FetchError::Connect(ConnectFailure::Refused)),
        ("http://name.invalid/", FetchError::Connect(ConnectFailure::Name)),
        ("ftp://127.0.0.1/", FetchError::InvalidUrl),
    ] {
        let url = Url::parse(url).expect("a URL");
        assert_eq!(client().get(&url, BOUNDS).await.map(drop), Err(expected), "{url}");
    }
}

#[tokio::test]
async fn only_the_given_roots_are_trusted() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (url, _server) = tls_server(cert.der().clone(), signing_key.serialize_der()).await;
    let trusting =
        HttpClient::new(Handle::current(), Roots::Given(vec![cert.der().clone()])).expect("a root");
    assert_eq!(trusting.get(&url, BOUNDS).await.map(|response| response.into_body()), Ok("secret".into()));
    assert_eq!(client().get(&url, BOUNDS).await.map(drop), Err(FetchError::Connect(ConnectFailure::Tls)));
}

async fn tls_server(certificate: CertificateDer<'static>, key: Vec<u8>) -> (Url, AbortOnDropHandle<()>) {
    let key = PrivateKeyDer::try_from(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
        .expect("a TLS configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.expect("a connection");
            // A client that does not trust the certificate breaks off.
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
            let _ = connection.shutdown().await;
        }
    });
    (Url::parse(&format!("https://localhost:{port}/")).expect("a URL"), AbortOnDropHandle::new(serving))
}
