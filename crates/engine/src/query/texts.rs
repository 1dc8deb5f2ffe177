//! Records as text: most readers pass on what the store has, and nobody looks into it.

use crate::id::Timestamp;
use crate::query::Record;

/// Records whose members are JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordTexts {
    /// Ids and members, one behind the other.
    text: String,
    parts: Vec<Part>,
}

/// Where a record ends in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    id_end: usize,
    end: usize,
    expires_at: Option<Timestamp>,
}

/// One record whose members are JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordText<'a> {
    /// Its key in its collection.
    pub id: &'a str,
    /// Its members without the id: an object as `serde_json` writes it, without spaces.
    pub members: &'a str,
    /// When it expires, if it does.
    pub expires_at: Option<Timestamp>,
}

impl RecordTexts {
    /// Puts a record behind those that are there.
    pub fn push(&mut self, record: RecordText<'_>) {
        self.text.push_str(record.id);
        let id_end = self.text.len();
        self.text.push_str(record.members);
        self.parts.push(Part { id_end, end: self.text.len(), expires_at: record.expires_at });
    }

    /// The records, in their order.
    pub fn iter(&self) -> impl Iterator<Item = RecordText<'_>> {
        let mut begin = 0;
        self.parts.iter().map(move |Part { id_end, end, expires_at }| {
            let (id, members) = (&self.text[begin..*id_end], &self.text[*id_end..*end]);
            begin = *end;
            RecordText { id, members, expires_at: *expires_at }
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl<'a> FromIterator<&'a Record> for RecordTexts {
    fn from_iter<T: IntoIterator<Item = &'a Record>>(records: T) -> Self {
        let mut texts = Self::default();
        for record in records {
            let members = serde_json::to_string(&record.body).expect("members have text for names");
            texts.push(RecordText { id: &record.id.0, members: &members, expires_at: record.expires_at });
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let records = [
            RecordText { id: "a", members: r#"{"x":"ä"}"#, expires_at: None },
            RecordText { id: "", members: "{}", expires_at: Some(Timestamp(3)) },
            RecordText { id: "ü", members: "{}", expires_at: None },
        ];
        let mut texts = RecordTexts::default();
        records.into_iter().for_each(|record| texts.push(record));
        assert_eq!((texts.len(), texts.is_empty()), (3, false));
        assert!(texts.iter().eq(records));
    }
}
