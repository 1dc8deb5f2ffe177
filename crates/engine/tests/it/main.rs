//! The engine from outside: what only whole processes can show.

mod crash;
