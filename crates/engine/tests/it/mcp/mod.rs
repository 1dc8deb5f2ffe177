//! MCP servers as tools: those that others wrote, as they are published, and one that does what no server should.

mod approvals;
mod far;
mod faults;
mod lives;
mod rig;
