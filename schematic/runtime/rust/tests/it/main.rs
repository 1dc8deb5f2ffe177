//! The runtime from outside: over a network in memory with paused time, and over real sockets.

mod life;
mod queues;
mod signs;
mod sockets;
mod support;
