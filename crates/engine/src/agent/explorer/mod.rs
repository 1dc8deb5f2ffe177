//! The explorer: answers questions about the data that is there.
//!
//! What it knows is the **catalogue**, four ordinary collections whose records [`catalog`] describes, and every other
//! collection that the asker may read. A model chooses among six tools; their results are JSON of these shapes:
//!
//! | tool | arguments | result |
//! |---|---|---|
//! | `list_tables` | `schema?` | `{tables: [{name, full_name, table_type, schema, description, column_count}], total}` |
//! | `get_table_details` | `table_name` | `{name, full_name, table_type, schema, description, column_count, collection?, business_key: [], grain, measures: [], attributes: [], date_columns: [], columns: [{name, type, description, is_measure, is_foreign_key}]}` |
//! | `find_relationships` | `table_name` | `{table, relationships: [{from_table, to_table, join_column, relationship_type, confidence}]}` |
//! | `search_columns` | `pattern` | `{pattern, columns: [{table, name, type, description}], total}`, at most 50 columns |
//! | `get_lineage` | `table_name` | `{table, upstream: [], downstream: [], refresh_frequency}` |
//! | `query_collection` | `collection, filter?, sort?, limit?, count?` | `{collection, records: [{id, …}], total}`, or with `count: true` `{collection, count}` |
//!
//! Tables are named by their full name in every result. A table that is not there is no error:
//! `{unknown_table, message, near_matches: []}`; a collection that is not there likewise: `{unknown_collection,
//! message, near_matches: []}`. What was too long to be shown whole says so: `{…, left_out: {tables: 40}}`.
//!
//! A model that cannot choose arguments by itself finds in [`Request::names`](crate::model::Request::names) what the
//! asker may speak of, made by a [`Vocabulary`].

mod agent;
mod canvas;
pub mod catalog;
pub mod demo;
pub mod er;
mod picture;
mod query;
mod summary;
mod tools;
mod vocabulary;
mod words;

pub use agent::Explorer;
pub use summary::{Summary, metrics, suggestions, summary};
pub use vocabulary::Vocabulary;
