//! The calls that only the earlier version has.

use super::ekodb::Client;
use super::rows::{Refused, Seat, refused};
use crate::table::{Row, rows};

/// All of them.
pub(crate) fn all() -> Vec<Row> {
    ROWS.to_vec()
}

rows! { Client {
    health_check => ["HTTP request failed"],
}}

async fn health_check(seat: Seat) -> Refused {
    seat.client.health_check().await.unwrap();
    let nobody = Client::builder().base_url("http://127.0.0.1:1").api_key("k").build().unwrap();
    refused(nobody.health_check().await)
}
