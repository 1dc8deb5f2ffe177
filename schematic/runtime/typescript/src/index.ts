//! What generated TypeScript clients stand on: everything that they and their users need by name.

export * from "./clock.js";
export * from "./connection.js";
export * from "./correlate.js";
export * from "./credential.js";
export * from "./endpoint.js";
export * from "./emitter.js";
export * from "./errors.js";
export * from "./inbox.js";
export * from "./lifecycle.js";
export * from "./messages.js";
export * from "./outbox.js";
export * from "./policy.js";
export * from "./pulse.js";
export * from "./rate.js";
export * as shape from "./shape.js";
export type { AnyShape, Member, Place, Shape } from "./shape.js";
export * from "./target.js";
export * from "./transport.js";
export * from "./wake.js";
