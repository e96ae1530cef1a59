//! What the check of a token costs, in process and on one core. `cargo xtask bench` runs this beside OpenSSL's bare RSA;
//! docs/benchmarks.md says what the figures mean.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

mod hostile;
#[cfg(unix)]
mod processor_time;
mod project;

use std::hint::black_box;

use criterion::Criterion;

use crate::project::{Memory, Project};

#[cfg(not(unix))]
use criterion::measurement::WallTime as Clock;
#[cfg(unix)]
use processor_time::ProcessorTime as Clock;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().with_measurement(Clock).configure_from_args();
    let project = Project::new();
    check(&mut criterion, &project);
    decision(&mut criterion, &project);
    hostile(&mut criterion, &project);
    criterion.final_summary();
}

/// The whole profile of one valid token of the usual size.
fn check(criterion: &mut Criterion<Clock>, project: &Project) {
    let token = project.token();
    assert!((1_000..1_300).contains(&token.len()), "{} bytes are not the usual size", token.len());
    let forged = project.with_wrong_signature(&token);
    let remembering = project.ring(Memory::Kept);
    let forgetful = project.ring(Memory::None);
    assert!(project.accepts(&token, &remembering) && project.accepts(&token, &remembering));
    assert!(project.accepts(&token, &forgetful) && !project.accepts(&forged, &remembering));

    let mut group = criterion.benchmark_group("check");
    group.bench_function("signature_alone", |bencher| {
        bencher.iter(|| project.verifies(black_box(&token)));
    });
    group.bench_function("uncached", |bencher| {
        bencher.iter(|| project.accepts(black_box(&token), &forgetful));
    });
    group.bench_function("cached", |bencher| {
        bencher.iter(|| project.accepts(black_box(&token), &remembering));
    });
    group.bench_function("wrong_signature", |bencher| {
        bencher.iter(|| project.accepts(black_box(&forged), &remembering));
    });
    group.finish();
}

/// The whole decision about one request, from its headers to a permit.
fn decision(criterion: &mut Criterion<Clock>, project: &Project) {
    let headers = project.headers(&project.token());
    let mut group = criterion.benchmark_group("decision");
    for (name, memory) in [("uncached", Memory::None), ("cached", Memory::Kept)] {
        let ring = project.ring(memory);
        assert!(project.permits(&headers, &ring));
        group.bench_function(name, |bencher| {
            bencher.iter(|| project.permits(black_box(&headers), &ring));
        });
    }
    group.finish();
}

/// As many bytes as a token may have, of every kind that a stranger can send without a key.
fn hostile(criterion: &mut Criterion<Clock>, project: &Project) {
    let ring = project.ring(Memory::Kept);
    let mut group = criterion.benchmark_group("hostile");
    for (name, token) in hostile::tokens(project) {
        assert!(!project.accepts(&token, &ring), "{name} is accepted");
        group.bench_function(name, |bencher| {
            bencher.iter(|| project.accepts(black_box(&token), &ring));
        });
    }
    group.finish();
}
