"""An MCP server for tests over streamable HTTP, made with the official SDK: far.py TOKEN. Prints its port."""

import os
import socket
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("far")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def die() -> str:
    """Ends the server."""
    os._exit(7)


def guarded(app):
    """Lets nobody in who does not know the token."""
    expected = f"Bearer {sys.argv[1]}".encode()

    async def guard(scope, receive, send):
        if scope["type"] == "http" and dict(scope["headers"]).get(b"authorization") != expected:
            await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return guard


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(guarded(server.streamable_http_app()), log_level="warning")
uvicorn.Server(config).run(sockets=[listener])
