//! A running `firegate dev` for the client tests.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// How often the ready file is looked for, and how long each look waits for the next: 60 s in all. It is there in under
/// a second; the rest is for a machine that does many other things.
const READY_ATTEMPTS_MAX: u32 = 1200;
const READY_INTERVAL: Duration = Duration::from_millis(50);

/// The process, on ports of its own. It ends with this value.
pub(crate) struct DevServer {
    child: Child,
    log: PathBuf,
    ready_file: PathBuf,
}

impl DevServer {
    /// Starts the binary and waits until everything answers. On failure the error holds what it wrote.
    pub(crate) fn start(binary: &Path, scratch: &Path) -> Result<Self> {
        let log = scratch.join("dev.log");
        let ready_file = scratch.join("dev-ready.json");
        if ready_file.exists() {
            std::fs::remove_file(&ready_file)?;
        }
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(binary)
            .arg("dev")
            .args(["--port=0", "--service-port=0", "--google-port=0", "--identity-port=0"])
            .arg("--ready-file")
            .arg(&ready_file)
            .current_dir(scratch)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut server = Self { child, log, ready_file };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The file with the addresses.
    pub(crate) fn ready_file(&self) -> &Path {
        &self.ready_file
    }

    /// Everything the process has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..READY_ATTEMPTS_MAX {
            if let Some(status) = self.child.try_wait()? {
                bail!("firegate dev ended with {status} before it was ready; it wrote:\n{}", self.log());
            }
            let text = std::fs::read(&self.ready_file).unwrap_or_default();
            if serde_json::from_slice::<Value>(&text).is_ok() {
                return Ok(());
            }
            sleep(READY_INTERVAL);
        }
        bail!("firegate dev was not ready in time; it wrote:\n{}", self.log())
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
