//! What generated TypeScript clients of REST APIs stand on. An entry of its own, so that sockets do not pay for it.

export * from "./rest-body.js";
export * from "./rest-client.js";
export * from "./rest-items.js";
export * from "./rest-reply.js";
export * from "./rest-request.js";
export * as shape from "./shape.js";
