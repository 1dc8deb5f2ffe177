//! What a terminal shows of a conversation: a pure function of the frames that came.
//!
//! It remembers where in the chat's log it is, so that a reconnect asks for what was missed and nothing twice, and
//! how much of the running answer is on the screen, so that a repeated text is not written again.

use serde_json::{Value, json};

/// A conversation as the terminal follows it.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// Whether escape sequences may be used.
    pub(super) colour: bool,
    epoch: Option<u64>,
    seq: u64,
    /// The running answer as far as it is on the screen.
    shown: String,
    /// Our own messages, which need no echo.
    sent: Vec<String>,
    /// Whether the cursor is in the middle of a line.
    inline: bool,
    running: bool,
}

impl Screen {
    /// A fresh screen.
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, ..Self::default() }
    }

    /// Whether an answer is being written.
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// What to say first on a new connection: where we are.
    pub(super) fn resume(&self) -> String {
        let mut frame = json!({"after_seq": self.seq, "partials": "delta"});
        if let Some(epoch) = self.epoch {
            frame["epoch"] = epoch.into();
        }
        frame.to_string()
    }

    /// The frame of a person's message. It carries an id, so that sending it again after a reconnect asks once.
    pub(super) fn message(&mut self, content: &str, id: String) -> String {
        let frame = json!({"content": content, "message_id": id}).to_string();
        self.sent.push(id);
        self.running = true;
        frame
    }

    /// What to write for a frame of the server.
    pub(super) fn show(&mut self, frame: &Value) -> String {
        if let Some(seq) = frame["seq"].as_u64() {
            self.seq = self.seq.max(seq);
        }
        match frame["type"].as_str().unwrap_or_default() {
            "ready" => self.ready(frame),
            "user" => self.user(frame),
            "run" => {
                self.running = true;
                self.waiting(frame)
            }
            "agent_partial" => self.partial(frame),
            "tool_call" => self.line(&format!("· {} {}", text(frame, "tool_name"), frame["arguments"])),
            "tool" => self.tool(frame),
            "agent" => self.answer(frame),
            "error" => self.error(frame),
            // Reasoning, pings, and whatever a newer server says beside these.
            _ => String::new(),
        }
    }

    /// A line of our own, dimmed, after whatever is being written.
    pub(super) fn line(&mut self, line: &str) -> String {
        let before = self.end_line();
        format!("{before}{}\n", self.dim(line))
    }

    fn ready(&mut self, frame: &Value) -> String {
        self.epoch = frame["epoch"].as_u64();
        self.running = !frame["run"].is_null();
        if frame["reset"] == true {
            self.seq = 0;
            self.shown.clear();
            return self.line("the server no longer knows where we were; here is everything again");
        }
        String::new()
    }

    fn user(&mut self, frame: &Value) -> String {
        self.running = true;
        self.shown.clear();
        let own = frame["message_id"].as_str().is_some_and(|id| self.sent.iter().any(|sent| sent == id));
        if own { String::new() } else { format!("{}> {}\n", self.end_line(), text(frame, "content")) }
    }

    fn waiting(&mut self, frame: &Value) -> String {
        match frame["position"].as_u64() {
            Some(position) if frame["status"] == "queued" && position > 0 => {
                self.line(&format!("waiting, {position} before us"))
            }
            Some(_) | None => String::new(),
        }
    }

    fn partial(&mut self, frame: &Value) -> String {
        if let Some(delta) = frame["delta"].as_str() {
            return self.append(delta);
        }
        let whole = text(frame, "content").to_owned();
        self.catch_up(&whole)
    }

    fn tool(&mut self, frame: &Value) -> String {
        let mark = if frame["is_error"] == true { "✗" } else { "✓" };
        let name = text(frame, "tool_name");
        let duration = frame["duration_ms"].as_f64().map_or_else(String::new, |ms| format!(" ({ms:.0} ms)"));
        self.line(&format!("{mark} {name}{duration}"))
    }

    fn answer(&mut self, frame: &Value) -> String {
        self.running = false;
        let whole = text(frame, "content").to_owned();
        let mut written = self.catch_up(&whole);
        written.push_str(&self.end_line());
        self.shown.clear();
        match text(frame, "status") {
            "stopped" => written.push_str(&self.line("stopped")),
            "interrupted" => written.push_str(&self.line("the server was interrupted; ask again to go on")),
            _ => {}
        }
        if let Some(diagram) = frame["diagram"].as_str() {
            written.push_str(&self.line("a diagram (Mermaid):"));
            written.push_str(diagram.trim_end());
            written.push('\n');
        }
        written
    }

    fn error(&mut self, frame: &Value) -> String {
        self.running = false;
        let wait = frame["retry_after_ms"].as_f64();
        let wait = wait.map_or_else(String::new, |ms| format!(" (in {:.0} s)", (ms / 1000.0).ceil()));
        self.line(&format!("! {}{wait}", text(frame, "content")))
    }

    /// Writes what of the whole text is not on the screen yet. A text that went another way is written anew.
    fn catch_up(&mut self, whole: &str) -> String {
        if let Some(rest) = whole.strip_prefix(self.shown.as_str()) {
            let rest = rest.to_owned();
            return self.append(&rest);
        }
        let before = self.end_line();
        self.shown.clear();
        before + &self.append(whole)
    }

    fn append(&mut self, delta: &str) -> String {
        self.shown.push_str(delta);
        if let Some(last) = delta.chars().last() {
            self.inline = last != '\n';
        }
        delta.to_owned()
    }

    fn end_line(&mut self) -> String {
        let newline = if self.inline { "\n" } else { "" };
        self.inline = false;
        newline.to_owned()
    }

    fn dim(&self, line: &str) -> String {
        if self.colour { format!("\u{1b}[2m{line}\u{1b}[0m") } else { line.to_owned() }
    }
}

fn text<'a>(frame: &'a Value, member: &str) -> &'a str {
    frame[member].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frames: &[Value], expected: &str) -> Screen {
        let mut screen = Screen::new(false);
        let shown: String = frames.iter().map(|frame| screen.show(frame)).collect();
        assert_eq!(shown, expected);
        screen
    }

    #[test]
    fn an_answer_streams_with_its_tools() {
        let screen = check(
            &[
                json!({"type": "ready", "epoch": 3, "last_seq": 0, "reset": false, "run": null}),
                json!({"type": "user", "content": "tables?", "seq": 1}),
                json!({"type": "tool_call", "tool_name": "list_tables", "arguments": {"schema": "mart"}, "seq": 2}),
                json!({"type": "tool", "tool_name": "list_tables", "content": "{}", "duration_ms": 12, "seq": 3}),
                json!({"type": "agent_partial", "delta": "Two ", "seq": 4}),
                json!({"type": "agent_partial", "delta": "tables", "seq": 5}),
                json!({"type": "agent", "content": "Two tables.", "status": "finished", "diagram": null, "seq": 6}),
            ],
            "> tables?\n· list_tables {\"schema\":\"mart\"}\n✓ list_tables (12 ms)\nTwo tables.\n",
        );
        assert!(!screen.is_running());
        assert_eq!(screen.resume(), r#"{"after_seq":6,"partials":"delta","epoch":3}"#);
    }

    #[test]
    fn after_a_reconnect_only_the_missed_part_is_written() {
        check(
            &[
                json!({"type": "agent_partial", "delta": "Hello wo", "seq": 2}),
                json!({"type": "ready", "epoch": 3, "last_seq": 4, "reset": false, "run": {"run_id": "r"}}),
                json!({"type": "agent_partial", "content": "Hello world", "seq": 4}),
                json!({"type": "agent_partial", "delta": "!", "seq": 5}),
                json!({"type": "agent", "content": "Hello world!", "status": "stopped", "seq": 6}),
            ],
            "Hello world!\nstopped\n",
        );
    }

    #[test]
    fn our_own_words_are_not_echoed_and_errors_say_when_to_come_back() {
        let mut screen = Screen::new(false);
        assert_eq!(screen.message("hi", "m1".into()), r#"{"content":"hi","message_id":"m1"}"#);
        assert_eq!(screen.show(&json!({"type": "user", "content": "hi", "message_id": "m1", "seq": 1})), "");
        let error =
            json!({"type": "error", "content": "too many", "code": "RATE_LIMITED", "retry_after_ms": 2100});
        assert_eq!(screen.show(&error), "! too many (in 3 s)\n");
        assert_eq!(screen.show(&json!({"type": "from_the_future"})), "");
    }
}
