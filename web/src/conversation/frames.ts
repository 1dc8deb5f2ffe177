//! What the server says in a conversation, as the page's reducer reads it.
//!
//! The shapes are those of the `session_chat` dialect. Connecting, reconnecting and asking for what was missed
//! belong to the client below; the reducer only ever sees frames that arrived.

/** How a run can end. */
export type Ending = 'finished' | 'stopped' | 'failed' | 'interrupted';

/** Which view the answer would like to see on the canvas, and how sure it is. */
export interface CanvasTrigger {
  action: 'switch_view' | 'new_analysis' | 'none';
  view_type?: 'er_diagram' | 'table_list' | 'relationship_graph';
  entity_name?: string;
  query?: string;
  reason: string;
  /** From 0 to 1; the page follows by itself from 0.6 on. */
  confidence?: number;
}

/** Tokens that a run has cost. */
export interface Usage {
  input_tokens: number;
  output_tokens: number;
}

/** Why something was refused or failed. */
export type ErrorCode =
  | 'RATE_LIMITED'
  | 'REQUEST_TIMEOUT'
  | 'TOOL_EXECUTION_FAILED'
  | 'VALIDATION_ERROR'
  | 'BACKEND_ERROR'
  | 'AUTH_FAILED';

export interface UserFrame {
  type: 'user';
  content: string;
  message_id?: string;
  run_id: string;
  seq: number;
  timestamp: string;
}

/** Either `content`, the whole text so far, or `delta`, text to append. */
export interface PartialFrame {
  type: 'agent_partial';
  content?: string;
  delta?: string;
  run_id: string;
  seq: number;
}

export interface ToolFrame {
  type: 'tool';
  /** JSON text of the result. */
  content: string;
  tool_name: string;
  call_id: string;
  run_id: string;
  duration_ms?: number;
  is_error?: boolean;
  seq: number;
}

export interface AgentFrame {
  type: 'agent';
  content: string;
  diagram?: string | null;
  canvas_trigger?: CanvasTrigger;
  timestamp?: string;
  status: Ending;
  usage?: Usage;
  run_id: string;
  seq: number;
}

export interface ErrorFrame {
  type: 'error';
  content: string;
  code?: ErrorCode;
  run_id?: string;
  message_id?: string;
  retryable?: boolean;
  retry_after_ms?: number;
  seq?: number;
}

export interface ReadyFrame {
  type: 'ready';
  session_id: string;
  chat_id: string;
  epoch: number;
  last_seq: number;
  /** True: forget what you have, history follows from the start. */
  reset: boolean;
  run: { run_id: string; status: 'queued' | 'running' } | null;
}

export interface RunFrame {
  type: 'run';
  run_id: string;
  status: 'queued' | 'running';
  /** Places before it in the queue. */
  position?: number;
  seq: number;
}

export interface ToolCallFrame {
  type: 'tool_call';
  call_id: string;
  tool_name: string;
  arguments: unknown;
  run_id: string;
  seq: number;
}

export interface ReasoningFrame {
  type: 'reasoning';
  delta: string;
  run_id: string;
  seq: number;
}

/** Everything that the page reacts to; the client answers `ping` itself. */
export type ServerFrame =
  | UserFrame
  | PartialFrame
  | ToolFrame
  | AgentFrame
  | ErrorFrame
  | ReadyFrame
  | RunFrame
  | ToolCallFrame
  | ReasoningFrame;
