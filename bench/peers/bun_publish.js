// The peer of the fan-out benchmark: what is sent by one is published to all by Bun's own `publish`.
const port = Number(process.env.PORT);

Bun.serve({
  port,
  hostname: "127.0.0.1",
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("a WebSocket is spoken here", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe("bench");
    },
    message(socket, message) {
      socket.publish("bench", message);
    },
  },
});
