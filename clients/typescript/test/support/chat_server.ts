//! A chat service in memory: keeps each chat's log, runs each message once, and resumes. It can be told to cut.

import { type Clock, type Transport } from "@tidewire/schematic-runtime";
import { memoryTransport, type MemoryPeer } from "@tidewire/schematic-runtime/testing";

type Body = Record<string, unknown>;

interface Entry {
  readonly seq: number;
  readonly frames: readonly { readonly type: string; readonly data: Body }[];
}

class Chat {
  /** What was thought aloud; pieces that begin with `~` are. */
  thoughts = "";
  readonly log: Entry[] = [];
  readonly messages = new Map<string, string>();
  readonly readers = new Map<MemoryPeer, number>();
  running: string | undefined;
  stopped = false;
  epoch = 1;
  runs = 0;
  constructor(readonly runId: string) {}

  get seq(): number {
    return this.log.at(-1)?.seq ?? 0;
  }
}

/** A server that answers each question with pieces, one every so often. */
export class ChatServer {
  readonly transport: Transport;
  readonly received: Body[] = [];
  readonly chats = new Map<string, Chat>();
  links = 0;
  /** Refuses every question with this code. */
  refusing: string | undefined;
  offline = false;
  readonly #peers = new Set<MemoryPeer>();

  constructor(
    readonly clock: Clock,
    readonly pieces: (question: string) => readonly string[],
    readonly step_ms = 10,
  ) {
    this.transport = memoryTransport((peer) => this.#serve(peer));
  }

  #serve(peer: MemoryPeer): void {
    this.links += 1;
    if (this.offline) return peer.cut();
    peer.accept();
    this.#peers.add(peer);
    peer.onclosed = () => this.#leave(peer);
    peer.onframe = (frame) => {
      const body = JSON.parse(String(frame)) as Body;
      this.received.push(body);
      this.#hear(peer, body);
    };
  }

  #leave(peer: MemoryPeer): void {
    this.#peers.delete(peer);
    for (const chat of this.chats.values()) chat.readers.delete(peer);
  }

  cut(): void {
    for (const peer of [...this.#peers]) {
      peer.cut();
      this.#leave(peer);
    }
  }

  close(code: number): void {
    for (const peer of [...this.#peers]) {
      peer.close(code);
      this.#leave(peer);
    }
  }

  /** The log without what was thought aloud, as it is kept when an answer has ended. */
  collapse(runId: string): void {
    const chat = this.chats.get(runId);
    if (chat) chat.log.splice(0, chat.log.length, ...chat.log.filter(({ frames }) => frames[0]?.type !== "thinking"));
  }

  /** Sends a frame to everybody. */
  say(frame: Body): void {
    for (const peer of this.#peers) peer.send(JSON.stringify(frame));
  }

  #hear(peer: MemoryPeer, body: Body): void {
    const runId = String(body["runId"]);
    switch (body["type"]) {
      case "ping":
        return peer.send(JSON.stringify({ type: "pong", data: {} }));
      case "stop": {
        const chat = this.chats.get(runId);
        if (chat) chat.stopped = true;
        return;
      }
      case "new_chat": {
        if (this.refusing !== undefined) return this.#refuse(peer, runId, this.refusing);
        const chat = this.chats.get(runId) ?? new Chat(runId);
        this.chats.set(runId, chat);
        this.#accept(chat, runId, (body["messages"] as Body[]).at(-1)?.["content"] as string);
        return this.#follow(peer, chat, 0, undefined);
      }
      case "resume_chat": {
        const chat = this.chats.get(runId);
        if (!chat) return this.#refuse(peer, runId, "not_found");
        const message = body["newMessage"] as Body | undefined;
        if (message) this.#accept(chat, String(message["id"]), String(message["content"]));
        const after = body["afterSeq"] as number | undefined;
        if (chat.readers.has(peer) && after === undefined && message) return;
        const from = after ?? (message ? this.#place(chat, String(message["id"])) : 0);
        return this.#follow(peer, chat, from, body["epoch"] as number | undefined);
      }
    }
  }

  #place(chat: Chat, id: string): number {
    return (chat.log.find(({ frames }) => frames[0]?.data["messageId"] === id)?.seq ?? 1) - 1;
  }

  #refuse(peer: MemoryPeer, runId: string, code: string): void {
    peer.send(JSON.stringify({ type: "error", data: { message: `not now: ${code}`, code, runId, retryable: code === "draining" } }));
    peer.send(JSON.stringify({ type: "end", data: { runId } }));
  }

  #follow(peer: MemoryPeer, chat: Chat, after: number, epoch: number | undefined): void {
    const reset = after > chat.seq || (epoch !== undefined && epoch !== chat.epoch);
    const afterSeq = reset ? 0 : after;
    const status = chat.running ? "running" : "idle";
    const run = { runId: chat.runId, chatId: `id-${chat.runId}`, epoch: chat.epoch, afterSeq, lastSeq: chat.seq, reset, status };
    peer.send(JSON.stringify({ type: "run", data: run }));
    for (const { seq, frames } of chat.log) if (seq > afterSeq) for (const frame of frames) peer.send(JSON.stringify(frame));
    if (!chat.running && afterSeq >= chat.seq) peer.send(JSON.stringify({ type: "end", data: { runId: chat.runId, seq: chat.seq } }));
    chat.readers.set(peer, chat.seq);
  }

  #accept(chat: Chat, id: string, content: string): void {
    if (chat.messages.has(id)) return;
    const answerId = `answer-${chat.runId}-${(chat.runs += 1)}`;
    chat.messages.set(id, answerId);
    chat.running = answerId;
    chat.stopped = false;
    this.#tell(chat, answerId, (seq) => [frame("message", { content, messageId: id, timestamp: "2026-01-02T03:04:05Z" }, chat, answerId, seq)]);
    this.#tell(chat, answerId, (seq) => [frame("workflow_step", { step: "retrieve" }, chat, answerId, seq)]);
    const source = { id: "1", title: "Keys", source: "keys.md", relevanceScore: 0.9 };
    this.#tell(chat, answerId, (seq) => [frame("sources", { sources: [source] }, chat, answerId, seq)]);
    this.#later(chat, answerId, [...this.pieces(content)], "");
  }

  #later(chat: Chat, answerId: string, pieces: string[], text: string): void {
    this.clock.after(this.step_ms, () => {
      const piece = chat.stopped ? undefined : pieces.shift();
      if (piece === undefined) return this.#end(chat, answerId, text);
      if (piece.startsWith("~")) {
        chat.thoughts += piece.slice(1);
        this.#tell(chat, answerId, (seq) => [frame("thinking", { thinking: piece.slice(1) }, chat, answerId, seq)]);
        return this.#later(chat, answerId, pieces, text);
      }
      this.#tell(chat, answerId, (seq) => [frame("text", { delta: piece }, chat, answerId, seq)]);
      this.#later(chat, answerId, pieces, text + piece);
    });
  }

  #end(chat: Chat, answerId: string, text: string): void {
    chat.running = undefined;
    const cost = { executionTimeMs: 0, inputTokens: 0, outputTokens: 0, status: chat.stopped ? "stopped" : "finished", ...(chat.thoughts === "" ? {} : { thinking: chat.thoughts }) };
    this.#tell(chat, answerId, (seq) => [
      frame("final", cost, chat, answerId, seq - 1),
      frame("text", { text }, chat, answerId, seq - 1),
      frame("end", {}, chat, answerId, seq),
    ]);
  }

  #tell(chat: Chat, _answerId: string, make: (seq: number) => { type: string; data: Body }[]): void {
    const entry = { seq: chat.seq + 1, frames: make(chat.seq + 1) };
    chat.log.push(entry);
    for (const peer of chat.readers.keys()) for (const each of entry.frames) peer.send(JSON.stringify(each));
  }
}

function frame(type: string, data: Body, { runId }: Chat, answerId: string, seq: number): { type: string; data: Body } {
  return { type, data: { ...data, runId, answerId, seq } };
}
