//! How many descriptors the process may have: each connection is one, and so is each connection to a service.

use crate::limits::{CONNECTIONS_FEW, CONNECTIONS_PER_WORKER_DEFAULT, DESCRIPTORS_RESERVED};

/// How many connections there may be: what the operator wrote, or what is usual for so many workers, and never more than
/// there are descriptors for.
pub(super) fn connections_max(configured: Option<u32>, workers: usize) -> usize {
    let descriptors = raise();
    let wanted =
        configured.map_or(CONNECTIONS_PER_WORKER_DEFAULT.saturating_mul(workers), |number| number as usize);
    let possible = possible(descriptors, configured.is_some());
    // What an operator did not ask for is told of if it is so little that clients will notice.
    if possible < configured.map_or(CONNECTIONS_FEW.min(wanted), |_| wanted) {
        tracing::warn!(
            descriptors,
            connections_max = possible,
            wanted,
            "the process may have too few descriptors, and takes fewer connections than it should; hint: raise its limit \
             (`LimitNOFILE=` of systemd, `ulimit -n` of a shell)"
        );
    }
    wanted.min(possible)
}

/// The connections that so many descriptors are enough for. By default each has one to a service beside it; an operator
/// who says a number knows better.
fn possible(descriptors: usize, is_configured: bool) -> usize {
    let free = descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(1);
    if is_configured { free } else { free.div_ceil(2) }
}

/// Raises the process's limit as far as the system lets it, and says what it is then. The lower one that a process starts
/// with is for programs that use `select`.
#[cfg(unix)]
fn raise() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn raise() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_for_the_services() {
        let check = |descriptors, is_configured, expected| {
            assert_eq!(possible(descriptors, is_configured), expected, "{descriptors} {is_configured}");
        };
        check(1024 + DESCRIPTORS_RESERVED, false, 512);
        check(1024 + DESCRIPTORS_RESERVED, true, 1024);
        check(0, false, 1);
        check(0, true, 1);
    }
}
