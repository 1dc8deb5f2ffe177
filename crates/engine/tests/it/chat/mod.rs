//! Conversations. `rig` holds what the tests share; each module is about one promise.

mod agents;
mod branches;
mod continued;
mod drain;
mod managed;
mod order;
mod outside;
mod owners;
mod reasoning;
pub(crate) mod restart;
mod resume;
pub(crate) mod rig;
mod sends;
mod steer;
mod stop;
mod unwritable;
