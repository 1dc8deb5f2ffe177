//! The runtime from outside: over a network in memory with paused time.

mod life;
mod queues;
mod signs;
mod support;
