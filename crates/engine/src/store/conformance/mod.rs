//! What every store must do. An implementation's test hands in how to make an empty one and runs [`check`].

mod chats;
mod collections;
mod edits;
mod filters;
mod records;
mod search;

use std::future::Future;

use serde_json::Value;

use super::{Operation, Store, Write};
use crate::error::{Code, Error, Result};
use crate::id::{RecordId, Timestamp};
use crate::identity::Subject;
use crate::query::Body;

/// Runs the whole suite, each part with a store of its own; panics where a store does not keep its promises.
pub async fn check<S: Store, F: Future<Output = S>>(make: impl Fn() -> F) {
    records::writes_do_what_they_say(&make().await).await;
    records::a_batch_is_done_together_or_not_at_all(&make().await).await;
    records::an_operation_sees_the_ones_before_it(&make().await).await;
    records::changes_are_kept_in_order(&make().await).await;
    records::logs_and_pages_are_read_in_pieces(&make().await).await;
    records::who_listens_hears_of_each_commit(&make().await).await;
    records::concurrent_commits_leave_no_gap(make().await).await;
    records::a_failing_commit_disturbs_no_other(make().await).await;
    records::what_was_written_comes_back_as_it_was(&make().await).await;
    records::texts_are_what_the_records_are(&make().await).await;
    records::collections_are_listed_and_counted(&make().await).await;
    records::search_finds_what_is_there_now(&make().await).await;
    records::search_survives_anything_that_is_typed(&make().await).await;
    search::words_are_weighed(&make().await).await;
    search::words_are_meant(&make().await).await;
    search::a_search_is_restricted(&make().await).await;
    search::the_nearest_are_found(&make().await).await;
    search::rankings_are_fused(&make().await).await;
    edits::edits_succeed_or_fail_each_for_itself(&make().await).await;
    edits::edits_together_name_the_one_that_fails(&make().await).await;
    edits::twenty_thousand_edits_are_one_command(&make().await).await;
    edits::an_action_sequence_is_one_change(&make().await).await;
    edits::who_listens_hears_every_change_in_order(make().await).await;
    collections::schemas_are_made_read_and_changed(&make().await).await;
    collections::records_are_what_the_schema_says(&make().await).await;
    collections::unique_values_are_unique(&make().await).await;
    collections::a_schema_is_refused_if_a_record_does_not_fit(&make().await).await;
    collections::a_dropped_collection_leaves_versions_and_offsets(&make().await).await;
    collections::indexes_change_no_answer(&make().await).await;
    collections::pairs_are_kept(&make().await).await;
    filters::answers_are_projected_and_joined(&make().await).await;
    filters::distinct_values_are_sorted(&make().await).await;
    filters::deep_filters_are_refused(&make().await).await;
    filters::an_answer_has_a_limit(&make().await).await;
    filters::filters_follow_json_types(&make().await).await;
    filters::sorts_limits_and_skips(&make().await).await;
    filters::names_are_never_syntax(&make().await).await;
    filters::unusable_filters_are_refused(&make().await).await;
    chats::a_session_is_an_alias_of_its_owner(&make().await).await;
    chats::an_unused_session_expires(&make().await).await;
    chats::entries_come_back_as_they_were(&make().await).await;
    chats::a_log_has_no_holes(&make().await).await;
    chats::a_message_id_is_used_once(&make().await).await;
    chats::runs_are_open_until_they_end(&make().await).await;
    chats::a_finished_run_collapses(&make().await).await;
    chats::a_run_collapses_with_its_end(&make().await).await;
    chats::positions_are_known_or_not(&make().await).await;
    chats::chats_are_listed_newest_first(&make().await).await;
    chats::chats_without_an_alias_are_kept(&make().await).await;
    chats::messages_are_found_among_the_rest(&make().await).await;
    chats::a_deleted_chat_is_gone(&make().await).await;
    chats::concurrent_appends_stay_apart(make().await).await;
}

fn who() -> Subject {
    "ann".into()
}

fn write(collection: &str, id: &str, operation: Operation) -> Write {
    Write::new(collection, RecordId::from(id), operation)
}

fn body(value: &Value) -> Body {
    value.as_object().expect("a body is an object").clone()
}

async fn commit(store: &impl Store, batch: Vec<Write>) -> Result<Vec<super::Change>> {
    store.commit(&who(), Timestamp(1), batch).await
}

async fn insert(store: &impl Store, collection: &str, id: &str, value: Value) {
    commit(store, vec![write(collection, id, Operation::Insert(body(&value)))])
        .await
        .expect("it is inserted");
}

fn code<T>(result: Result<T, Error>) -> Option<Code> {
    result.err().map(|error| error.code)
}
