//! The decision corpus, `tests/cases/*.yaml`: every case is decided by the machine, and by a real front door over real sockets,
//! and both say what the case expects.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod command;
mod door;
mod explained;
mod generated;
#[path = "../stack/mod.rs"]
mod stack;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use firegate::cases::{CaseFile, Issuer, Machine, difference};
use firegate_core::time::UnixTime;

use door::Doors;

/// The time of cases that name none: 2027-01-15T08:00:00Z.
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::generate().expect("keys"));

fn corpus() -> Vec<CaseFile> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let entries = std::fs::read_dir(directory).expect("the corpus");
    let paths = entries.map(|entry| entry.expect("an entry").path()).collect::<BTreeSet<PathBuf>>();
    let files = paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.map(|path| CaseFile::read(&path, None).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Everything that came out otherwise, at once.
fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{} cases came out otherwise:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_machine_decides_every_case_as_its_source_says() {
    let mut failures = Vec::new();
    for file in corpus() {
        for case in &file.cases {
            let machine = Machine::new(&file.configuration, &ISSUER).expect("a machine");
            let found = machine.decide(case, NOW).expect("tokens");
            let differs = difference(&case.expected, &found);
            failures.extend(
                differs.map(|differs| format!("{}:{}: {}: {differs}", file.name, case.line, case.name)),
            );
        }
    }
    assert_none(&failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_door_decides_every_case_as_its_source_says() {
    let mut failures = Vec::new();
    for file in corpus() {
        let doors = Doors::new(&ISSUER, &file.configuration).await;
        for case in &file.cases {
            let found = doors.decide(case, NOW).await;
            let differs = difference(&case.expected, &found);
            failures.extend(
                differs.map(|differs| format!("{}:{}: {}: {differs}", file.name, case.line, case.name)),
            );
        }
    }
    assert_none(&failures);
}

#[test]
fn every_case_of_the_corpus_says_where_it_is_said() {
    let is_page =
        |source: &Option<String>| source.as_ref().is_some_and(|source| source.starts_with("https://"));
    let without = corpus().into_iter().flat_map(|file| {
        let name = file.name;
        let cases = file.cases.into_iter().filter(move |case| !is_page(&case.source));
        cases.map(move |case| format!("{name}:{}: {}", case.line, case.name))
    });
    assert_none(&without.collect::<Vec<_>>());
}
