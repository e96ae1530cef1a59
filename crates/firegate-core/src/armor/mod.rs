//! What a backend's security policy says of a request, as Cloud Armor would: rules in the order of their priorities, the first
//! that matches decides. Beyond Cloud Armor, rules may ask for the verified user; whoever drives the [`Screening`] identifies
//! the user at the first rule that does, and evaluation goes on with that rule.
//!
//! Nothing here grants anything: that a policy allows a request means no more than that it does not refuse it.
//!
//! What is done where Cloud Armor's documentation is silent, or would be unsafe: a rule whose answer is unknown does not match,
//! and neither does one whose expression fails, but in dialect `firegate`, where a rule that refuses or limits then refuses. A
//! rule that decides otherwise by another reading of the path (some services cut its parameters off, some decode its slashes)
//! refuses the request as malformed, and so does one that decides by a header of which there is a look-alike. A key of the
//! verified user falls back to the client's address, never to everybody; of IPv6 a network counts as one address.

mod compile;
mod key;
mod record;
mod screening;
mod source_index;
mod subject;
mod trace;

use std::fmt;
use std::net::IpAddr;

pub use compile::{Policy, PolicyRule};
pub use record::{
    ArmorDenied, Note, NoteKind, RateLimitRecord, RuleOutcome, RuleRecord, Screened, ScreeningNote,
};
pub use screening::{Progress, Screening, Verdict};
pub use subject::{Subject, UserFacts};
pub use trace::{ConditionTrace, RuleTrace};

/// Where addresses are: a database that the operator names.
pub trait Geography: fmt::Debug + Send + Sync {
    /// What is known of an address.
    fn locate(&self, address: IpAddr) -> Location;
}

/// Where an address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The country, as ISO 3166-1 alpha-2 in upper case.
    pub region: Option<[u8; 2]>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
}
