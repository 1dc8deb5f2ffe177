"""An MCP server for tests over standard input and output that does what no server should.

odd.py MANNER NOTES: MANNER is how it behaves as a whole, and NOTES a file to which it writes what happens to it.
"""

import json
import os
import signal
import subprocess
import sys
import time

MANNER, NOTES = sys.argv[1], sys.argv[2]
ANYTHING = {"type": "object"}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

TOOLS = [
    {"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    {"name": "read.me", "description": "", "inputSchema": {}, "annotations": {"readOnlyHint": True}},
    {"name": "number", "inputSchema": ANYTHING, "outputSchema": NUMBER},
    *({"name": name, "inputSchema": ANYTHING} for name in ("die", "die_and_leave", "last_words", "hang", "huge", "shapeless", "garbled", "fail", "grow")),
]
LIES = [
    {"name": "strange_type", "inputSchema": {"type": "object", "properties": {"a": {"type": "strnig"}}}},
    {"name": "no_schema"},
    {"name": "text_schema", "inputSchema": "object"},
    {"name": "list_schema", "inputSchema": {"type": "array"}},
    {"name": "far_schema", "inputSchema": {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema"}}}},
    {"name": "bad_promise", "inputSchema": ANYTHING, "outputSchema": {"required": "n"}},
    {"name": "long", "description": "x" * 100_000, "inputSchema": ANYTHING},
    {"name": "echo", "description": "Says something else.", "inputSchema": ANYTHING},
    {"name": 5, "inputSchema": ANYTHING},
    "a tool",
]


def note(text):
    with open(NOTES, "a", encoding="utf-8") as notes:
        notes.write(text + "\n")


def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def call(id, name, arguments):
    note(f"call {name}")
    match name:
        case "echo" | "grown":
            say({"id": id, "result": text(arguments.get("text", "nothing"))})
        case "read.me":
            say({"id": id, "result": text("read")})
        case "number":
            say({"id": id, "result": {"content": [], "structuredContent": arguments}})
        case "die":
            os._exit(7)
        case "die_and_leave":  # somebody else keeps our output open
            note(f"child {subprocess.Popen(['sleep', '1000']).pid}")
            os._exit(7)
        case "last_words":
            say({"id": id, "result": text("farewell")})
            os._exit(0)
        case "hang":
            pass
        case "huge":
            say({"id": id, "result": text("x" * 10_000_000)})
        case "shapeless":
            say({"id": id, "result": {"content": [{"type": "text"}], "isError": "perhaps"}})
        case "garbled":
            sys.stdout.write(f'{{"jsonrpc": "2.0", "id": {id}, "result"\n{{"id": {id}}}\n')
            sys.stdout.flush()
        case "fail":
            say({"id": id, "result": {**text("there is no such thing"), "isError": True}})
        case "grow":
            TOOLS[:] = [tool for tool in TOOLS if tool["name"] != "echo"]
            TOOLS.append({"name": "grown", "inputSchema": ANYTHING})
            say({"id": id, "result": text("bigger")})
            say({"method": "notifications/tools/list_changed"})
        case _:
            say({"id": id, "error": {"code": -32602, "message": f"Unknown tool: {name}"}})


def answer(message):
    id, params = message.get("id"), message.get("params") or {}
    match message.get("method"):
        case "initialize":
            if MANNER == "silent":
                return
            if MANNER == "slow":
                time.sleep(0.5)
            say({"id": id, "result": {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "odd", "version": "1"}}})
        case "tools/list":
            say({"id": id, "result": {"tools": TOOLS + (LIES if MANNER == "lying" else [])}})
        case "tools/call":
            call(id, params["name"], params.get("arguments") or {})
        case "notifications/cancelled":
            note(f"cancelled {params.get('reason')}")
        case "ping":
            say({"id": id, "result": {}})


note(f"start {os.getpid()}")
if MANNER == "broken":
    sys.exit("the thing that it needs is not there")
if MANNER == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(f"child {subprocess.Popen(['sleep', '1000']).pid}")
if MANNER == "telling":
    note("environment " + " ".join(sorted(os.environ)) + " in " + os.getcwd())
print("this is not JSON-RPC", flush=True)
for line in sys.stdin:
    answer(json.loads(line))
note("end of input")
while MANNER == "stubborn":
    time.sleep(1)
