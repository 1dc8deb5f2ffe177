"""The peer of the fan-out benchmark: the loop over all connections that FastAPI's own documentation shows."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
connections: list[WebSocket] = []


@app.websocket("/api/ws")
async def subscribe(websocket: WebSocket) -> None:
    await websocket.accept()
    connections.append(websocket)
    try:
        while True:
            message = await websocket.receive_text()
            for connection in connections:
                if connection is not websocket:
                    await connection.send_text(message)
    except WebSocketDisconnect:
        connections.remove(websocket)
