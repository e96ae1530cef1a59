//! Cloud Run's front on this machine: what stands between the Internet and a container, and decides by IAM who gets
//! through. [`judge`] is that decision alone, without I/O; [`CloudRunFront`] serves it before real containers.
//!
//! Where reports about Cloud Run contradict each other, [`DisputedStatuses`] has a switch.

mod forward;
mod front;
mod judge;
mod pages;
mod trace_context;
mod verdict;

pub use self::front::{CloudRunFront, CloudRunOptions};
pub use self::judge::{Arrival, CloudRunService, DisputedStatuses, Ingress, PublicServiceToken, judge};
pub use self::verdict::{Admission, Caller, CredentialHeader, Refusal, RefusalCause, RefusalStatus, Verdict};
