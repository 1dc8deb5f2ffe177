//! One answer, over any number of connections: what is said for it on each, what is new of what is heard, and its end.
//!
//! It knows the last sequence number that it saw, and shows nothing twice. What is shown is one stream of events that
//! ends exactly once.

import type { ChatMessage, ClientMessage, EndData, RunData, ServerMessage, TextData } from "../generated/chat_service.js";
import { ChatServiceError, type ChatEvent } from "./events.js";
import type { ChatRequest, Manner, ResumeRequest } from "./request.js";

/** What asks for the answer. */
export type First = { readonly new: ChatRequest & { readonly runId: string } } | { readonly resume: ResumeRequest & { readonly newMessage?: ChatMessage & { readonly id: string } } };

/** An answer that is awaited. */
export class Answer {
  readonly runId: string;
  /** Whether its end is wished for. */
  stopping = false;
  readonly #first: First;
  readonly #tell: (event: ChatEvent) => void;
  /** The id of the message that it answers; none if it only follows. */
  readonly #messageId: string | undefined;
  /** Whether answers before its own are told too. */
  readonly #tellsEarlier: boolean;
  #seq: number;
  #epoch: number | undefined;
  /** What there was when the server said where the chat stands. */
  #lastSeq: number | undefined;
  /** Whether the server knows the chat. */
  #begun = false;
  #over = false;
  /** Its own answer, as soon as that is known. */
  #answerId: string | undefined;
  readonly #texts = new Map<string, string>();
  /** How much each answer has thought aloud. */
  readonly #thoughts = new Map<string, number>();
  /** Answers of which the cost was told. */
  readonly #costed = new Set<string>();
  /** The server is going away and has refused it; the next one will not. */
  #postponed = false;

  constructor(first: First, tell: (event: ChatEvent) => void) {
    this.#first = first;
    this.#tell = tell;
    const resume = "resume" in first ? first.resume : undefined;
    this.runId = "new" in first ? first.new.runId : first.resume.runId;
    this.#messageId = "new" in first ? first.new.runId : first.resume.newMessage?.id;
    this.#tellsEarlier = resume !== undefined && (this.#messageId === undefined || resume.afterSeq !== undefined);
    this.#seq = resume?.afterSeq ?? 0;
    this.#epoch = resume?.epoch;
  }

  /** Whether it was heard of before, so that the next request for it is a resume. */
  get begun(): boolean {
    return this.#begun;
  }

  /** What is said for it on a new connection. The server runs a message once, however often it hears of it. */
  request(): ClientMessage {
    const { options, stream, whileRunning, tools } = "new" in this.#first ? this.#first.new : this.#first.resume;
    const manner = given({ options, stream, whileRunning, tools, partials: "delta" }) as Manner;
    if ("new" in this.#first && !this.#begun) {
      const { userId, messages, runId } = this.#first.new;
      return { name: "NewChat", body: { userId, messages, runId, ...manner } as never };
    }
    const newMessage = "resume" in this.#first ? this.#first.resume.newMessage : undefined;
    const known = this.#begun || this.#seq > 0 || newMessage === undefined;
    const place = known ? { afterSeq: this.#seq, epoch: this.#epoch } : {};
    return { name: "ResumeChat", body: given({ runId: this.runId, newMessage, ...place, ...manner }) as never };
  }

  /** Takes what the server says of its chat. */
  hear(message: ServerMessage): void {
    if (this.#over) return;
    switch (message.name) {
      case "Run":
        return this.#run(message.body.data);
      case "Text":
        return this.#text(message.body.data);
      case "End":
        return this.#end(message.body.data);
      case "Error": {
        const { data } = message.body;
        if (data.callId === undefined && data.messageId !== undefined && data.messageId !== this.#messageId) return;
        // The socket will be closed in a moment, and the next server takes the question.
        this.#postponed = data.code === "draining" && data.answerId === undefined;
        if (!this.#postponed && this.#isMine(data.answerId)) this.#tell({ type: "error", error: new ChatServiceError(data) });
        return;
      }
      case "Final":
        return this.#cost(message.body.data);
      case "Message": {
        const { data } = message.body;
        if (data.messageId !== undefined && data.messageId === this.#messageId) this.#answerId = data.answerId;
        return this.#once(data, { type: "message", message: data });
      }
      case "Sources":
        return this.#whole(message.body.data, { type: "sources", sources: message.body.data.sources });
      case "WorkflowStep":
        return this.#once(message.body.data, { type: "workflow_step", step: message.body.data.step });
      case "Thinking":
        return this.#thought(message.body.data);
      case "Tool":
        return this.#once(message.body.data, { type: "tool", tool: message.body.data });
      case "Approval":
        return this.#once(message.body.data, { type: "approval", approval: message.body.data });
    }
  }

  /** It will not go on: tells why, if there is a reason, and the end. */
  give(error?: ChatServiceError): void {
    if (this.#over) return;
    if (error) this.#tell({ type: "error", error });
    this.#finish();
  }

  #run(run: RunData): void {
    this.#begun = true;
    this.#epoch = run.epoch;
    this.#lastSeq = run.lastSeq;
    if (run.reset) {
      this.#seq = run.afterSeq;
      this.#texts.clear();
      this.#thoughts.clear();
      this.#costed.clear();
    }
    this.#tell({ type: "run", run });
  }

  #text(data: TextData): void {
    const { text, delta, answerId, seq } = data;
    const before = this.#texts.get(answerId);
    // A whole text may come again with the number that was seen last, behind the cost.
    if (seq < this.#seq || (text === undefined && seq === this.#seq)) return;
    this.#saw(seq);
    const now = text ?? (before ?? "") + (delta ?? "");
    this.#texts.set(answerId, now);
    if (now !== before && this.#isMine(answerId)) this.#tell({ type: "text", text: now, answerId });
  }

  #cost(data: ServerMessageData<"Final">): void {
    if (this.#costed.has(data.answerId) || data.seq < this.#seq) return;
    this.#costed.add(data.answerId);
    this.#saw(data.seq);
    if (!this.#isMine(data.answerId)) return;
    const rest = this.#restOfThoughts(data);
    if (rest) this.#tell({ type: "thinking", thinking: rest });
    this.#tell({ type: "final", final: data });
  }

  #thought(data: ServerMessageData<"Thinking">): void {
    const { answerId, seq, thinking } = data;
    if (seq > this.#seq) this.#thoughts.set(answerId, (this.#thoughts.get(answerId) ?? 0) + thinking.length);
    this.#once(data, { type: "thinking", thinking });
  }

  /** The server keeps thoughts with the end of their answer. Who says where it was may have had them before. */
  #restOfThoughts({ answerId, thinking }: ServerMessageData<"Final">): string | undefined {
    const wasThere = "resume" in this.#first && (this.#first.resume.afterSeq ?? 0) > 0;
    return wasThere ? undefined : thinking?.slice(this.#thoughts.get(answerId) ?? 0);
  }

  /** What comes with the end of an answer that was not streamed has the number before it. */
  #whole(data: { readonly seq: number; readonly answerId: string }, event: ChatEvent): void {
    if ("new" in this.#first ? this.#first.new.stream !== false : this.#first.resume.stream !== false) return this.#once(data, event);
    if (data.seq < this.#seq) return;
    this.#saw(data.seq);
    if (this.#isMine(data.answerId)) this.#tell(event);
  }

  #once({ seq, answerId }: { readonly seq: number; readonly answerId: string }, event: ChatEvent): void {
    if (seq <= this.#seq) return;
    this.#saw(seq);
    if (this.#isMine(answerId)) this.#tell(event);
  }

  #end(data: EndData): void {
    if (this.#postponed) {
      this.#postponed = false;
      return;
    }
    if (data.answerId !== undefined) {
      if (data.seq !== undefined && data.seq <= this.#seq) return;
      this.#texts.delete(data.answerId);
      this.#thoughts.delete(data.answerId);
      this.#costed.delete(data.answerId);
    }
    if (data.seq !== undefined) this.#saw(data.seq);
    if (this.#isLast(data)) this.#finish();
  }

  #isLast({ answerId, messageId, seq }: EndData): boolean {
    if (answerId === undefined) return messageId === undefined || messageId === this.#messageId;
    if (this.#answerId !== undefined) return answerId === this.#answerId;
    // Who only follows has everything that there was when the following began, and so has who never saw its message.
    return this.#lastSeq !== undefined && (seq ?? this.#lastSeq) >= this.#lastSeq;
  }

  #finish(): void {
    this.#over = true;
    this.#tell({ type: "end" });
  }

  #isMine(answerId: string | undefined): boolean {
    return answerId === undefined || this.#tellsEarlier || answerId === this.#answerId;
  }

  #saw(seq: number): void {
    this.#begun = true;
    this.#seq = Math.max(this.#seq, seq);
  }
}

type ServerMessageData<Name extends ServerMessage["name"]> = Extract<ServerMessage, { readonly name: Name }> extends {
  readonly body: { data: infer Data };
}
  ? Data
  : never;

/** The object without what is undefined: an absent member is not a null one. */
function given(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
