//! Which reply may be sent when.
//!
//! A reply with an id finds its request by itself. One without an id finds it only while its client waits for nothing
//! else: the client gives it to the registration of tools that it waits for, else to its only open request, else it
//! drops it. So replies without an id are held, in the order of their requests, until every request with an id is
//! answered and no registration is open. Replies under ids that the client did not remember would end an open
//! registration, so they wait for that too.

use std::collections::VecDeque;

use crate::frame::Frame;
use crate::session::Ticket;

/// While so many requests without an id wait, or so many bytes of replies to them, nothing more is taken from the client:
/// what was taken is then answered first, and they go out.
const HELD: usize = 256;
const HELD_BYTES: usize = 1 << 20;

/// How a request's reply finds the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By its id, which the client remembers.
    ById,
    /// By its id, which some clients do not remember.
    ByForgottenId,
    /// It has no id and must be alone.
    Alone,
    /// It has no id and ends the open registration of tools.
    Registration,
    /// Nobody waits for it.
    Unanswered,
}

/// What waits on one connection.
#[derive(Debug, Default)]
pub(super) struct Correlation {
    /// Requests with a remembered id that are not answered.
    open: usize,
    /// Registrations of tools without an id that are not answered.
    registrations: usize,
    /// Replies under forgotten ids that wait for the registrations.
    forgotten: Vec<Frame>,
    /// Requests without an id, in order, with their replies as they come.
    alone: VecDeque<(Option<Ticket>, Option<Frame>)>,
}

impl Correlation {
    /// Whether more requests may come.
    pub(super) fn has_room(&self) -> bool {
        let bytes = self.alone.iter().filter_map(|(_, reply)| Some(reply.as_ref()?.len()));
        self.alone.len() < HELD && bytes.sum::<usize>() < HELD_BYTES
    }

    /// A request came.
    pub(super) fn asked(&mut self, ticket: Ticket, way: Way) {
        match way {
            Way::ById => self.open += 1,
            Way::Registration => self.registrations += 1,
            Way::Alone => self.alone.push_back((Some(ticket), None)),
            Way::ByForgottenId | Way::Unanswered => {}
        }
    }

    /// A request without an id was refused at once.
    pub(super) fn refused_alone(&mut self, reply: Frame, out: &mut Vec<Frame>) {
        self.alone.push_back((None, Some(reply)));
        self.release(out);
    }

    /// A request's reply is there. What may be sent now is put into `out`.
    pub(super) fn answered(&mut self, ticket: Ticket, way: Way, reply: Frame, out: &mut Vec<Frame>) {
        match way {
            Way::ById => {
                self.open = self.open.saturating_sub(1);
                out.push(reply);
            }
            Way::ByForgottenId => self.forgotten.push(reply),
            Way::Registration => {
                self.registrations = self.registrations.saturating_sub(1);
                // The client knows one registration at a time: the last. A reply to an earlier one would end that.
                if self.registrations == 0 {
                    out.push(reply);
                }
            }
            Way::Alone => {
                if let Some(place) = self.alone.iter_mut().find(|(asked, _)| *asked == Some(ticket)) {
                    place.1 = Some(reply);
                }
            }
            Way::Unanswered => {}
        }
        self.release(out);
    }

    fn release(&mut self, out: &mut Vec<Frame>) {
        if self.registrations > 0 {
            return;
        }
        out.append(&mut self.forgotten);
        while self.open == 0
            && let Some((_, Some(_))) = self.alone.front()
        {
            out.extend(self.alone.pop_front().and_then(|(_, reply)| reply));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays requests (`+`) and replies (`-`) by letter and says in which order replies went out: `i…` has an id,
    /// `f…` a forgotten one, `a…` is alone, `r…` registers.
    fn play(steps: &str) -> String {
        let (mut correlation, mut names, mut out) = (Correlation::default(), Vec::new(), Vec::new());
        for step in steps.split_whitespace() {
            let (sign, name) = step.split_at(1);
            let way = match &name[..1] {
                "i" => Way::ById,
                "f" => Way::ByForgottenId,
                "a" => Way::Alone,
                _ => Way::Registration,
            };
            let known = names.iter().position(|known| *known == name);
            let number = known.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            let ticket = Ticket(number as u64);
            match sign {
                "+" => correlation.asked(ticket, way),
                _ => correlation.answered(ticket, way, Frame::text(name), &mut out),
            }
        }
        let text = |frame: &Frame| match frame {
            Frame::Text(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        out.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(steps: &str, expected: &str) {
        assert_eq!(play(steps), expected, "{steps}");
    }

    #[test]
    fn replies_with_ids_go_at_once() {
        check("+i1 +i2 -i2 -i1", "i2 i1");
    }

    #[test]
    fn a_reply_without_an_id_waits_until_nothing_else_is_open() {
        check("+a1 -a1", "a1");
        check("+a1 +i1 -a1", "");
        check("+a1 +i1 -a1 -i1", "i1 a1");
        check("+i1 +a1 -a1 +i2 -i1 -i2", "i1 i2 a1");
    }

    #[test]
    fn replies_without_ids_keep_the_order_of_their_requests() {
        check("+a1 +a2 -a2", "");
        check("+a1 +a2 -a2 -a1", "a1 a2");
    }

    #[test]
    fn a_registration_is_answered_beside_open_requests_and_before_all_others() {
        check("+i1 +r1 -r1 -i1", "r1 i1");
        check("+a1 +r1 -a1 -r1", "r1 a1");
        check("+f1 +r1 -f1 -r1", "r1 f1");
        check("+f1 -f1", "f1");
    }

    #[test]
    fn of_registrations_that_overlap_the_last_is_answered() {
        check("+r1 +r2 -r1 -r2", "r2");
        check("+r1 -r1 +r2 -r2", "r1 r2");
    }

    #[test]
    fn what_is_refused_without_an_id_waits_too() {
        let (mut correlation, mut out) = (Correlation::default(), Vec::new());
        correlation.asked(Ticket(1), Way::ById);
        correlation.refused_alone(Frame::text("no"), &mut out);
        assert!(out.is_empty());
        correlation.answered(Ticket(1), Way::ById, Frame::text("yes"), &mut out);
        assert_eq!(out, [Frame::text("yes"), Frame::text("no")]);
    }

    /// One who always waits for something else, or says what nobody understands while a slow request is open.
    #[test]
    fn a_client_to_whom_much_is_owed_is_not_read() {
        let (mut correlation, mut out) = (Correlation::default(), Vec::new());
        correlation.asked(Ticket(0), Way::ById);
        for _ in 0..HELD {
            assert!(correlation.has_room());
            correlation.refused_alone(Frame::text("no"), &mut out);
        }
        assert!(!correlation.has_room() && out.is_empty());
        correlation.answered(Ticket(0), Way::ById, Frame::text("yes"), &mut out);
        assert!(correlation.has_room());
        assert_eq!(out.len(), HELD + 1);

        correlation.asked(Ticket(1), Way::ById);
        correlation.asked(Ticket(2), Way::Alone);
        correlation.answered(Ticket(2), Way::Alone, Frame::text("x".repeat(HELD_BYTES)), &mut out);
        assert!(!correlation.has_room());
        correlation.answered(Ticket(1), Way::ById, Frame::text("yes"), &mut out);
        assert!(correlation.has_room());
    }
}
