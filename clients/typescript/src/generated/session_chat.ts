//! Wire types of SessionChat and how they are read and written.

export type Partials = "snapshot" | "delta" | (string & {});

export type AgentStatus = "finished" | "stopped" | "failed" | "interrupted" | (string & {});

export type RunStatus = "queued" | "running" | (string & {});

export type ErrorCode = "RATE_LIMITED" | "REQUEST_TIMEOUT" | "TOOL_EXECUTION_FAILED" | "VALIDATION_ERROR" | "BACKEND_ERROR" | "AUTH_FAILED" | (string & {});

export type CanvasAction = "switch_view" | "new_analysis" | "none" | (string & {});

export type ViewType = "er_diagram" | "table_list" | "relationship_graph" | (string & {});

export interface SendMessage {
  content: string;
  message_id?: string;
  after_seq?: number;
  epoch?: number;
  partials?: Partials;
}

export interface Stop {
  stop: boolean;
  run_id?: string;
}

export interface Resume {
  after_seq: number;
  epoch?: number;
  partials?: Partials;
}

export interface Pong {
}

export interface User {
  content: string;
  message_id?: string;
  run_id: string;
  seq: number;
  timestamp: string;
}

export interface AgentPartial {
  content?: string;
  delta?: string;
  run_id: string;
  seq: number;
}

export interface Tool {
  content: string;
  tool_name: string;
  call_id: string;
  run_id: string;
  duration_ms: number;
  is_error?: boolean;
  seq: number;
}

export interface Agent {
  content: string;
  diagram: string | null;
  canvas_trigger?: CanvasTrigger;
  metrics?: Metrics;
  timestamp: string;
  status: AgentStatus;
  usage?: Usage;
  run_id: string;
  seq: number;
}

export interface Error {
  content: string;
  code: ErrorCode;
  retry_after_ms?: number;
  timeout_ms?: number;
  tool_name?: string;
  trace_id?: string;
  field?: string;
  requires_action?: string;
  run_id?: string;
  message_id?: string;
  retryable?: boolean;
  seq?: number;
}

export interface Ping {
}

export interface Ready {
  session_id: string;
  chat_id: string;
  epoch: number;
  last_seq: number;
  reset: boolean;
  run: CurrentRun | null;
}

export interface Run {
  run_id: string;
  status: RunStatus;
  position?: number;
  seq: number;
}

export interface ToolCall {
  call_id: string;
  tool_name: string;
  arguments: unknown;
  run_id: string;
  seq: number;
}

export interface Reasoning {
  delta: string;
  run_id: string;
  seq: number;
}

export interface CurrentRun {
  run_id: string;
  status: RunStatus;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
}

export interface CanvasTrigger {
  action: CanvasAction;
  view_type?: ViewType;
  entity_name?: string;
  query?: string;
  reason: string;
  confidence?: number;
}

export interface Metrics {
  total_tables: number;
  total_columns: number;
  facts_count: number;
  dimensions_count: number;
  quality_score?: number;
  relationships_count?: number;
  schema_name?: string;
  as_of?: string;
  is_stale?: boolean;
}

export interface UnknownMessage {
  readonly name: "Unknown";
  readonly tag?: string;
  readonly raw: string | Uint8Array;
}

export type ClientMessage =
  | { readonly name: "SendMessage"; readonly body: SendMessage }
  | { readonly name: "Stop"; readonly body: Stop }
  | { readonly name: "Resume"; readonly body: Resume }
  | { readonly name: "Pong"; readonly body: Pong }
  | UnknownMessage;

export type ServerMessage =
  | { readonly name: "User"; readonly body: User }
  | { readonly name: "AgentPartial"; readonly body: AgentPartial }
  | { readonly name: "Tool"; readonly body: Tool }
  | { readonly name: "Agent"; readonly body: Agent }
  | { readonly name: "Error"; readonly body: Error }
  | { readonly name: "Ping"; readonly body: Ping }
  | { readonly name: "Ready"; readonly body: Ready }
  | { readonly name: "Run"; readonly body: Run }
  | { readonly name: "ToolCall"; readonly body: ToolCall }
  | { readonly name: "Reasoning"; readonly body: Reasoning }
  | UnknownMessage;

const SERVER: Readonly<Record<string, string>> = {
  user: "User",
  agent_partial: "AgentPartial",
  tool: "Tool",
  agent: "Agent",
  error: "Error",
  ping: "Ping",
  ready: "Ready",
  run: "Run",
  tool_call: "ToolCall",
  reasoning: "Reasoning",
};

export function decodeServerMessage(frame: string | Uint8Array): ServerMessage {
  const { type, ...body } = JSON.parse(String(frame)) as { type?: unknown };
  const name = typeof type === "string" ? SERVER[type] : undefined;
  if (name === undefined) return { name: "Unknown", raw: frame, ...(typeof type === "string" ? { tag: type } : {}) };
  return { name, body } as unknown as ServerMessage;
}

export function encodeClientMessage(message: ClientMessage): string | Uint8Array {
  if (message.name === "Unknown") return message.raw;
  return JSON.stringify(message.name === "Pong" ? { type: "pong" } : message.body);
}
