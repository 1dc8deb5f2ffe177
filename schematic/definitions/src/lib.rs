//! Definitions of public WebSocket APIs, one file an API.
//!
//! They are facts about other people's services, collected from their references and clients; each file says which
//! quirks it covers. [`all`] lists them by the name under which the command `schematic` knows them.

pub mod elevenlabs;

use schematic_define::Definition;

/// Every definition, with the name by which it is asked for.
pub fn all() -> Vec<(&'static str, Definition)> {
    vec![("elevenlabs", elevenlabs::elevenlabs())]
}
