//! What a definition can hold, what becomes of it on paper, and what is refused.

mod ambiguous;
mod bad;
mod paper;
mod samples;
