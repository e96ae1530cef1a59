//! The same paths, read by Firegate, by nginx and by Node: none of them may take a path that Firegate forwards for another
//! route's than the one that Firegate chose.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod corpus;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use firegate_core::facts::RequestFacts;
use firegate_core::path::NormalPath;
use firegate_core::route::Routes;
use firegate_core::snapshot::{Backend, Snapshot};
use firegate_files::configuration;
use http::{HeaderMap, Method};

/// The routes, each with a backend of its own name. The first takes encoded slashes, the others do not.
const CONFIGURATION: &str = "\
project: demo-project
allow: [allUsers]
backends:
  files: { url: 'http://127.0.0.1:1', encoded_slash: forward }
  public: { url: 'http://127.0.0.1:2' }
  admin: { url: 'http://127.0.0.1:3', encoded_slash: forward }
  exact: { url: 'http://127.0.0.1:4', encoded_slash: forward }
  rest: { url: 'http://127.0.0.1:5', encoded_slash: forward }
routes:
  - { path: /files/*, backend: files }
  - { path: /public/*, backend: public }
  - { path: /admin/*, backend: admin }
  - { path: /files/index, backend: exact }
  - { path: /*, backend: rest }
";

/// The same routes for nginx.
const NGINX: &str = "\
daemon off; master_process off; pid nginx.pid; error_log stderr crit;
events {}
http {
  access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  server {
    listen unix:FOLDER/nginx.sock;
    default_type text/plain;
    location = /files/index { return 200 'exact'; }
    location ^~ /files/ { return 200 'files'; }
    location ^~ /public/ { return 200 'public'; }
    location ^~ /admin/ { return 200 'admin'; }
    location / { return 200 'rest'; }
  }
}
";

/// The same routes for Node, by every reading of a path that its servers have: as it came, as `URL` has it, decoded, and
/// decoded and normalised; and each of these without parameters, as servlet containers have it.
const NODE: &str = "\
const { posix } = require('node:path');
const route = (path) => path === '/files/index' ? 'exact'
  : ['files', 'public', 'admin'].find((name) => path.startsWith(`/${name}/`)) ?? 'rest';
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { pathname } = new URL(line, 'http://door');
  let decoded = pathname;
  try { decoded = decodeURIComponent(pathname); } catch { /* no UTF-8: it is served as it came */ }
  const readings = [line, pathname, decoded, posix.normalize(decoded), posix.normalize(decoded.replaceAll('\\\\', '/'))];
  const cut = readings.flatMap((path) => [path.replace(/;[^/]*/g, ''), path.replace(/(;|%3b)[^/]*/gi, '')]);
  readings.push(...cut, ...cut.map((path) => posix.normalize(path)));
  console.log([...new Set(readings.map(route))].join(' '));
});
";

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself, and then the test says so.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nginx(folder: &Path) -> Stopped {
    let configuration = NGINX.replace("FOLDER", folder.to_str().expect("a name"));
    std::fs::write(folder.join("nginx.conf"), configuration).expect("a file");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]).stdin(Stdio::null());
    let nginx = command.spawn().expect("nginx is installed; `cargo xtask test` installs it");
    let mut nginx = Stopped(nginx);
    while UnixStream::connect(folder.join("nginx.sock")).is_err() {
        assert!(nginx.0.try_wait().expect("a process").is_none(), "nginx does not start");
        std::thread::yield_now();
    }
    nginx
}

/// The route that nginx takes a path for; the status, if it takes it for none.
fn read_by_nginx(folder: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(folder.join("nginx.sock")).expect("nginx listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    match answer.strip_prefix("HTTP/1.1 200 ").and_then(|rest| rest.split_once("\r\n\r\n")) {
        Some((_, route)) => route.to_owned(),
        None => answer.lines().next().unwrap_or_default().to_owned(),
    }
}

fn backend_at(routes: &Routes, path: &NormalPath) -> Option<Arc<Backend>> {
    let headers = HeaderMap::new();
    let routed = routes.select(&RequestFacts::of(&Method::GET, path.clone(), &headers)).ok()?;
    routed.entry().map(|entry| Arc::clone(entry.backend()))
}

#[test]
fn what_is_forwarded_is_nobodys_other_route() {
    let configuration = configuration::parse("firegate.yaml", CONFIGURATION).expect("a configuration");
    let routes = Snapshot::compile(&configuration).routes;
    let folder = tempfile::tempdir().expect("a folder");
    let _nginx = nginx(folder.path());
    let node = Command::new("node").args(["-e", NODE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut node = Stopped(node.expect("Node is installed"));
    let mut to_node = node.0.stdin.take().expect("a pipe");
    let mut from_node = BufReader::new(node.0.stdout.take().expect("a pipe")).lines();
    let (mut forwarded, mut refused) = (0, 0);
    for path in corpus::paths() {
        let Ok(normal) = NormalPath::parse(&path) else {
            refused += 1;
            continue;
        };
        let again = NormalPath::parse(normal.as_str()).expect("a normal path is a path");
        assert_eq!(again, normal, "{path} is normalised once and for all");
        let Some(backend) = backend_at(&routes, &normal) else {
            refused += 1;
            continue;
        };
        forwarded += 1;
        let ours = &backend.name;
        assert_eq!(
            backend_at(&routes, &again).map(|backend| backend.name.clone()).as_ref(),
            Some(ours),
            "{path}"
        );
        assert_eq!(
            &read_by_nginx(folder.path(), normal.as_str()),
            ours,
            "nginx: {path} as {}",
            normal.as_str()
        );
        writeln!(to_node, "{}", normal.as_str()).expect("Node listens");
        let route = from_node.next().expect("a line").expect("text");
        assert_eq!(&route, ours, "Node: {path} as {}", normal.as_str());
    }
    println!("{forwarded} paths were forwarded and read alike, {refused} were refused");
    assert!(forwarded > 200 && refused > 200, "{forwarded} and {refused}: the corpus tries too little");
}
