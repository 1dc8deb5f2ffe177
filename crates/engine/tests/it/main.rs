//! The engine from outside: what only the parts together, or whole processes, can show.

mod chat;
mod crash;
mod explorer;
