//! The tools that the tasks run, installed where they are missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{progress, run};
use crate::workspace::{client_tests, scratch};

/// Node's oldest version that the Firebase SDK and the tests' clock run on.
const NODE_VERSION_MIN: (u32, u32) = (20, 11);

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// Makes sure of curl: the lines that `firegate dev` prints for it are run as they stand.
pub(crate) fn install_curl() -> Result<()> {
    match output_of(Command::new("curl").arg("--version")) {
        Some(_) => Ok(()),
        None => apt_install(&["curl"]),
    }
}

/// Makes sure of nginx: it reads paths beside Firegate.
pub(crate) fn install_nginx() -> Result<()> {
    if has_tool("nginx") { Ok(()) } else { apt_install(&["nginx-light"]) }
}

/// Makes sure of Redis: rate limits are counted in it.
pub(crate) fn install_redis() -> Result<()> {
    if has_tool("redis-server") { Ok(()) } else { apt_install(&["redis-server"]) }
}

/// Makes sure of a C++ compiler: libFuzzer is written in it.
pub(crate) fn install_cpp_compiler() -> Result<()> {
    // By this name build scripts call it.
    let is_there = output_of(Command::new("c++").arg("--version")).is_some();
    if is_there { Ok(()) } else { apt_install(&["g++"]) }
}

/// Makes sure of the proxies and the loads of the measurements, each a program and the Debian package that has it.
pub(crate) fn install_measuring_tools() -> Result<()> {
    let programs = [
        ("nginx", "nginx-light"),
        ("haproxy", "haproxy"),
        ("wrk", "wrk"),
        ("h2load", "nghttp2-client"),
        ("slowhttptest", "slowhttptest"),
        ("openssl", "openssl"),
        ("setpriv", "util-linux"),
    ];
    let missing = programs.into_iter().filter(|(program, _)| !has_tool(program));
    let packages = missing.map(|(_, package)| package).collect::<Vec<_>>();
    if packages.is_empty() { Ok(()) } else { apt_install(&packages) }
}

/// Makes sure of Node and of the client libraries that `package-lock.json` names; of curl and a browser, which are clients
/// too; and of OpenSSL, which makes the certificate that curl believes.
pub(crate) fn install_client_libraries() -> Result<()> {
    install_node()?;
    let programs = ["curl", "openssl", "chromium"];
    let missing = programs.into_iter().filter(|program| !has_tool(program)).collect::<Vec<_>>();
    if !missing.is_empty() {
        apt_install(&missing)?;
    }
    install_node_packages(&client_tests())
}

/// Makes sure of Node and npm.
pub(crate) fn install_node() -> Result<()> {
    if output_of(Command::new("node").arg("--version")).is_none()
        || output_of(Command::new("npm").arg("--version")).is_none()
    {
        apt_install(&["nodejs", "npm"])?;
    }
    let version = output_of(Command::new("node").arg("--version")).context("node does not run")?;
    let (major, minor) = NODE_VERSION_MIN;
    ensure!(
        parse_node_version(&version).is_some_and(|found| found >= NODE_VERSION_MIN),
        "the client tests need Node {major}.{minor} or newer, and this is {version}: install it from nodejs.org or a version manager"
    );
    Ok(())
}

/// Installs what a folder's `package-lock.json` names, unless that was done since it last changed.
pub(crate) fn install_node_packages(folder: &Path) -> Result<()> {
    let wanted = modified(&folder.join("package-lock.json"));
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    // The libraries' install scripts only print and probe; nothing here needs them.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    ensure!(run(&mut npm)?, "npm ci failed in {}", folder.display());
    Ok(())
}

/// Installs what `requirements` names into a virtual environment at `place`, and returns its Python.
pub(crate) fn install_python_packages(requirements: &Path, place: &Path) -> Result<PathBuf> {
    let python = place.join("bin/python");
    let marker = place.join("requirements.txt");
    let wanted =
        std::fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    // The Python that it was made with may have gone since.
    let runs = output_of(Command::new(&python).arg("--version")).is_some();
    if runs && std::fs::read(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if output_of(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_none() {
        apt_install(&["python3", "python3-venv"])?;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(place);
    ensure!(run(&mut venv)?, "cannot make a virtual environment in {}", place.display());
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"]).arg(requirements);
    ensure!(run(&mut pip)?, "pip could not install {}", requirements.display());
    std::fs::write(&marker, wanted).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(python)
}

/// The path of a cargo-deny that runs: the one that is installed, else our own.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if output_of(Command::new(&installed).arg("--version")).is_some() {
        return Ok(installed);
    }
    let root = scratch()?.join("tools");
    let own = root.join("bin/cargo-deny");
    let version = output_of(Command::new(&own).arg("--version"));
    if version.is_some_and(|version| version.ends_with(CARGO_DENY_VERSION)) {
        return Ok(own);
    }
    // Without optimisation and what a debugger wants it takes half as long to make, and is fast enough.
    let mut install = Command::new("cargo");
    install.env("CARGO_PROFILE_DEV_DEBUG", "0");
    install.args([
        "install",
        "cargo-deny",
        "--version",
        CARGO_DENY_VERSION,
        "--locked",
        "--debug",
        "--force",
        "--root",
    ]);
    install.arg(&root);
    ensure!(run(&mut install)?, "cannot install cargo-deny {CARGO_DENY_VERSION}");
    Ok(own)
}

/// Whether a program is installed.
pub(crate) fn has_tool(name: &str) -> bool {
    let status = Command::new(name)
        .arg("--help")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok()
}

fn apt_install(packages: &[&str]) -> Result<()> {
    if output_of(Command::new("apt-get").arg("--version")).is_none() {
        bail!("{} missing, and this system has no apt-get: install them by hand", packages.join(" and "));
    }
    let is_root = output_of(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
    let apt_get = || {
        let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root {
            command.args(["--non-interactive", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    progress(&format!("installing {}", packages.join(", ")));
    ensure!(run(apt_get().arg("update"))?, "apt-get update failed");
    let mut install = apt_get();
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    ensure!(run(&mut install)?, "apt-get could not install {}", packages.join(" and "));
    Ok(())
}

/// What a command prints, or nothing if it does not run.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `v20.20.2` → `(20, 20)`.
fn parse_node_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_compared_by_number() {
        for (text, new_enough) in [
            ("v20.20.2", true),
            ("v20.11.0", true),
            ("v20.9.0", false),
            ("v18.20.4", false),
            ("v100.0.0", true),
            ("", false),
        ] {
            let found = parse_node_version(text).is_some_and(|version| version >= NODE_VERSION_MIN);
            assert_eq!(found, new_enough, "{text}");
        }
    }
}
