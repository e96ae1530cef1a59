//! An authority that issues certificates for a front door, and clients that trust it.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The versions of TLS.
pub(crate) const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// An authority that clients trust, and a folder for what it issues.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        // Under the name that is rcgen's default for all, OpenSSL would take what it issues for certificates of itself.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        let folder = tempfile::tempdir().expect("a folder");
        let issuer = issuer.expect("an authority");
        std::fs::write(folder.path().join("authority.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }

    /// The place of a file in its folder. `authority.pem` is its own certificate.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Issues a certificate for these hosts, and writes it and its key as `NAME.pem` and `NAME-key.pem`.
    pub(crate) fn issue(&self, name: &str, hosts: &[&str]) -> CertificateDer<'static> {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(hosts).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.file(&format!("{name}-key.pem")), key.serialize_pem()).expect("a file");
        std::fs::write(self.file(&format!("{name}.pem")), certificate.pem()).expect("a file");
        certificate.der().clone()
    }

    /// Its own certificate.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// The line of a configuration with the certificates of these names.
    pub(crate) fn setting(&self, names: &[&str]) -> String {
        let certificates = names.iter().map(|name| {
            let (cert, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}-key.pem")));
            format!("{{ cert: '{cert}', key: '{key}' }}")
        });
        format!("tls: {{ certificates: [{}] }}\n", certificates.collect::<Vec<_>>().join(", "))
    }

    /// A front door with the certificates of these names, before a service that is not there.
    pub(crate) fn configuration(&self, names: &[&str]) -> String {
        let certificates = self.setting(names);
        format!(
            "project: demo-project\nbackends: {{ api: 'http://127.0.0.1:9' }}\nallow: [allUsers]\n{certificates}"
        )
    }

    /// A client that trusts it.
    pub(crate) fn client(
        &self,
        protocols: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("the versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// Connects, and asks for a host.
pub(crate) async fn connect(
    config: Arc<ClientConfig>,
    address: SocketAddr,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let host = ServerName::try_from(host.to_owned()).expect("a name");
    TlsConnector::from(config).connect(host, TcpStream::connect(address).await?).await
}
