//! A store of several nodes.

use super::server::RedisServer;
use super::*;

/// How many slots a cluster has (Redis cluster specification, key distribution model).
const SLOTS: u16 = 16_384;

async fn cluster() -> Vec<RedisServer> {
    let arguments = ["--cluster-enabled", "yes", "--cluster-config-file", "DIR/nodes.conf"];
    let nodes = (0..3).map(|_| RedisServer::start(&arguments)).collect::<Vec<_>>();
    let (first, share) = (nodes[0].port(), SLOTS / 3);
    for (place, node) in (0..).zip(&nodes) {
        let mut connection = node.connection().await;
        let last = if place == 2 { SLOTS - 1 } else { (place + 1) * share - 1 };
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("ADDSLOTSRANGE").arg(place * share).arg(last);
        slots.exec_async(&mut connection).await.expect("slots");
        let mut meet = redis::cmd("CLUSTER");
        meet.arg("MEET").arg("127.0.0.1").arg(first).exec_async(&mut connection).await.expect("met");
    }
    for node in &nodes {
        let mut connection = node.connection().await;
        let agreed = async {
            loop {
                let info: String =
                    redis::cmd("CLUSTER").arg("INFO").query_async(&mut connection).await.expect("an answer");
                if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, agreed).await.expect("the nodes agree in time");
    }
    nodes
}

#[tokio::test]
async fn the_nodes_of_a_cluster_count_together() {
    let nodes = cluster().await;
    let mapping = format!("{{ url: '{}', cluster: true }}", nodes[0].url());
    let replicas = [(); 2].map(|()| Replica::start(&mapping, PATIENCE, &Roots::Platform));
    let rule = throttle(3, Duration::from_secs(3600));
    for replica in &replicas {
        replica.wait(true).await;
    }
    for number in 0..60 {
        let (address, mut passed) = (format!("192.0.2.{number}"), 0);
        for request in 0..5 {
            let outcome = replicas[request % 2].count(&rule, &address).await;
            passed += usize::from(outcome == CountOutcome::Conform);
        }
        assert_eq!(passed, 3, "{address}");
    }
    // The keys of the one rule lie on all of them.
    for node in &nodes {
        let mut connection = node.connection().await;
        let keys: usize = redis::cmd("DBSIZE").query_async(&mut connection).await.expect("a number");
        assert!(keys > 5, "{keys} keys on {}", node.port());
    }
    assert_eq!(replicas[0].questions()[1..], [0, 0, 0]);
}
