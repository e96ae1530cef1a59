//! What this machine has none of, when a connection is to be made: that says nothing of the service.

use std::path::{Path, PathBuf};
use std::process::Command;

use firegate_files::url_map::{RetryCondition, RetryPolicy};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::limits::{UPSTREAM_EJECTION_FAILURES, UPSTREAM_HEALTH_FAILURES_MAX};
use crate::upstream::Retries;

const ALONE: &str = "FIREGATE_TEST_IS_ALONE";

/// The local ports from which this network's connections come.
const LOCAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Whether this network has no IPv6.
const IPV6_OFF: &str = "/proc/sys/net/ipv6/conf/all/disable_ipv6";

/// Whether this process runs one test alone, which may use up what it has.
fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs a test of this file once more and alone, by this command.
fn run_alone(mut command: Command, test: &str) {
    let test = format!("upstream::tests::machine::{test}");
    let output = command.args(["--exact", "--nocapture", &test]).env(ALONE, "yes").output().expect("it runs");
    let [said, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}{complained}");
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// Runs a program in a network of its own.
fn in_its_own_network(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).arg(program);
    command
}

/// Leaves so many local ports for connections to each address.
fn leave_ports(ports: u16) {
    std::fs::write(LOCAL_PORTS, format!("20001 {}", 20_000 + ports)).expect("this network is the test's own");
}

#[tokio::test]
async fn a_machine_without_local_ports_is_no_failure_of_the_service() {
    if !is_alone() {
        if !in_its_own_network("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
            println!("not tested: it takes root, `unshare` and `ip`");
            return;
        }
        let test = "a_machine_without_local_ports_is_no_failure_of_the_service";
        return run_alone(in_its_own_network(&this_program()), test);
    }
    let (origin, other) = (Origin::saying("hello").await, Origin::answering(100, echo).await);
    let nobody = nobody();
    leave_ports(1);
    let check = "health_check: { path: /healthz, interval: 1ms }";
    let site = Site::new(&format!("url: '{}'", origin.url()));
    let held = site.send(Method::GET, &[], full("")).await.expect("an answer");
    for _ in 0..2 * UPSTREAM_EJECTION_FAILURES {
        let Err(Refused::Fault(fault)) = site.get().await else { panic!("there is no port left") };
        assert_eq!(fault.code, Code::Overloaded);
        assert!(fault.detail.contains("; hint: "), "{}", fault.detail);
    }
    let figures = &site.figures()[0];
    assert_eq!((figures.failures, figures.is_ejected), (0, false));

    // Nor does it fail its health checks by it.
    let checked = Site::new(&format!("url: '{}', {check}", origin.url()));
    let endpoint = checked.endpoint(0);
    until(|| checked.figures()[0].failed_connects > 2 * UPSTREAM_HEALTH_FAILURES_MAX as u64).await;
    assert!(endpoint.is_healthy());
    drop((checked, endpoint));

    // Towards another address there are others.
    let both =
        Site::new(&format!("endpoints: [ {{ url: '{}' }}, {{ url: '{}' }} ]", origin.url(), other.url()));
    let answer = both.post(streamed([Bytes::from_static(b"body")])).await;
    assert_eq!(answer.expect("an answer").body, "body");
    assert_eq!(both.figures()[0].failed_connects, 1, "it was tried first");

    // That one address refuses says more than that there is no way to another.
    for addresses in [[nobody, origin.address], [origin.address, nobody]] {
        let upstreams = upstreams(Two(addresses), Arc::default(), 1);
        let upstream = open(&upstreams, "url: 'http://service.example'");
        let site = Site { upstreams, upstream, names: Names::default() };
        assert_eq!(code(site.get().await), Code::UpstreamUnreachable);
    }

    drop(held);
    leave_ports(100);
    assert_eq!(site.get().await.expect("there are ports again").body, "hello");
}

/// The system says so in the same words as that it has no ports left: where IPv6 is off, of every address of that family. That
/// does not pass, and another endpoint, or another address of the same one, does better.
#[tokio::test]
async fn an_address_of_a_family_that_this_machine_lacks_is_left_alone() {
    if !is_alone() {
        if !in_its_own_network("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
            println!("not tested: it takes root, `unshare` and `ip`");
            return;
        }
        let test = "an_address_of_a_family_that_this_machine_lacks_is_left_alone";
        return run_alone(in_its_own_network(&this_program()), test);
    }
    std::fs::write(IPV6_OFF, "1").expect("this network is the test's own");
    let origin = Origin::saying("hello").await;
    let lacking = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, origin.address.port()));
    let site = Site::new(&format!("url: 'http://{lacking}'"));
    let Err(Refused::Fault(fault)) = site.get().await else { panic!("there is no way there") };
    assert_eq!(fault.code, Code::UpstreamUnreachable);
    assert!(fault.detail.contains("this machine has no IPv6 address"), "{}", fault.detail);

    let both =
        Site::new(&format!("endpoints: [ {{ url: 'http://{lacking}' }}, {{ url: '{}' }} ]", origin.url()));
    for _ in 0..4 * UPSTREAM_EJECTION_FAILURES {
        assert_eq!(both.post(full("body")).await.expect("an answer").body, "hello");
    }
    let figures = &both.figures()[0];
    assert_eq!((figures.failures, figures.is_ejected), (u64::from(UPSTREAM_EJECTION_FAILURES), true));

    let upstreams = upstreams(Two([lacking, origin.address]), Arc::default(), 1);
    let upstream = open(&upstreams, "url: 'http://service.example'");
    let site = Site { upstreams, upstream, names: Names::default() };
    assert_eq!(site.get().await.expect("an answer").body, "hello");
    assert_eq!(site.figures()[0].failures, 0);
}

/// Of this process, too, another endpoint would get no connection: nothing is tried again.
#[tokio::test]
async fn a_process_without_descriptors_is_no_failure_of_the_service() {
    if !is_alone() {
        let test = "a_process_without_descriptors_is_no_failure_of_the_service";
        return run_alone(Command::new(this_program()), test);
    }
    let (origin, other) = (Origin::saying("hello").await, Origin::saying("hello").await);
    let site =
        Site::new(&format!("endpoints: [ {{ url: '{}' }}, {{ url: '{}' }} ]", origin.url(), other.url()));
    let limit = getrlimit(Resource::Nofile);
    let lower = Rlimit { current: Some(3), ..limit };
    setrlimit(Resource::Nofile, lower).expect("it may be lower");
    let Err(Refused::Fault(fault)) = site.post(full("body")).await else { panic!("there is none left") };
    assert_eq!(fault.code, Code::Overloaded);
    assert!(fault.detail.contains("; hint: "), "{}", fault.detail);
    let policy = RetryPolicy { retries: 3, per_try_timeout: None, conditions: vec![RetryCondition::Any5xx] };
    let passage = site.upstream.enter(0, TimeLimits::default()).expect("a place");
    let failed = passage.send(Request::new(full("")), &sending()).await.expect_err("there is none left");
    let refused = failed.again_by(&mut Retries::new(&policy)).await.expect_err("it is not tried again");
    assert_eq!(refused.code(), Code::Overloaded);
    let figures = site.figures();
    assert_eq!(
        figures.iter().map(|endpoint| endpoint.failed_connects).sum::<u64>(),
        2,
        "one for each request"
    );
    assert_eq!(figures.iter().map(|endpoint| endpoint.failures).sum::<u64>(), 0);
    setrlimit(Resource::Nofile, limit).expect("as it was");
    assert_eq!(site.get().await.expect("there are descriptors again").body, "hello");
}
