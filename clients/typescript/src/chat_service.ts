//! The chat service: questions over one's own material, answered with sources, over connections that come back.

export { createWebSocketClient, WebSocketClient, type Metrics, type WebSocketClientOptions } from "./chat/client.js";
export { ChatServiceError, WebSocketCallbacks, type ChatEvent } from "./chat/events.js";
export type { ChatRequest, Manner, ResumeRequest } from "./chat/request.js";
export { SchematicError, webSocketTransport } from "@tidewire/schematic-runtime";
export type {
  ApprovalData,
  ChatMessage,
  ChatOptions,
  FinalData,
  MessageData,
  RunData,
  Source,
  ToolData,
  ToolSpec,
} from "./generated/chat_service.js";
