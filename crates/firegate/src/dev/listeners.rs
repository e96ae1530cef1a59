//! The sockets of the stack, bound before anything starts, so that every part can be told where the others are.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use url::Url;

use super::{DevArguments, Places, Users, setup, welcome};

pub(super) struct Listeners {
    pub(super) door: TcpListener,
    pub(super) service: TcpListener,
    pub(super) google: TcpListener,
    pub(super) identity: Option<TcpListener>,
    pub(super) container: Option<TcpListener>,
    pub(super) container_url: Url,
}

/// A port that cannot be listened on.
struct Refused {
    part: &'static str,
    flag: &'static str,
    port: u16,
    why: io::Error,
}

/// Binds one port after the other. All are tried, so that whoever finds several of them taken is told once.
#[derive(Default)]
struct Binding {
    refused: Vec<Refused>,
}

impl Binding {
    async fn bind(
        &mut self,
        address: Ipv4Addr,
        port: u16,
        part: &'static str,
        flag: &'static str,
    ) -> Option<TcpListener> {
        match TcpListener::bind((address, port)).await {
            Ok(listener) => Some(listener),
            Err(why) => {
                self.refused.push(Refused { part, flag, port, why });
                None
            }
        }
    }

    /// What is said if any port was refused.
    fn error(self) -> anyhow::Error {
        let mut lines = Vec::new();
        for Refused { part, port, why, .. } in &self.refused {
            lines.push(format!("port {port} cannot be listened on for {part}: {why}"));
        }
        let flags = self.refused.iter().map(|refused| format!("{} PORT", refused.flag)).collect::<Vec<_>>();
        let them = if flags.len() == 1 { "another port" } else { "other ports" };
        let why = match self.refused.iter().all(|refused| refused.why.kind() == ErrorKind::PermissionDenied) {
            // Nobody listens there.
            true => "ports below 1024 are the system's:",
            false => "stop what listens there, perhaps another `firegate dev`, or",
        };
        lines.push(format!("hint: {why} choose {them} with {}; 0 takes a free one", flags.join(", ")));
        if let Some(Refused { port, .. }) = self.refused.iter().find(|refused| refused.flag == IDENTITY_FLAG)
        {
            lines.push(format!(
                "hint: if a Firebase Auth emulator listens at {port}, take its users: --identity http://127.0.0.1:{port}"
            ));
        }
        anyhow::Error::msg(lines.join("\n"))
    }
}

const IDENTITY_FLAG: &str = "--identity-port";

impl Listeners {
    pub(super) async fn bind(arguments: &DevArguments) -> anyhow::Result<Self> {
        let local = Ipv4Addr::LOCALHOST;
        let open = if arguments.lan { Ipv4Addr::UNSPECIFIED } else { local };
        let mut binding = Binding::default();
        let container = match &arguments.service {
            Some(_) => None,
            None => {
                let listener = TcpListener::bind((local, 0)).await;
                Some(listener.context("no port of 127.0.0.1 is free for the sample service")?)
            }
        };
        let container_url = match (&arguments.service, &container) {
            (Some(url), _) => url.clone(),
            (None, Some(listener)) => local_url(listener.local_addr()?)?,
            (None, None) => bail!("there is no service"),
        };
        let door = binding.bind(open, arguments.port, "the front door", "--port").await;
        let service =
            binding.bind(local, arguments.service_port, "the private service", "--service-port").await;
        let google = binding.bind(local, arguments.google_port, "the Google parts", "--google-port").await;
        let identity = match arguments.identity {
            Some(_) => None,
            None => binding.bind(open, arguments.identity_port, "the identity server", IDENTITY_FLAG).await,
        };
        match (door, service, google) {
            (Some(door), Some(service), Some(google)) if binding.refused.is_empty() => {
                Ok(Self { door, service, google, identity, container, container_url })
            }
            _ => Err(binding.error()),
        }
    }

    pub(super) fn places(&self, arguments: &DevArguments) -> anyhow::Result<Places> {
        let identity = match (&self.identity, &arguments.identity) {
            (Some(listener), _) => local_url(listener.local_addr()?)?,
            (None, Some(url)) => url.clone(),
            (None, None) => bail!("there is no identity server"),
        };
        Ok(Places {
            project: setup::project(arguments)?,
            project_number: setup::project_number(arguments)?,
            door: local_url(self.door.local_addr()?)?,
            service: local_url(self.service.local_addr()?)?,
            google: local_url(self.google.local_addr()?)?,
            identity,
            users: if self.identity.is_some() { Users::Seeded } else { Users::OfEmulator },
            data: arguments.data.clone(),
            hosts: BTreeSet::new(),
            url_map_of: None,
            direct: None,
            is_lan: arguments.lan,
            lan_addresses: if arguments.lan { welcome::lan_addresses() } else { Vec::new() },
        })
    }
}

/// The URL of a local listener. An unspecified address is reached by loopback.
fn local_url(address: SocketAddr) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("http://127.0.0.1:{}", address.port()))?)
}
