//! What a person has said and the server has not confirmed.
//!
//! A message stays until its `user` frame comes, however many connections that takes: it is sent again with the
//! same id, which the server runs once. A refused message is never sent again by itself.

import { SchematicError, type Outgoing } from "@tidewire/schematic-runtime";
import type { ClientMessage, SendMessage } from "./generated/session_chat.js";
import type { MessageOptions, OutboxItem, OutboxStatus } from "./session_chat.js";

/** What is said. */
export interface Words {
  readonly content: string;
  readonly options: MessageOptions;
}

interface Entry extends Words {
  readonly messageId: string;
  /** Its place in the connection's queue, if it has one. */
  outgoing: Outgoing<ClientMessage> | undefined;
  refused: boolean;
  /** The status that was told last. */
  told: OutboxStatus | undefined;
}

/** Queues a message on the connection; `undefined` if the connection takes none at the moment. */
export type Say = (body: SendMessage) => Outgoing<ClientMessage> | undefined;

/** The messages that are not delivered, oldest first. */
export class Outbox {
  readonly #entries = new Map<string, Entry>();
  readonly #newId: () => string;
  readonly #changed: () => void;
  #delivered: OutboxItem | undefined;

  constructor(newId: () => string, changed: () => void) {
    this.#newId = newId;
    this.#changed = changed;
  }

  /** What is not delivered, and last the message that has just been, if one has. */
  items(): readonly OutboxItem[] {
    const left = [...this.#entries.values()].map((entry) => item(entry, statusOf(entry)));
    return this.#delivered ? [...left, this.#delivered] : left;
  }

  /** Adds a message, unless it is there already. */
  add(words: Words, messageId: string | undefined, say: Say): string {
    const id = messageId ?? this.#newId();
    const known = this.#entries.get(id);
    if (known && !known.refused) return id;
    if (new TextEncoder().encode(id).length > 128) throw new SchematicError("shape", "Shorten the message id to 128 bytes");
    const entry: Entry = { ...words, messageId: id, outgoing: undefined, refused: false, told: undefined };
    // Saying it may fail, and then it is not there.
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    try {
      entry.outgoing = say(bodyOf(entry));
    } catch (thrown) {
      this.#entries.delete(id);
      if (known) this.#entries.set(id, known);
      throw thrown;
    }
    this.refresh();
    return id;
  }

  /** Takes a message back; false if it was sent already or is not there. */
  withdraw(messageId: string): boolean {
    const entry = this.#entries.get(messageId);
    if (!entry || statusOf(entry) === "sent") return false;
    entry.outgoing?.withdraw();
    return this.#remove(messageId);
  }

  /** The server has confirmed a message; false if it was not waited for. */
  deliver(messageId: string | undefined): boolean {
    const entry = messageId === undefined ? undefined : this.#entries.get(messageId);
    if (!entry) return false;
    entry.outgoing?.withdraw();
    this.#delivered = item(entry, "delivered");
    const removed = this.#remove(entry.messageId);
    this.#delivered = undefined;
    return removed;
  }

  #remove(messageId: string): boolean {
    const removed = this.#entries.delete(messageId);
    if (removed) this.#changed();
    return removed;
  }

  /** The server has refused a message; where it does not say which, `oldest` takes the one sent first. */
  refuse(messageId: string | undefined, oldest: boolean): void {
    const named = messageId === undefined ? undefined : this.#entries.get(messageId);
    const entry = named ?? (messageId === undefined && oldest ? this.#oldestSent() : undefined);
    if (!entry) return;
    entry.refused = true;
    this.refresh();
  }

  #oldestSent(): Entry | undefined {
    return [...this.#entries.values()].find((entry) => statusOf(entry) === "sent");
  }

  /** What has to be said again on a new connection; what the connection still holds is left to it. */
  unconfirmed(): ClientMessage[] {
    const again = [...this.#entries.values()].filter((entry) => !entry.refused && entry.outgoing?.status !== "queued");
    return again.map((entry) => {
      entry.outgoing = SENT;
      return { name: "SendMessage", body: bodyOf(entry) };
    });
  }

  /** Tells of messages whose status has changed. */
  refresh(): void {
    let changed = false;
    for (const entry of this.#entries.values()) {
      const status = statusOf(entry);
      changed ||= entry.told !== status;
      entry.told = status;
    }
    if (changed) this.#changed();
  }
}

/** Stands for a message that went out with the opening of a connection. */
const SENT: Outgoing<ClientMessage> = {
  message: { name: "Pong", body: {} },
  status: "sent",
  withdraw: () => false,
};

function statusOf(entry: Entry): OutboxStatus {
  if (entry.refused) return "refused";
  return entry.outgoing?.status === "sent" ? "sent" : "queued";
}

function bodyOf({ content, messageId, options: { model, agent, confirmTools } }: Entry): SendMessage {
  return {
    content,
    message_id: messageId,
    ...(model === undefined ? {} : { model }),
    ...(agent === undefined ? {} : { agent }),
    ...(confirmTools === undefined || confirmTools.length === 0 ? {} : { confirm_tools: [...confirmTools] }),
  };
}

function item({ messageId, content, options }: Entry, status: OutboxStatus): OutboxItem {
  const special = Object.values(options).some((option) => option !== undefined);
  return { messageId, content, status, ...(special ? { options } : {}) };
}
