//! What the control runtime's parts say of themselves when the metrics are read.

use std::sync::Arc;

use firegate_core::snapshot::Backend;

use firegate_google::user_status::UserStatusStatistics;

use super::ControlHandle;
use super::users::UserStatus;
use crate::metrics::{
    Figures, GoogleIdTokenFigures, IdTokenMintFigures, KeySetFigures, ProcessFigures, UserStatusFigures,
};
use crate::upstream::{Upstream, Upstreams};

impl ControlHandle {
    /// The figures of this moment, and those of these backends, to which these ways are in force.
    pub(crate) fn figures(
        &self,
        process: ProcessFigures,
        backends: &[Arc<Backend>],
        upstreams: &Upstreams,
        in_force: &[&Upstream],
    ) -> Figures {
        let inner = &self.inner;
        let now = inner.clock.now();
        let key_sets = inner.key_sets().filter(|_| inner.needs_keys);
        let token = |backend: &Arc<Backend>| {
            let expires_at = inner.identities.own_token_expiry(backend)?;
            Some(GoogleIdTokenFigures { backend: backend.name.clone(), expires_at })
        };
        Figures {
            is_ready: !process.entrance.is_stopping && self.is_ready(),
            process,
            key_sets: key_sets
                .map(|keys| KeySetFigures::of(keys.source().name, &keys.current(), now))
                .collect(),
            user_status: inner
                .user_status
                .as_ref()
                .and_then(UserStatus::in_force)
                .map(|users| user_status(&users.statistics())),
            verified_tokens: inner.verified.figures(),
            id_token_mints: IdTokenMintFigures::of(inner.identities.mints()),
            google_id_tokens: backends.iter().filter_map(token).collect(),
            endpoints: upstreams.endpoint_figures(in_force),
            backends: upstreams.backend_figures(),
            limiter: inner.rate_limits.limiter(),
            limits_store: inner.rate_limits.store(),
        }
    }
}

fn user_status(statistics: &UserStatusStatistics) -> UserStatusFigures {
    UserStatusFigures {
        entries: statistics.users,
        refusals_kept: statistics.pinned,
        has_forgotten_refusals: statistics.has_forgotten_refusals,
        staleness_max_seconds: statistics.oldest_staleness.map_or(0, |oldest| oldest.as_secs()),
        successes: statistics.calls.saturating_sub(statistics.failed_calls),
        failures: statistics.failed_calls,
    }
}
