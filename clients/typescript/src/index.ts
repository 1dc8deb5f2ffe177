//! Tidewire's client: conversations that survive a lost connection.

export * from "./session_chat.js";
export { SchematicError, webSocketTransport, type ConnectionPolicy, type ErrorKind, type Transport } from "@tidewire/schematic-runtime";
export type {
  Agent,
  AgentPartial,
  AgentStatus,
  Approval,
  ApprovalState,
  CanvasTrigger,
  CurrentRun,
  ErrorCode,
  Highlight,
  Metrics,
  Ready,
  Reasoning,
  Run,
  RunStatus,
  Source,
  Sources,
  Step,
  Tool,
  ToolCall,
  Usage,
  User,
} from "./generated/session_chat.js";
