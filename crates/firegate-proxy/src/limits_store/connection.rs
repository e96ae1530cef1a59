//! A connection to a Redis or Valkey server, or to a cluster. It is driven on the runtime on which it was made; whoever asks
//! only waits. What several ask at once travels in one go.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use firegate_core::limiter::{SharedCount, StoreQuestion};
use firegate_files::configuration::{Password, RedisServer};
use firegate_google::http::Roots;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, TlsCertificates, cmd,
};

use super::script;

/// How a server is reached.
#[derive(Clone)]
pub(super) struct Address {
    server: RedisServer,
    password: Option<Password>,
    /// The roots in PEM; none for the system's.
    roots: Option<Vec<u8>>,
}

/// A connection that is open.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Address {
    /// The password and the roots are those of the configuration's files, read before.
    pub(super) fn new(
        server: RedisServer,
        password: Option<Password>,
        roots: Option<Vec<u8>>,
        usual_roots: &Roots,
    ) -> Self {
        let roots = roots.or_else(|| match usual_roots {
            Roots::Platform => None,
            Roots::Given(certificates) => {
                let pem = |certificate: &[u8]| {
                    let text = STANDARD.encode(certificate);
                    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
                };
                Some(certificates.iter().map(|certificate| pem(certificate)).collect::<String>().into_bytes())
            }
        });
        Self { server, password, roots }
    }

    pub(super) const fn server(&self) -> &RedisServer {
        &self.server
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.server, &self.password, &self.roots) == (&other.server, &other.password, &other.roots)
    }

    /// Connects. A question that is not answered within `answer_timeout` is given up.
    pub(super) async fn connect(
        &self,
        connect_timeout: Duration,
        answer_timeout: Duration,
    ) -> Result<Connection, RedisError> {
        let info = self.info()?;
        let certificates = TlsCertificates { client_tls: None, root_cert: self.roots.clone() };
        if self.server.cluster {
            let mut builder = ClusterClientBuilder::new([info])
                .connection_timeout(connect_timeout)
                .response_timeout(answer_timeout)
                // Redirections of a cluster that moves its slots are followed within the time that there is.
                .retries(2)
                .min_retry_wait(1)
                .max_retry_wait(10)
                .tcp_settings(TcpSettings::default().set_nodelay(true));
            if self.server.tls {
                builder = builder.certs(certificates);
            }
            return Ok(Connection::Cluster(builder.build()?.get_async_connection().await?));
        }
        let client =
            if self.server.tls { Client::build_with_tls(info, certificates)? } else { Client::open(info)? };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(answer_timeout));
        Ok(Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    fn info(&self) -> Result<ConnectionInfo, RedisError> {
        let RedisServer { host, port, tls, database, username, .. } = &self.server;
        let (host, port) = (host.clone(), *port);
        let address = match tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        let mut settings = RedisConnectionInfo::default().set_db((*database).into()).set_skip_set_lib_name();
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.reveal());
        }
        let info = address.into_connection_info()?.set_redis_settings(settings);
        Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }
}

impl Connection {
    /// Counts a request.
    pub(super) async fn count(&self, question: &StoreQuestion) -> Result<SharedCount, RedisError> {
        match self.clone() {
            Self::Single(mut connection) => script::ask(&mut connection, question).await,
            Self::Cluster(mut connection) => script::ask(&mut connection, question).await,
        }
    }

    /// Asks whether the server counts, and whether each of a cluster's is there.
    pub(super) async fn probe(&self) -> Result<(), RedisError> {
        match self.clone() {
            Self::Single(mut connection) => script::probe(&mut connection).await,
            Self::Cluster(mut connection) => {
                cmd("PING").exec_async(&mut connection).await?;
                script::probe(&mut connection).await
            }
        }
    }
}
