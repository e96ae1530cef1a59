//! What checking a large configuration costs: 10,000 lines in less than 200 ms.
#![expect(clippy::expect_used, reason = "a benchmark may panic")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use firegate_files::configuration;

const LINES: usize = 10_000;

/// 800 backends of ten lines each, and routes for the rest.
fn large() -> String {
    let mut text = String::from("project: demo-project\nbackends:\n");
    for number in 0..800 {
        writeln!(
            text,
            "  service-{number}:\n    url: https://service-{number}-abc123-uc.a.run.app\n    allow:\n    - user:user-{number}@example.com\n    \
             - domain:team-{number}.example.com\n    user_token: drop\n    timeouts:\n      connect: 5s\n      response_headers: 60s\n    \
             body_bytes_max: 32MiB"
        )
        .expect("a text grows");
    }
    text.push_str("routes:\n");
    for number in text.lines().count()..LINES {
        writeln!(text, "- {{ path: /p{number}/*, backend: service-{} }}", number % 800)
            .expect("a text grows");
    }
    text
}

fn benchmarks(criterion: &mut Criterion) {
    let text = large();
    assert_eq!(text.lines().count(), LINES);
    configuration::parse("firegate.yaml", &text).expect("a sound configuration");
    criterion.bench_function("check/10,000 lines", |bencher| {
        bencher.iter(|| configuration::parse("firegate.yaml", black_box(&text)));
    });
    let broken = text.replace("user_token: drop", "user_tokn: drop");
    criterion.bench_function("check/10,000 lines, 800 problems", |bencher| {
        bencher.iter(|| configuration::parse("firegate.yaml", black_box(&broken)));
    });
}

criterion_group! {
    name = files;
    config = Criterion::default().sample_size(20);
    targets = benchmarks
}
criterion_main!(files);
