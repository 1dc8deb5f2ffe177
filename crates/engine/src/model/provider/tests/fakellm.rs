//! Providers against `fakellm`, a rule-based server that somebody else wrote. `TIDEWIRE_FAKELLM` is its executable.

use std::process::{Child, Command, Stdio};

use super::*;

/// The server; it ends with the test.
struct Fakellm {
    child: Child,
    _folder: tempfile::TempDir,
    base_url: String,
}

impl Drop for Fakellm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start() -> Fakellm {
    let program = std::env::var("TIDEWIRE_FAKELLM")
        .expect("TIDEWIRE_FAKELLM must be the path of fakellm's executable; `cargo xtask test` installs it and sets this");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("fakellm.yaml");
    std::fs::write(&config, rules().to_string()).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut command = Command::new(program);
    command.args(["serve", "--port", &port.to_string(), "--config"]).arg(&config);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < deadline, "fakellm should listen within a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Fakellm { child, _folder: folder, base_url: format!("http://127.0.0.1:{port}/v1") }
}

/// JSON is YAML. A conversation that has once seen a tool's result fits `after` for good, so that comes late.
fn rules() -> Value {
    let rule = |words: &str, respond: Value| json!({"name": words, "when": {"messages_contain": words}, "respond": respond});
    let call = json!([{"name": "list_tables", "arguments": {"schema": "mart"}}]);
    json!({"version": 1, "rules": [
        rule("limit", json!({"status": 429, "error": "slow down"})),
        rule("broken", json!({"status": 500, "error": "boom"})),
        rule("key", json!({"status": 401, "error": "who are you"})),
        rule("hello", json!({"content": "Hello there, how may I help you today?"})),
        {"name": "after", "when": {"tool_result_contains": "factv"}, "respond": {"content": "There is one table."}},
        rule("tables", json!({"tool_calls": call})),
    ]})
}

#[tokio::test]
async fn both_protocols_stream_text_calls_and_errors() {
    for name in ["openai/gpt-x", "anthropic/claude-x"] {
        let server = start().await;
        let provider = provider(name, &server.base_url);
        let hello = came(&provider, asked("hello")).await;
        assert_eq!(hello.text.concat(), "Hello there, how may I help you today?", "{name}");
        assert!(hello.text.len() > 1, "{name} should stream: {:?}", hello.text);
        assert_eq!(hello.end, Some(StopReason::Finished), "{name}");

        let mut request = asked("show me the tables");
        let called = came(&provider, request.clone()).await;
        assert_eq!(called.end, Some(StopReason::ToolCalls), "{name}: {called:?}");
        assert_eq!(called.calls[0].arguments, json!({"schema": "mart"}), "{name}");

        let call = called.calls[0].clone();
        let (call_id, tool) = (call.id.clone(), call.name.clone());
        request.messages.push(Message::Assistant { text: String::new(), calls: vec![call] });
        let content = String::from("{\"tables\":[\"factv_purchase_order\"]}");
        request.messages.push(Message::Tool { call_id, name: tool, content, is_error: false });
        assert_eq!(came(&provider, request).await.text.concat(), "There is one table.", "{name}");

        // fakellm looks at a rule's status only when it does not stream.
        let provider = self::provider(name, &unstreamed(&server.base_url).await);
        let error = |question: &'static str| async { came(&provider, asked(question)).await.error.unwrap() };
        assert_eq!(error("limit").await.code, Code::RateLimited, "{name}");
        assert_eq!(error("broken").await.code, Code::Upstream, "{name}");
        assert!(error("key").await.message.contains("_API_KEY"), "{name}");
    }
}

/// A way to the server on which requests ask for no stream. It serves connection after connection until the test ends.
async fn unstreamed(base_url: &str) -> String {
    let server = base_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (head, mut body) = read_request(&mut client).await;
            body["stream"] = json!(false);
            let body = body.to_string();
            let is_kept = |line: &&str| {
                let name = line.split(':').next().unwrap_or_default().to_lowercase();
                !["content-length", "connection", "accept-encoding"].contains(&name.as_str())
            };
            let head: Vec<&str> = head.lines().filter(is_kept).collect();
            let request = format!(
                "{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                head.join("\r\n"),
                body.len()
            );
            let mut upstream = TcpStream::connect(&server).await.unwrap();
            upstream.write_all(request.as_bytes()).await.unwrap();
            let _ = tokio::io::copy(&mut upstream, &mut client).await;
        }
    });
    address
}
