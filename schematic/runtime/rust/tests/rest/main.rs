//! Calls over real sockets: what is repeated, where credentials go, and what a bad reply becomes.

mod refusals;
mod repeats;
mod server;

use schematic_runtime::rest::{Api, Auth, Client, Options};

/// An API whose key stands in a header of its own.
const API: Api = Api {
    base_url: "https://example.com",
    auth: Auth::Header { name: "x-key", prefix: "" },
    env: &["SCHEMATIC_REST_TEST_KEY"],
    env_username: None,
};

fn client(options: Options) -> Client {
    Client::new(&API, options).unwrap()
}
