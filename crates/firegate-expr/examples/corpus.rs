//! Writes generated expressions, a request for each, and what Firegate says: lines of JSON for a comparison with Google's open
//! tool for Cloud Armor's rules. docs/compat.md says how, and what came of it.
//!
//! `cargo run -p firegate-expr --example corpus -- 20000 > corpus.jsonl`
#![expect(clippy::print_stdout, reason = "its output is a file")]

#[path = "../tests/generated/mod.rs"]
mod generated;

use firegate_expr::{Dialect, Expression, Language};
use generated::{Choices, Request, armor, requests, told};
use serde_json::json;

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1000);
    let requests = requests();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for (_, request) in (0..count).zip(requests.iter().cycle()) {
        let bytes: Vec<u8> = (0..96)
            .map(|_| {
                // xorshift64*: the same corpus on every machine.
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
            })
            .collect();
        let expr = armor(&mut Choices(&bytes));
        let says = match Expression::parse(&expr, Language::Armor, Dialect::Gcloud) {
            Ok(expression) => told(expression.evaluate(&Request(request))),
            Err(errors) => format!("refused: {} {}", errors[0].code, errors[0].message),
        };
        println!("{}", json!({"expr": expr, "when": request, "says": says}));
    }
}
