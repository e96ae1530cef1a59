//! What this machine has none of, when a connection is to be made: that says nothing of the service.

use std::process::Command;

use super::*;
use crate::limits::{UPSTREAM_EJECTION_FAILURES, UPSTREAM_HEALTH_FAILURES_MAX};

/// The local ports from which this network's connections come.
const LOCAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Runs a test once more in a network of its own, in which it may use up the ports, and says whether this is there. It takes a
/// user who may have one.
fn is_in_a_network_of_its_own(test: &str) -> bool {
    const ALONE: &str = "FIREGATE_TEST_IS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let separate = |program: &std::ffi::OsStr| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).arg(program);
        command
    };
    if !separate("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
        println!("not tested: this user may have no network of its own (it takes root, `unshare` and `ip`)");
        return false;
    }
    let this = std::env::current_exe().expect("this program");
    let output = separate(this.as_ref()).args(["--exact", "--nocapture", test]).env(ALONE, "yes").output();
    let output = output.expect("it runs");
    let [said, complained] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}{complained}");
    false
}

/// Leaves so many local ports for connections to each address.
fn leave_ports(ports: u16) {
    std::fs::write(LOCAL_PORTS, format!("20001 {}", 20_000 + ports)).expect("this network is the test's own");
}

#[tokio::test]
async fn a_machine_without_local_ports_is_no_failure_of_the_service() {
    if !is_in_a_network_of_its_own(
        "upstream::tests::machine::a_machine_without_local_ports_is_no_failure_of_the_service",
    ) {
        return;
    }
    let (origin, other) = (Origin::saying("hello").await, Origin::answering(100, echo).await);
    let nobody = nobody().await;
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
