//! Written conversations of the definitions, as files beside this crate's source.
//!
//! `transcripts/README.md` says how they are written. What they are held against (recognition, types, generated code)
//! is the business of the generator's tests.

/// Every transcript, with the name of its definition.
pub fn all() -> Vec<(&'static str, &'static str)> {
    vec![
        ("deepgram", include_str!("../transcripts/deepgram.txt")),
        ("discord", include_str!("../transcripts/discord.txt")),
        ("elevenlabs", include_str!("../transcripts/elevenlabs.txt")),
        ("graphql_transport_ws", include_str!("../transcripts/graphql_transport_ws.txt")),
        ("home_assistant", include_str!("../transcripts/home_assistant.txt")),
        ("openai_realtime", include_str!("../transcripts/openai_realtime.txt")),
    ]
}

/// One frame of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Number of the line in its file, from 1
    pub number: usize,
    /// Id of the WebSocket endpoint
    pub endpoint: &'a str,
    /// Whether the client says it
    pub from_client: bool,
    /// Id of the message that it is
    pub message: &'a str,
    /// What travels
    pub frame: Frame<'a>,
}

/// The content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A text frame
    Text(&'a str),
    /// A binary frame, as base64
    Binary(&'a str),
}

/// Reads a transcript.
///
/// # Errors
/// When a line is none of the known kinds, or stands before an endpoint is named; the sentence has its number.
pub fn parse(text: &str) -> Result<Vec<Line<'_>>, String> {
    let mut endpoint = None;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if let Some(named) = line.strip_prefix("= ") {
            endpoint = Some(named.trim());
        } else if !line.is_empty() && !line.starts_with('#') {
            let endpoint =
                endpoint.ok_or_else(|| format!("line {number} says no endpoint; write `= Name` above it"))?;
            let said = said(line).ok_or_else(|| {
                format!("line {number} is no frame; write `> Message {{…}}`, or `>b Message` and base64")
            })?;
            let (from_client, message, frame) = said;
            lines.push(Line { number, endpoint, from_client, message, frame });
        }
    }
    Ok(lines)
}

/// Who says what in a line, and in which kind of frame.
fn said(line: &str) -> Option<(bool, &str, Frame<'_>)> {
    let (sign, rest) = line.split_once(' ')?;
    let (message, content) = rest.split_once(' ')?;
    match sign {
        ">" => Some((true, message, Frame::Text(content))),
        "<" => Some((false, message, Frame::Text(content))),
        ">b" => Some((true, message, Frame::Binary(content))),
        "<b" => Some((false, message, Frame::Binary(content))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_says_what() {
        let lines = parse("# a remark\n= Talk\n\n> Say {\"a\": 1}\n<b Sound AAEC\n").unwrap();
        let say = Line {
            number: 4,
            endpoint: "Talk",
            from_client: true,
            message: "Say",
            frame: Frame::Text("{\"a\": 1}"),
        };
        let sound = Line {
            number: 5,
            endpoint: "Talk",
            from_client: false,
            message: "Sound",
            frame: Frame::Binary("AAEC"),
        };
        assert_eq!(lines, [say, sound]);
    }

    #[test]
    fn what_is_no_frame_is_refused_with_its_number() {
        assert!(parse("= Talk\n\n? Say {}").unwrap_err().starts_with("line 3 is no frame"));
        assert!(parse("> Say {}").unwrap_err().starts_with("line 1 says no endpoint"));
    }

    #[test]
    fn every_definition_with_messages_has_a_transcript() {
        let with_messages = crate::all().into_iter().filter(|(_, definition)| definition.websocket.is_some());
        let names: Vec<_> = with_messages.map(|(name, _)| name).collect();
        assert_eq!(all().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
    }
}
