//! The server from outside, as processes and sockets meet it.

mod import;
