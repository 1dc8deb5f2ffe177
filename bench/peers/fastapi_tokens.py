"""The peer of the token benchmark: what a team writes with FastAPI on its first day.

One socket a chat; a message is answered with 200 tokens of six characters, one frame each, and the whole answer.
"""

import os

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
TOKENS = int(os.environ.get("TOKENS", "200"))


@app.websocket("/ws/{session_id}")
async def chat(websocket: WebSocket, session_id: str) -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive_json()
            await websocket.send_json({"type": "user", "content": message["content"]})
            text = ""
            for number in range(TOKENS):
                token = f"t{number % 1000:04d} "
                text += token
                await websocket.send_json({"type": "agent_partial", "delta": token})
            await websocket.send_json({"type": "agent", "content": text, "diagram": None})
    except WebSocketDisconnect:
        pass
