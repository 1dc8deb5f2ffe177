//! What a filter may cost. The store and whoever holds filters against records in memory spend by the same rules, so
//! what one refuses is refused by the other.

use serde_json::Value;

use super::Filter;
use crate::error::{Detail, Error, Result};

/// How many levels a filter has at most.
pub(crate) const MAX_DEPTH: usize = 32;
/// How many comparisons it has at most.
pub(crate) const MAX_COMPARISONS: usize = 256;
/// How many values it names at most.
const MAX_VALUES: usize = 10_000;

/// What a filter may still cost.
pub(crate) struct Cost {
    comparisons: usize,
    values: usize,
}

impl Default for Cost {
    fn default() -> Self {
        Self { comparisons: MAX_COMPARISONS, values: MAX_VALUES }
    }
}

impl Cost {
    /// Pays for one filter without those within it. Fails if there is not enough left.
    pub(crate) fn spend(&mut self, filter: &Filter) -> Result<()> {
        let left = (self.comparisons.checked_sub(1), self.values.checked_sub(values_of(filter)));
        let (Some(comparisons), Some(values)) = left else {
            return Err(Error::invalid(format!(
                "a filter has at most {MAX_COMPARISONS} comparisons and {MAX_VALUES} values; split it"
            )));
        };
        *self = Self { comparisons, values };
        Ok(())
    }
}

fn values_of(filter: &Filter) -> usize {
    match filter {
        Filter::Compare { value: Value::Array(list), .. } => list.len(),
        Filter::Compare { .. } | Filter::And(_) | Filter::Or(_) | Filter::Not(_) => 1,
    }
}

/// One level further down, of `depth` that are left.
pub(crate) fn deeper(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or_else(too_deep)
}

/// What is said of a filter with more than [`MAX_DEPTH`] levels.
pub(crate) fn too_deep() -> Error {
    Error::invalid(format!("a filter is at most {MAX_DEPTH} levels deep; make it flatter"))
        .with(Detail::Field("filter".into()))
}
