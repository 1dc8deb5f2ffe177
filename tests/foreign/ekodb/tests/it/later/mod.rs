//! The calls that only the later version has.

use super::ekodb;
use super::rows::{Refused, Seat, http_door, refused, seat, socket_chats};
use crate::table::Row;

mod admin;
mod http;
mod socket;
pub(crate) mod unbuilt;

/// All of them.
pub(crate) fn all() -> Vec<Row> {
    [http::ROWS, socket::ROWS, admin::ROWS].concat()
}
