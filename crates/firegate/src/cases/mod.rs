//! Decision cases, decided: by the machine that the front door drives, with tokens that are really signed and really verified.
//! What a case expects is compared in one place, whoever gave the answer.

mod answer;
mod file;
mod issuer;
mod machine;

pub use answer::{Answer, difference};
pub use file::{CaseFile, CaseFileError};
pub use issuer::Issuer;
pub use machine::Machine;
