"""A stop from another tab reaches the provider: its socket is closed, and what was said is kept."""

import asyncio
import json
import time
import unittest
import uuid

import websockets

from .server import Server
from .test_session_chat import receive, receive_until

WITHIN_MS = 100


class EndlessProvider:
    """Speaks like OpenAI, one word every 10 ms, and never ends. Notes when its client goes away."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> "EndlessProvider":
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        words = asyncio.create_task(self.talk(writer))
        # The end of the request's direction is the client going away.
        try:
            await reader.read(1)
        except ConnectionResetError:
            pass
        self.gone.set_result(time.monotonic())
        words.cancel()
        writer.close()

    async def talk(self, writer: asyncio.StreamWriter) -> None:
        while True:
            choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "endless", "choices": [choice]}
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(0.01)


class Stop(unittest.IsolatedAsyncioTestCase):
    async def test_a_stop_from_another_tab_closes_the_providers_socket(self) -> None:
        async with EndlessProvider() as provider:
            env = {
                "TIDEWIRE_MODEL": "openai/endless",
                "TIDEWIRE_PROVIDER_BASE_URL": f"http://127.0.0.1:{provider.port}/v1/",
                "OPENAI_API_KEY": "none",
            }
            server = await asyncio.to_thread(Server(env=env).__enter__)
            self.addCleanup(server.__exit__)
            await self.stop_it(server, provider)

    async def stop_it(self, server: Server, provider: EndlessProvider) -> None:
        session = f"stop-{uuid.uuid4()}"
        async with websockets.connect(server.url(session)) as tab, websockets.connect(server.url(session)) as other:
            await tab.send(json.dumps({"content": "talk", "partials": "delta"}))
            for _ in range(20):
                await receive(tab)
            stopped_at = time.monotonic()
            await other.send(json.dumps({"stop": True}))
            gone_at = await asyncio.wait_for(provider.gone, timeout=10)
            answer = (await receive_until(tab, "agent"))[-1]
        took = (gone_at - stopped_at) * 1000
        print(f"the provider's socket was closed {took:.1f} ms after the stop frame")
        self.assertLessEqual(took, WITHIN_MS)
        self.assertEqual(answer["status"], "stopped")
        self.assertTrue(answer["content"].startswith("word word "))
        self.assertGreater(answer["usage"]["output_tokens"], 0)
