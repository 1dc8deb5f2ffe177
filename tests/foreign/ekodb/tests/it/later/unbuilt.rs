//! As `unbuilt` beside the rows, for the calls that only the later version has.

use super::Seat;
use super::ekodb::Query;
use crate::table::unbuilt;

unbuilt! { Client = |seat| seat.client;
    // Of these three the crate keeps the status and drops the sentence.
    "not implemented" {
        create_savepoint("t", "s"),
        rollback_to_savepoint("t", "s"),
        release_savepoint("t", "s"),
    }
    "transactions" {
        find_by_id_in_transaction("people", "a", "t", None),
        find_in_transaction("people", Query::new(), "t", None),
    }
    "schedules" {
        trigger_schedule("x"),
    }
}
