//! The rows of the calls that both versions have, one file a subject.

use crate::table::Row;

pub(super) use super::ekodb;

mod http_chats;
mod http_collections;
pub(crate) mod http_door;
mod http_kv;
mod http_models;
mod http_records;
pub(crate) mod seat;
pub(crate) mod socket_chats;
mod socket_door;
mod socket_records;

pub(crate) use seat::Seat;

/// An error of the crate, as a row hands it back.
pub(crate) type Refused<E = ekodb::Error> = std::result::Result<std::convert::Infallible, E>;

/// The error of a call that must not succeed.
pub(crate) fn refused<T: std::fmt::Debug, E>(outcome: std::result::Result<T, E>) -> Refused<E> {
    match outcome {
        Ok(answer) => panic!("it was not refused: {answer:?}"),
        Err(error) => Err(error),
    }
}

/// As [`refused`], and not found whether the crate has a word of its own for it or shows the status.
pub(crate) fn not_found<T: std::fmt::Debug>(outcome: ekodb::Result<T>) -> Refused {
    match refused(outcome) {
        Err(ekodb::Error::NotFound) => Err(ekodb::Error::api(404, "not found")),
        Err(other) => Err(other),
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Row> {
    let socket = [socket_records::ROWS, socket_door::ROWS, socket_chats::ROWS];
    let http = [http_records::ROWS, http_collections::ROWS, http_kv::ROWS, http_door::ROWS];
    let talk = [http_models::ROWS, http_chats::ROWS, http_door::auth::ROWS, http_door::retry::ROWS];
    [socket.concat(), http.concat(), talk.concat()].concat()
}
