//! What a decision costs under Google's files: a handful of bindings, rules and routes, and as many as a large team has. In
//! process and on one core; the token's signature is remembered, as on the way of a warm request.
#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]

#[cfg(unix)]
#[path = "../check/processor_time.rs"]
mod processor_time;
mod site;

use std::hint::black_box;

use criterion::Criterion;

use crate::site::{Site, bindings, map, rules};

#[cfg(not(unix))]
use criterion::measurement::WallTime as Clock;
#[cfg(unix)]
use processor_time::ProcessorTime as Clock;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().with_measurement(Clock).configure_from_args();
    let open = "allow: [allUsers]";
    let policy = "iam_policy: { file: iam.yaml, dialect: firegate }";
    let armor = "allow: [allUsers], security_policy: { file: armor.yaml, dialect: firegate }";
    let sites = [
        // The first of each kind is what the others are compared with.
        ("user/one_member", Site::new("allow: ['user:ada@example.com']", "", &[], true)),
        ("user/5_bindings", Site::new(policy, "", &[("iam.yaml", bindings(5))], true)),
        ("user/10000_bindings", Site::new(policy, "", &[("iam.yaml", bindings(10_000))], true)),
        ("anyone/no_policy", Site::new(open, "", &[], false)),
        ("anyone/5_rules", Site::new(armor, "", &[("armor.yaml", rules(5))], false)),
        ("anyone/1000_rules", Site::new(armor, "", &[("armor.yaml", rules(1_000))], false)),
        ("anyone/map_of_5", Site::new(open, "url_map: map.yaml", &[("map.yaml", map(5))], false)),
        ("anyone/map_of_10000", Site::new(open, "url_map: map.yaml", &[("map.yaml", map(10_000))], false)),
    ];
    let mut group = criterion.benchmark_group("decision");
    for (name, site) in &sites {
        site.decide();
        group.bench_function(*name, |bencher| bencher.iter(|| black_box(site).decide()));
    }
    group.finish();
    criterion.final_summary();
}
