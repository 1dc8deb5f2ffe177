//! Hubs: passages that are near to everything, and so to any question.
//!
//! In spaces of many dimensions some vectors are among the nearest of very many others (Radovanović, Nanopoulos &
//! Ivanović 2010). Such a passage says less by being near than one that is near to little else, so how near it is to the
//! nearest of a sample of its collection is taken from its score (after Conneau et al. 2018, who call it cross-domain
//! similarity local scaling).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::passage::{EMBEDDING, Passage};
use crate::agent::Records;
use crate::error::Result;
use crate::identity::Identity;
use crate::query::{Projection, Query, Record, Sort};

/// So many passages are a sample …
const SAMPLE: usize = 256;
/// … and fewer than so many are none: there, what is near is near for a reason.
const LEAST: usize = 100;
/// So many of the sample, the nearest ones, say how near a passage is to everything.
const NEAREST: usize = 3;
/// A sample of a collection that may have changed is taken anew after so long.
const FRESH: Duration = Duration::from_secs(60);

/// The samples, by collection.
#[derive(Default)]
pub(super) struct Hubs(Mutex<HashMap<String, Taken>>);

#[derive(Clone)]
struct Taken {
    at: Instant,
    commits: Option<u64>,
    sample: Arc<Sample>,
}

/// Some passages of a collection.
pub(super) struct Sample(Vec<Member>);

struct Member {
    document: String,
    section: Option<String>,
    /// Of length 1.
    vector: Vec<f32>,
}

impl Hubs {
    /// A collection's sample.
    pub(super) async fn sample(
        &self,
        records: &dyn Records,
        identity: &Identity,
        collection: &str,
    ) -> Result<Arc<Sample>> {
        let commits = records.commits();
        if let Some(taken) = self.known(collection).filter(|taken| taken.is_fresh(commits)) {
            return Ok(taken.sample);
        }
        let sample = Arc::new(Sample::take(records, identity, collection).await?);
        let taken = Taken { at: Instant::now(), commits, sample: Arc::clone(&sample) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(collection.to_owned(), taken);
        Ok(sample)
    }

    fn known(&self, collection: &str) -> Option<Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(collection).cloned()
    }
}

impl Taken {
    fn is_fresh(&self, commits: Option<u64>) -> bool {
        (commits.is_some() && commits == self.commits) || self.at.elapsed() < FRESH
    }
}

impl Sample {
    /// The passages with the smallest hashes: nobody chooses them.
    async fn take(records: &dyn Records, identity: &Identity, collection: &str) -> Result<Self> {
        let members = [super::TEXT, "document", "section", EMBEDDING].map(str::to_owned).to_vec();
        let query = Query {
            projection: Projection::Only(members),
            sort: vec![Sort { field: "hash".into(), descending: false }],
            ..Query::all(collection, SAMPLE)
        };
        let found = records.query(identity, query).await?;
        Ok(Self(found.into_iter().filter_map(|record| Member::read(collection, record)).collect()))
    }

    /// How near a vector of length 1 is to the nearest of other sections, as a cosine; `None` where there are too few.
    pub(super) fn nearness(&self, passage: &Passage, vector: &[f32]) -> Option<f64> {
        let is_other = |member: &&Member| {
            member.vector.len() == vector.len()
                && (member.document != passage.document || member.section != passage.section)
        };
        let mut near: Vec<f32> =
            self.0.iter().filter(is_other).map(|member| dot(&member.vector, vector)).collect();
        if near.len() < LEAST {
            return None;
        }
        near.select_nth_unstable_by(NEAREST, |a, b| b.total_cmp(a));
        Some(near[..NEAREST].iter().copied().map(f64::from).sum::<f64>() / NEAREST as f64)
    }
}

impl Member {
    fn read(collection: &str, record: Record) -> Option<Self> {
        let vector = unit(record.body.get(EMBEDDING)?)?;
        let Passage { document, section, .. } = Passage::read(collection, record)?;
        Some(Self { document, section, vector })
    }
}

/// A record's vector, brought to length 1; `None` if it is none or has no direction.
pub(super) fn unit(value: &Value) -> Option<Vec<f32>> {
    let numbers = value.as_array()?.iter().map(|number| number.as_f64().map(|number| number as f32));
    let mut vector = numbers.collect::<Option<Vec<f32>>>()?;
    let length = dot(&vector, &vector).sqrt();
    vector.iter_mut().for_each(|number| *number /= length);
    (length > 0.0 && length.is_finite()).then_some(vector)
}

/// A dot product in several sums at once, as processors like it.
pub(super) fn dot(one: &[f32], other: &[f32]) -> f32 {
    let ((ones, one), (others, other)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let mut sums = [0.0_f32; 16];
    for (a, b) in ones.iter().zip(others) {
        for lane in 0..sums.len() {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::RecordId;
    use crate::query::Body;

    fn member(section: &str, vector: &[f64]) -> Member {
        let body = json!({"document": "a.md", "section": section, "text": "x", EMBEDDING: vector});
        let body: Body = serde_json::from_value(body).unwrap();
        let id = RecordId("a.md-00001".into());
        let record = Record {
            id,
            body,
            version: crate::id::Offset(1),
            created_at: crate::id::Timestamp(0),
            updated_at: crate::id::Timestamp(0),
            expires_at: None,
        };
        Member::read("documents", record).unwrap()
    }

    fn passage(section: &str) -> Passage {
        let Member { document, section, .. } = member(section, &[1.0, 0.0]);
        Passage {
            collection: "documents".into(),
            record: RecordId("a.md-00002".into()),
            title: document.clone(),
            source: document.clone(),
            document,
            url: None,
            section,
            page: None,
            text: "x".into(),
            score: 0.0,
        }
    }

    #[test]
    fn a_hub_is_near_to_other_sections() {
        let many = (0..LEAST).map(|_| member("far", &[0.0, 2.0]));
        let near = [1, 2, 3, 4].map(|_| member("near", &[3.0, 4.0]));
        let sample = Sample(many.chain(near).chain([member("own", &[5.0, 0.0])]).collect());
        let found = sample.nearness(&passage("own"), &[1.0, 0.0]).unwrap();
        assert!((found - 0.6).abs() < 1e-6, "its own section does not count: {found}");
        let found = sample.nearness(&passage("near"), &[1.0, 0.0]).unwrap();
        assert!((found - 1.0 / 3.0).abs() < 1e-6, "{found}");
        assert_eq!(sample.nearness(&passage("far"), &[1.0, 0.0]), None, "what is left is no sample");
        assert_eq!(sample.nearness(&passage("own"), &[1.0, 0.0, 0.0]), None, "vectors of another model");
    }

    #[test]
    fn vectors_have_a_direction_or_are_none() {
        assert_eq!(unit(&json!([3, 4])), Some(vec![0.6, 0.8]));
        for none in [json!([0, 0]), json!(["a"]), json!(null), json!("x"), json!([])] {
            assert_eq!(unit(&none), None, "{none}");
        }
        let long: Vec<f32> = (0..37).map(|number| number as f32).collect();
        let plain: f32 = long.iter().map(|number| number * number).sum();
        assert!((dot(&long, &long) - plain).abs() < 1.0);
    }
}
