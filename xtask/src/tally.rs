//! What the test runners say of themselves, added up.

/// The closing lines of one runner, and the sum of what they say.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) closing_lines: Vec<String>,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// Reads a line of `cargo test`: `test result: ok. 3 passed; 0 failed; 0 ignored; …`, one for each binary.
    pub(crate) fn read_cargo(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        let count = |word: &str| {
            counts
                .split(';')
                .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
                .sum::<usize>()
        };
        let (passed, failed) = (count("passed"), count("failed"));
        if passed + failed > 0 {
            self.closing_lines.push(line.to_owned());
        }
        self.passed += passed;
        self.failed += failed;
    }

    /// Reads a line of `node --test --test-reporter=spec`: `ℹ pass 3`, `ℹ fail 0`, `ℹ cancelled 0`, …
    pub(crate) fn read_node(&mut self, line: &str) {
        let Some((word, count)) = line.strip_prefix("ℹ ").and_then(|rest| rest.split_once(' ')) else {
            return;
        };
        let Ok(count) = count.parse::<f64>() else { return };
        self.closing_lines.push(line.to_owned());
        let count = count as usize;
        match word {
            "pass" => self.passed += count,
            "fail" | "cancelled" => self.failed += count,
            _ => {}
        }
    }

    /// Reads the last line of a comparison: `5000 passed, 0 failed`.
    pub(crate) fn read_sum(&mut self, line: &str) {
        let counts = line.strip_suffix(" failed").and_then(|counts| counts.split_once(" passed, "));
        let Some((Ok(passed), Ok(failed))) = counts.map(|(passed, failed)| (passed.parse(), failed.parse()))
        else {
            return;
        };
        let (passed, failed): (usize, usize) = (passed, failed);
        self.closing_lines.push(line.to_owned());
        self.passed += passed;
        self.failed += failed;
    }

    /// Counts a runner that failed without naming a test: it did not compile, crashed, or could not start.
    pub(crate) fn finish(mut self, succeeded: bool, why: &str) -> Self {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
            self.closing_lines.push(format!("failed: {why}"));
        }
        if succeeded && self.passed == 0 {
            self.failed += 1;
            self.closing_lines.push("failed: no test ran".to_owned());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&mut Tally, &str), output: &str, expected: (usize, usize, usize)) {
        let mut tally = Tally::default();
        output.lines().for_each(|line| read(&mut tally, line));
        assert_eq!((tally.passed, tally.failed, tally.closing_lines.len()), expected, "{output}");
    }

    #[test]
    fn a_comparison_ends_with_its_sum() {
        check(Tally::read_sum, "a == b\n12: why\n5000 passed, 2 failed", (5000, 2, 1));
        check(Tally::read_sum, "some passed, none failed", (0, 0, 0));
    }

    #[test]
    fn cargo_speaks_of_each_binary() {
        let output = "running 3 tests\ntest a ... ok\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s";
        check(Tally::read_cargo, output, (13, 2, 2));
        check(Tally::read_cargo, "test result of something else: 3 passed", (0, 0, 0));
    }

    #[test]
    fn node_speaks_once() {
        let output = "✔ a (3.2ms)\nℹ tests 6\nℹ suites 0\nℹ pass 3\nℹ fail 2\nℹ cancelled 1\nℹ duration_ms 80.5\nℹ a note";
        check(Tally::read_node, output, (3, 3, 6));
    }

    #[test]
    fn a_runner_without_a_failed_test_can_still_fail() {
        for (succeeded, passed, failed, expected) in
            [(true, 3, 0, 0), (true, 0, 0, 1), (false, 3, 0, 1), (false, 0, 0, 1), (false, 3, 2, 2)]
        {
            let tally = Tally { passed, failed, ..Tally::default() }.finish(succeeded, "it crashed");
            assert_eq!(tally.failed, expected, "succeeded: {succeeded}, passed: {passed}, failed: {failed}");
        }
    }
}
