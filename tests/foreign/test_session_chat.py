"""What the founding documents 002 and 003 say a client sees, with the `websockets` package, unmodified."""

import asyncio
import json
import unittest
import uuid

import websockets

from .server import Server

SECONDS = 60


async def receive(ws) -> dict:
    return json.loads(await asyncio.wait_for(ws.recv(), timeout=SECONDS))


async def receive_until(ws, kind: str) -> list[dict]:
    """All frames up to and with the first one of this type."""
    frames = []
    while not frames or frames[-1]["type"] != kind:
        frames.append(await receive(ws))
    return frames


class ReactHook:
    """The state of the documents' `useWebSocket`: a partial replaces the partial, an answer removes it."""

    def __init__(self) -> None:
        self.messages: list[dict] = []

    def on_message(self, frame: dict) -> None:
        if frame["type"] == "agent_partial":
            found = [i for i, m in enumerate(self.messages) if m["type"] == "agent_partial"]
            if found:
                self.messages[found[0]] = frame
            else:
                self.messages.append(frame)
        elif frame["type"] == "agent":
            self.messages = [m for m in self.messages if m["type"] != "agent_partial"] + [frame]
        else:
            self.messages.append(frame)


class SessionChat(unittest.IsolatedAsyncioTestCase):
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server().__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def connect(self, session: str | None = None, **options):
        return websockets.connect(self.server.url(session or f"test-{uuid.uuid4()}"), **options)

    async def test_a_message_is_echoed_first(self) -> None:
        async with self.connect() as ws:
            await ws.send(json.dumps({"content": "Hello"}))
            first = await receive(ws)
            self.assertEqual((first["type"], first["content"]), ("user", "Hello"))

    async def test_partials_stream_before_the_whole_answer(self) -> None:
        async with self.connect() as ws:
            await ws.send(json.dumps({"content": "List all tables"}))
            frames = await receive_until(ws, "agent")
        kinds = [frame["type"] for frame in frames]
        self.assertEqual(kinds[0], "user")
        self.assertIn("agent_partial", kinds)
        self.assertIn("tool", kinds)
        self.assertEqual(kinds[-1], "agent")
        self.assertIn("factv_purchase_order", frames[-1]["content"])

    async def test_partials_grow_and_the_answer_replaces_them(self) -> None:
        hook = ReactHook()
        async with self.connect() as ws:
            await ws.send(json.dumps({"content": "How are purchase orders related to suppliers?"}))
            shown = ""
            for _ in range(1000):
                frame = await receive(ws)
                hook.on_message(frame)
                if frame["type"] == "agent_partial":
                    self.assertTrue(frame["content"].startswith(shown), "a partial forgot what was shown")
                    shown = frame["content"]
                if frame["type"] == "agent":
                    break
        self.assertTrue(hook.messages[-1]["content"].startswith(shown))
        self.assertEqual([m["type"] for m in hook.messages if m["type"] not in ("tool",)], ["user", "agent"])
        self.assertTrue(hook.messages[-1]["diagram"].startswith("erDiagram"))
        known = {"user", "agent", "agent_partial", "tool", "error", "ping"}
        self.assertLessEqual({m["type"] for m in hook.messages}, known)

    async def test_an_empty_message_is_an_error_and_the_connection_goes_on(self) -> None:
        async with self.connect() as ws:
            await ws.send(json.dumps({"content": ""}))
            error = await receive(ws)
            self.assertEqual((error["type"], error["content"]), ("error", "Empty message"))
            await ws.send("this is not JSON")
            error = await receive(ws)
            self.assertEqual((error["type"], error["content"]), ("error", "Invalid JSON format"))
            await ws.send(json.dumps({"content": "List all tables"}))
            self.assertEqual((await receive_until(ws, "agent"))[0]["type"], "user")

    async def test_an_invalid_session_closes_with_4001(self) -> None:
        async with self.connect("not%20a%20session") as ws:
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await receive(ws)
        self.assertEqual(closed.exception.rcvd.code, 4001)

    async def test_a_foreign_origin_closes_with_4003(self) -> None:
        async with self.connect(origin="https://evil.example") as ws:
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await receive(ws)
        self.assertEqual(closed.exception.rcvd.code, 4003)

    async def test_a_second_tab_sees_the_first_ones_answer(self) -> None:
        session = f"tabs-{uuid.uuid4()}"
        async with self.connect(session) as first, self.connect(session) as second:
            await second.send(json.dumps({"after_seq": 0}))
            await first.send(json.dumps({"content": "List all tables"}))
            mine = (await receive_until(first, "agent"))[-1]
            theirs = (await receive_until(second, "agent"))[-1]
        self.assertEqual(mine["content"], theirs["content"])

    async def test_a_lost_socket_loses_nothing(self) -> None:
        session = f"lost-{uuid.uuid4()}"
        async with self.connect(session) as ws:
            await ws.send(json.dumps({"content": "List all tables", "message_id": "m1"}))
            seen = (await receive(ws))["seq"]
        async with self.connect(session) as ws:
            await ws.send(json.dumps({"after_seq": seen}))
            answer = (await receive_until(ws, "agent"))[-1]
        self.assertIn("factv_purchase_order", answer["content"])


if __name__ == "__main__":
    unittest.main()
