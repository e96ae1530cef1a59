//! Counting in a store that several processes share. What is asked of the store is put together here; asking it is the
//! door's affair.

use std::sync::Arc;

use super::figures::LimiterFigures;
use super::key::{KeyPart, LocalKey, StoreKey};
use super::memory::{Foreseen, MemoryCounters};
use super::rule::RateLimit;
use super::{Count, Counters, Counting, StoreAnswer};

/// Counts in a shared store, with the windows of this process beside it: they take over while the store is away, and spare it
/// the requests of keys that it has already said to be banned or over their limit.
#[derive(Debug)]
pub struct SharedCounters {
    memory: Arc<MemoryCounters>,
    secret: [u8; 32],
}

/// What the shared store has to be asked.
#[derive(Clone, Debug)]
pub struct StoreQuestion {
    rule: Arc<RateLimit>,
    local_key: LocalKey,
    store_key: StoreKey,
    unreported: u32,
}

/// What a question to the store has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The request is counted.
    Counted(Count),
    /// It must not pass: the store cannot be asked, and the rule says that nothing passes then.
    Unavailable,
}

impl SharedCounters {
    /// Counters before which a store stands. The secret is the same in every process that shares it.
    pub const fn new(memory: Arc<MemoryCounters>, secret: [u8; 32]) -> Self {
        Self { memory, secret }
    }

    /// What there is to know of the windows of this process.
    pub fn figures(&self) -> LimiterFigures {
        self.memory.figures()
    }
}

impl Counters for SharedCounters {
    fn count(&self, rule: &Arc<RateLimit>, key: &[KeyPart<'_>]) -> Counting {
        if rule.is_preview() {
            return self.memory.count(rule, key);
        }
        match self.memory.foresee(rule, key) {
            Foreseen::Known(count) => {
                rule.figures().add_count(&count);
                Counting::Counted(count)
            }
            Foreseen::Unknown { key: local_key, unreported } => {
                let store_key = StoreKey::of(&self.secret, rule.identity(), key);
                let question = StoreQuestion { rule: Arc::clone(rule), local_key, store_key, unreported };
                Counting::AskStore(Box::new(question))
            }
        }
    }

    fn settle(&self, question: &StoreQuestion, answer: StoreAnswer<'_>) -> Settled {
        self.memory.settle(question, answer)
    }
}

impl StoreQuestion {
    /// By which rule.
    pub const fn rule(&self) -> &Arc<RateLimit> {
        &self.rule
    }

    /// For which key.
    pub const fn store_key(&self) -> StoreKey {
        self.store_key
    }

    /// How many requests have conformed in the present interval of which the store does not know.
    pub const fn unreported(&self) -> u32 {
        self.unreported
    }

    pub(super) const fn local_key(&self) -> LocalKey {
        self.local_key
    }
}

/// The same question is the same key under the same rule.
impl PartialEq for StoreQuestion {
    fn eq(&self, other: &Self) -> bool {
        (self.rule.identity(), self.store_key, self.unreported)
            == (other.rule.identity(), other.store_key, other.unreported)
    }
}

impl Eq for StoreQuestion {}
