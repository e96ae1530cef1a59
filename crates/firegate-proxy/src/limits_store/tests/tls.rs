//! A store that speaks TLS.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::server::RedisServer;
use super::*;

#[tokio::test]
async fn tls_is_spoken_with_whom_the_roots_vouch_for_alone() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let directory = TempDir::new().expect("a directory");
    let certificate = directory.path().join("server.pem");
    std::fs::write(&certificate, cert.pem()).expect("written");
    std::fs::write(directory.path().join("server.key"), signing_key.serialize_pem()).expect("written");
    let arguments = [
        "--port",
        "0",
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        "DIR/server.pem",
        "--tls-key-file",
        "DIR/server.key",
        "--tls-auth-clients",
        "no",
    ];
    let server = RedisServer::start_in(directory, &arguments);
    let url = format!("rediss://127.0.0.1:{}", server.port());
    let rule = throttle(1, Duration::from_secs(3600));

    let trusted = Roots::Given(vec![cert.der().clone()]);
    let replica = Replica::start(&url, PATIENCE, &trusted);
    replica.wait(true).await;
    assert_eq!(replica.count(&rule, "192.0.2.1").await, CountOutcome::Conform);
    let mapping = format!("{{ url: '{url}', ca_certificates: '{}' }}", certificate.display());
    let by_file = Replica::start(&mapping, PATIENCE, &Roots::Platform);
    by_file.wait(true).await;
    assert_eq!(by_file.count(&rule, "192.0.2.1").await, CountOutcome::Exceed);

    let stranger = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    for roots in [Roots::Given(vec![stranger.cert.der().clone()]), Roots::Platform] {
        let refused = store(&url, PATIENCE, &roots).expect("a store").connect().await.err();
        assert!(refused.is_some(), "{roots:?}");
    }
}
