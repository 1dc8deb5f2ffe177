//! What may be asked, and what is wrong with it before it is sent.

import type { ChatMessage, ChatOptions, ToolSpec } from "../generated/chat_service.js";
import { ChatServiceError } from "./events.js";

/** What every request may say about its answer. */
export interface Manner {
  readonly options?: ChatOptions | undefined;
  /** False: one event of each kind, when the answer is there. */
  readonly stream?: boolean | undefined;
  /** What becomes of the question while another one is being answered. Default: "reject" */
  readonly whileRunning?: "reject" | "queue" | "interrupt" | "steer" | undefined;
  /** Tools of this client for this answer. */
  readonly tools?: readonly ToolSpec[] | undefined;
}

/** A question that opens a chat. */
export interface ChatRequest extends Manner {
  /** The subject of the key; without keys any label. */
  readonly userId: string;
  /** What was said so far, oldest first, and the question, a user's, at the end. */
  readonly messages: readonly ChatMessage[];
  /** The chat's name; without it, one is made. */
  readonly runId?: string | undefined;
}

/** A wish to go on with a chat. */
export interface ResumeRequest extends Manner {
  readonly runId: string;
  /** What is asked further. */
  readonly newMessage?: ChatMessage | undefined;
  /** The highest sequence number seen. Without it: with `newMessage` the answer to it, else everything. */
  readonly afterSeq?: number | undefined;
  /** The epoch that `afterSeq` belongs to. */
  readonly epoch?: number | undefined;
}

type Fault = { path: string; message: string };
type Rule = readonly [what: string, fits: (value: unknown) => boolean];

const TEXT: Rule = ["takes text that is not empty", (v) => typeof v === "string" && v.trim() !== ""];
const NAME: Rule = ["takes 1 to 128 of the characters A-Z a-z 0-9 . _ -", (v) => /^[\w.-]{1,128}$/.test(String(v))];
const TRUTH: Rule = ["takes true or false", (v) => typeof v === "boolean"];
const ROLE: Rule = ["takes user, assistant or system", (v) => ["user", "assistant", "system"].includes(v as string)];
const COUNT: Rule = ["takes a whole number from 0 on", (v) => Number.isSafeInteger(v) && Number(v) >= 0];

function whole(most: number): Rule {
  return [`takes a whole number from 1 to ${most}`, (v) => Number.isInteger(v) && Number(v) >= 1 && Number(v) <= most];
}

/** The rules of members that may be there, by name. */
const OPTIONS: Readonly<Record<string, Rule>> = {
  enhanceWithContext: TRUTH,
  maxContextItems: whole(50),
  includeSourceInfo: TRUTH,
  maxTokens: whole(131_072),
  temperature: ["takes a number from 0 to 2", (v) => typeof v === "number" && v >= 0 && v <= 2],
  modelId: TEXT,
};

class Faults {
  readonly list: Fault[] = [];

  check(path: string, value: unknown, [what, fits]: Rule, required = true): void {
    if (value === undefined ? required : !fits(value)) this.list.push({ path, message: value === undefined ? `is missing; it ${what}` : what });
  }

  message(path: string, message: Partial<ChatMessage> | null | undefined): void {
    this.check(`${path}.role`, message?.role, ROLE);
    this.check(`${path}.content`, message?.content, TEXT);
  }

  question(path: string, message: Partial<ChatMessage> | null | undefined): void {
    if (message?.role === "assistant" || message?.role === "system") this.list.push({ path: `${path}.role`, message: "takes user: it is the question" });
  }

  manner({ options = {}, stream }: Manner): void {
    this.check("stream", stream, TRUTH, false);
    for (const [name, rule] of Object.entries(OPTIONS)) this.check(`options.${name}`, (options as Record<string, unknown>)[name], rule, false);
  }

  /** Fails with everything that was found. */
  done(): void {
    const [first] = this.list;
    if (first) throw new ChatServiceError({ message: `${first.path} ${first.message}`, code: "invalid", field: first.path, fields: this.list });
  }
}

/** Fails unless the server would take this. */
export function checkNew(request: ChatRequest): void {
  const faults = new Faults();
  faults.check("userId", request.userId, TEXT);
  faults.check("messages", request.messages, ["takes at least one message", (v) => Array.isArray(v) && v.length > 0]);
  if (Array.isArray(request.messages)) {
    request.messages.forEach((message, at) => faults.message(`messages.${at}`, message));
    faults.question(`messages.${request.messages.length - 1}`, request.messages.at(-1));
  }
  faults.check("runId", request.runId, NAME, false);
  faults.manner(request);
  faults.done();
}

/** Fails unless the server would take this. */
export function checkResume(request: ResumeRequest): void {
  const faults = new Faults();
  faults.check("runId", request.runId, NAME);
  if (request.newMessage !== undefined) {
    faults.message("newMessage", request.newMessage);
    faults.question("newMessage", request.newMessage);
  }
  faults.check("afterSeq", request.afterSeq, COUNT, false);
  faults.check("epoch", request.epoch, COUNT, false);
  faults.manner(request);
  faults.done();
}
