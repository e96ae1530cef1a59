//! A rule of the host, and a client that writes it in capitals, with the dot of a whole name, or with the port that every such
//! request goes to: services take all of them for the same host, and a rule that compares the text did not.

use crate::frames::{Connection, END_HEADERS, END_STREAM, HEADERS, block, frame};
use crate::project::{Gate, Project};

const RULES: &str = "name: edge\nrules:\n\
    - { priority: 1, action: deny(404), match: { expr: { expression: \"request.headers['host'] == 'closed.example'\" } } }\n\
    - { priority: 2, action: allow, match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } }\n";

const MAP: &str = "name: m\ndefaultService: api\nhostRules: [ { hosts: [mapped.example], pathMatcher: m } ]\n\
    pathMatchers: [ { name: m, defaultService: closed } ]\n";

/// As above, by what the requests of all hosts say of theirs.
const MAP_OF_HEADERS: &str = "name: m\ndefaultService: api\nhostRules: [ { hosts: ['*'], pathMatcher: m } ]\n\
    pathMatchers:\n- name: m\n  defaultService: api\n  routeRules:\n  \
    - { priority: 1, service: closed, matchRules: [ { prefixMatch: /, headerMatches: [ { headerName: Host, exactMatch: closed.example } ] } ] }\n  \
    - { priority: 2, service: closed, matchRules: [ { prefixMatch: /, headerMatches: [ { headerName: ':authority', suffixMatch: '.Closed.example' } ] } ] }\n  \
    - { priority: 3, service: api, matchRules: [ { prefixMatch: /, headerMatches: [ { headerName: Host, exactMatch: 'open.example', invertMatch: true } ] } ] }\n  \
    - { priority: 4, service: closed, matchRules: [ { prefixMatch: / } ] }\n";

async fn over_http2(gate: &Gate, authority: &str) -> Option<u16> {
    let mut connection = Connection::to(&gate.door).await;
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/a")];
    connection.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&pseudo))).await;
    connection.status(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_host_hides_it_from_a_condition_of_a_route() {
    let project = Project::open().await;
    let text = "backends: { api: { url: 'SERVICE', allow: [allUsers] }, closed: { url: 'SERVICE', allow: ['user:nobody@example.com'] } }\n\
        url_map: map.yaml\n";
    let gate = project.gate_with_files(text, &[("map.yaml", MAP_OF_HEADERS)]).await;
    let both = async |host: &str, expected: u16| {
        let answer = gate.call("/a").header("host", host).send().await;
        assert_eq!(answer.status.as_u16(), expected, "{host}: {:?}", answer.body);
        assert_eq!(over_http2(&gate, host).await, Some(expected), "{host}");
    };
    for name in ["closed.example", "a.closed.example", "A.CLOSED.example", "Open.example"] {
        for spelling in [name.to_owned(), format!("{name}."), format!("{name}:80"), format!("{name}.:80")] {
            both(&spelling, 401).await;
            both(&spelling.to_uppercase(), 401).await;
        }
    }
    for host in ["other.example", "Other.example.:80", "closed.example:8080", "notclosed.example"] {
        both(host, 200).await;
    }
    gate.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_host_hides_it_from_a_rule_or_a_route() {
    let project = Project::open().await;
    for dialect in ["gcloud", "firegate"] {
        let text = format!(
            "backends:\n  api: {{ url: 'SERVICE', security_policy: {{ file: armor.yaml, dialect: {dialect} }} }}\n  \
             closed: {{ url: 'SERVICE', security_policy: {{ file: closed.yaml, dialect: {dialect} }} }}\n\
             url_map: map.yaml\nallow: [allUsers]\n"
        );
        let closed = "name: closed\nrules: [ { priority: 2147483647, action: deny(404), match: { versionedExpr: SRC_IPS_V1, config: { srcIpRanges: ['*'] } } } ]\n";
        let files = [("armor.yaml", RULES), ("closed.yaml", closed), ("map.yaml", MAP)];
        let gate = project.gate_with_files(&text, &files).await;
        let both = async |host: &str, expected: u16| {
            let answer = gate.call("/a").header("host", host).send().await;
            assert_eq!(answer.status.as_u16(), expected, "{dialect} {host}: {:?}", answer.body);
            assert_eq!(over_http2(&gate, host).await, Some(expected), "{dialect} {host}");
        };
        for host in
            ["closed.example", "closed.example.", "CLOSED.Example", "closed.example:80", "Closed.example.:80"]
        {
            both(host, 404).await;
        }
        // Another port is another host for a rule that compares the text.
        both("closed.example:8080", 200).await;
        for host in ["mapped.example", "MAPPED.example", "mapped.example:80", "mapped.example:8080"] {
            both(host, 404).await;
        }
        for host in ["mapped.example.", "Mapped.example.:80", "mapped.example.:8080"] {
            both(host, 400).await;
        }
        for host in ["open.example", "open.example.", "Open.example.:8080"] {
            both(host, 200).await;
        }
        gate.close().await;
    }
}
