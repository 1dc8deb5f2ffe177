//! What an answer tells: as callbacks, or as a stream of events.

import type {
  ApprovalData,
  ErrorData,
  FinalData,
  MessageData,
  RunData,
  Source,
  ToolData,
} from "../generated/chat_service.js";

/** What the server, or this client, could not do; the message says why and what to do, in a sentence. */
export class ChatServiceError extends Error {
  override readonly name = "ChatServiceError";
  /** A word such as `invalid`, `not_found` or `conflict`; `connection` where the server could not be reached. */
  readonly code: string;
  /** The first member that is wrong, as `messages.0.role`. */
  readonly field: string | undefined;
  /** Every member that is wrong. */
  readonly fields: readonly { readonly path: string; readonly message: string }[];
  /** Whether the same may work later. */
  readonly retryable: boolean;
  /** When to come back, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** The call that was not answered. */
  readonly callId: string | undefined;

  constructor({ message, code, field, fields = [], retryable = false, retryAfterMs, callId }: Partial<ErrorData>) {
    super(message);
    this.code = code ?? "internal";
    this.field = field;
    this.fields = fields;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.callId = callId;
  }
}

/** One thing that happens while an answer is given. */
export type ChatEvent =
  /** The answer so far, whole. */
  | { readonly type: "text"; readonly text: string; readonly answerId: string }
  | { readonly type: "sources"; readonly sources: readonly Source[] }
  | { readonly type: "workflow_step"; readonly step: string }
  /** A piece of what the model thinks, to append. */
  | { readonly type: "thinking"; readonly thinking: string }
  | { readonly type: "final"; readonly final: FinalData }
  | { readonly type: "error"; readonly error: ChatServiceError }
  /** A question of the chat was accepted. */
  | { readonly type: "message"; readonly message: MessageData }
  /** A tool is called; with status `requested`, answer with `sendToolResult`. */
  | { readonly type: "tool"; readonly tool: ToolData }
  /** A call waits for a person; with status `requested`, answer with `approve`. */
  | { readonly type: "approval"; readonly approval: ApprovalData }
  /** Where the chat stands; with `reset`, what was told of it is void and comes again. */
  | { readonly type: "run"; readonly run: RunData }
  /** Nothing comes after it. */
  | { readonly type: "end" };

/** What is called while an answer is given. Each may be left out. */
export interface WebSocketCallbacks {
  /** The answer so far, whole. */
  onText?(text: string): void;
  onSources?(sources: readonly Source[]): void;
  onWorkflowStep?(step: string): void;
  /** A piece of what the model thinks, to append. */
  onThinking?(thinking: string): void;
  /** What the answer cost; called also when that was nothing. */
  onFinal?(final: FinalData): void;
  onError?(error: ChatServiceError): void;
  /** Exactly once, and last, whatever happened. */
  onEnd?(): void;
  /** A question of the chat was accepted. */
  onMessage?(message: MessageData): void;
  /** A tool is called; with status `requested`, answer with `sendToolResult`. */
  onTool?(tool: ToolData): void;
  /** A call waits for a person; with status `requested`, answer with `approve`. */
  onApproval?(approval: ApprovalData): void;
  /** Where the chat stands; with `reset`, what was told of it is void and comes again. */
  onRun?(run: RunData): void;
}

/** The names of all callbacks. It is a value too, so that importing it beside the client works with every compiler. */
export const WebSocketCallbacks: readonly (keyof WebSocketCallbacks)[] = [
  "onText", "onSources", "onWorkflowStep", "onThinking", "onFinal", "onError", "onEnd", "onMessage", "onTool", "onApproval", "onRun",
];

/** Calls what is there for an event. */
export function call(callbacks: WebSocketCallbacks, event: ChatEvent): void {
  switch (event.type) {
    case "text":
      return callbacks.onText?.(event.text);
    case "sources":
      return callbacks.onSources?.(event.sources);
    case "workflow_step":
      return callbacks.onWorkflowStep?.(event.step);
    case "thinking":
      return callbacks.onThinking?.(event.thinking);
    case "final":
      return callbacks.onFinal?.(event.final);
    case "error":
      return callbacks.onError?.(event.error);
    case "message":
      return callbacks.onMessage?.(event.message);
    case "tool":
      return callbacks.onTool?.(event.tool);
    case "approval":
      return callbacks.onApproval?.(event.approval);
    case "run":
      return callbacks.onRun?.(event.run);
    case "end":
      return callbacks.onEnd?.();
  }
}
