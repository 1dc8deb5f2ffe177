//! Tidewire's client: conversations that survive a lost connection.

export * from "./session_chat.js";
export { SchematicError, webSocketTransport, type ConnectionPolicy, type ErrorKind, type Transport } from "@tidewire/schematic-runtime";
export type {
  Agent,
  AgentPartial,
  AgentStatus,
  CanvasTrigger,
  CurrentRun,
  ErrorCode,
  Metrics,
  Ready,
  Reasoning,
  Run,
  RunStatus,
  Tool,
  ToolCall,
  Usage,
  User,
} from "./generated/session_chat.js";
