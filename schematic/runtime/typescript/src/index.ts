//! What generated TypeScript clients stand on: everything that they and their users need by name.

export * from "./clock.js";
export * from "./connection.js";
export * from "./correlate.js";
export * from "./emitter.js";
export * from "./errors.js";
export * from "./inbox.js";
export * from "./outbox.js";
export * from "./policy.js";
export * from "./target.js";
export * from "./transport.js";
export * from "./wake.js";
