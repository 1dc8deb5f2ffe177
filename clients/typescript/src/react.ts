//! Hooks for React: a chat over one's own material, and a collection that keeps up with its changes.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { WebSocketClient, type WebSocketClientOptions } from "./chat/client.js";
import type { ChatServiceError, WebSocketCallbacks } from "./chat/events.js";
import type { Manner } from "./chat/request.js";
import type { ApprovalData, FinalData, Source, ToolData } from "./generated/chat_service.js";
import type { DataRecord, LiveData, QueryOptions } from "./live_data.js";

/** One message of a chat, as it is shown. */
export interface ShownMessage {
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly content: string;
  /** What an answer rests on. */
  readonly sources: readonly Source[];
  /** The nodes of the graph that were entered for it, in order. */
  readonly steps: readonly string[];
  /** What the model thought aloud for it, where it does. */
  readonly thinking?: string;
  /** What an answer cost, as soon as it is over. */
  readonly final?: FinalData;
}

/** What a chat is made from. */
export interface UseChatOptions extends Manner {
  /** The client, or the address of the server for one of the hook's own. */
  readonly client: WebSocketClient | string;
  readonly userId: string;
  /** A chat to go on with; what was said in it is shown. */
  readonly runId?: string | undefined;
  /** For a client of the hook's own. */
  readonly connection?: WebSocketClientOptions | undefined;
}

/** A chat, as a component uses it. */
export interface UseChat {
  /** The chat's name, from the first question on. */
  readonly runId: string | undefined;
  readonly messages: readonly ShownMessage[];
  /** Whether an answer is awaited. */
  readonly busy: boolean;
  readonly error: ChatServiceError | undefined;
  /** Calls of this client's tools that wait for `answer`. */
  readonly tools: readonly ToolData[];
  /** Calls that wait for `decide`. */
  readonly approvals: readonly ApprovalData[];
  ask(content: string): Promise<void>;
  stop(): void;
  answer(callId: string, result: unknown): void;
  decide(callId: string, approved: boolean): void;
}

interface Chat {
  readonly messages: readonly ShownMessage[];
  readonly tools: readonly ToolData[];
  readonly approvals: readonly ApprovalData[];
}

const EMPTY: Chat = { messages: [], tools: [], approvals: [] };

/** A chat over one's own material. */
export function useChat(options: UseChatOptions): UseChat {
  const latest = useRef(options);
  latest.current = options;
  const client = useClient(options);
  const [runId, setRunId] = useState(options.runId);
  const [chat, setChat] = useState(EMPTY);
  const [awaited, setAwaited] = useState(0);
  const [error, setError] = useState<ChatServiceError>();

  const follow = useCallback(async (begin: (callbacks: WebSocketCallbacks) => Promise<void>) => {
    setAwaited((count) => count + 1);
    try {
      await begin(callbacks(setChat, setError));
    } catch (thrown) {
      setError(thrown as ChatServiceError);
    } finally {
      setAwaited((count) => count - 1);
    }
  }, []);

  useEffect(() => {
    if (latest.current.runId === undefined) return;
    setChat(EMPTY);
    setRunId(latest.current.runId);
    void follow((told) => client.resumeChatSession({ runId: latest.current.runId ?? "" }, told));
  }, [client, follow, options.runId]);

  const ask = useCallback(
    async (content: string) => {
      setError(undefined);
      const { userId, options: wishes, stream, whileRunning, tools } = latest.current;
      const manner: Manner = { options: wishes, stream, whileRunning, tools };
      const question = { role: "user" as const, content };
      await follow(async (told) => {
        if (runId !== undefined) return client.resumeChatSession({ runId, newMessage: question, ...manner }, told);
        const answered = client.generateChatResponse({ userId, messages: [question], ...manner }, told);
        setRunId(client.runId);
        return answered;
      });
    },
    [client, follow, runId],
  );

  return {
    runId,
    ...chat,
    busy: awaited > 0,
    error,
    ask,
    stop: useCallback(() => client.stop(runId), [client, runId]),
    answer: useCallback((callId, result) => void (runId && client.sendToolResult(runId, callId, result)), [client, runId]),
    decide: useCallback((callId, approved) => void (runId && client.approve(runId, callId, approved)), [client, runId]),
  };
}

/** The client that was given, or one that lives as long as the component. */
function useClient({ client, connection }: UseChatOptions): WebSocketClient {
  const settings = useRef(connection);
  const used = useMemo(() => (typeof client === "string" ? new WebSocketClient(client, settings.current) : client), [client]);
  useEffect(() => {
    return typeof client === "string" ? () => used.close() : undefined;
  }, [client, used]);
  return used;
}

function callbacks(setChat: (change: (chat: Chat) => Chat) => void, setError: (error: ChatServiceError) => void): WebSocketCallbacks {
  let answerId = "";
  let question = "";
  const change = (with_: (message: ShownMessage) => Partial<ShownMessage>): void =>
    setChat((chat) => ({ ...chat, messages: changed(chat.messages, answerId, with_) }));
  return {
    onRun: ({ reset }) => reset && setChat(() => EMPTY),
    onMessage: (message) => {
      answerId = message.answerId;
      question = `${answerId}-question`;
      const shown: ShownMessage = { id: question, role: "user", content: message.content, sources: [], steps: [] };
      setChat((chat) => ({ ...chat, messages: [...chat.messages.filter(({ id }) => id !== shown.id), shown] }));
    },
    onText: (content) => change(() => ({ content })),
    onSources: (sources) => change(() => ({ sources })),
    onWorkflowStep: (step) => change(({ steps }) => ({ steps: [...steps, step] })),
    onThinking: (more) => change(({ thinking = "" }) => ({ thinking: thinking + more })),
    onFinal: (final) => change(() => ({ final })),
    onTool: (tool) => setChat((chat) => ({ ...chat, tools: waiting(chat.tools, tool) })),
    onApproval: (approval) => setChat((chat) => ({ ...chat, approvals: waiting(chat.approvals, approval) })),
    onError: setError,
  };
}

/** The messages with another answer; it begins with the first thing that is known of it. */
function changed(messages: readonly ShownMessage[], id: string, change: (message: ShownMessage) => Partial<ShownMessage>): ShownMessage[] {
  const known = messages.find((message) => message.id === id);
  const before = known ?? { id, role: "assistant" as const, content: "", sources: [], steps: [] };
  const after = { ...before, ...change(before) };
  return known ? messages.map((message) => (message === known ? after : message)) : [...messages, after];
}

/** The calls that wait, after one was asked for or done. */
function waiting<Call extends { readonly callId: string; readonly status: string }>(calls: readonly Call[], call: Call): Call[] {
  const others = calls.filter(({ callId }) => callId !== call.callId);
  return call.status === "requested" ? [...others, call] : others;
}

/** Records of a collection, kept as they are on the server. */
export interface UseCollection {
  readonly records: readonly DataRecord[];
  /** Whether they were read at least once. */
  readonly ready: boolean;
  /** Whether changes come at the moment. */
  readonly live: boolean;
  readonly error: Error | undefined;
}

/** Records that fit, in an order; read again when some of them changed. */
export function useCollection(data: LiveData, collection: string, query: QueryOptions = {}): UseCollection {
  const [state, setState] = useState<UseCollection>({ records: [], ready: false, live: false, error: undefined });
  // The query is made anew at every rendering; what counts is what it says.
  const wish = JSON.stringify(query);
  useEffect(() => {
    const asked = JSON.parse(wish) as QueryOptions;
    const part = (change: Partial<UseCollection>): void => setState((before) => ({ ...before, ...change }));
    const reader = new Reader(() => data.query(collection, asked), part);
    const watch = data.watch(
      collection,
      {
        change: () => reader.read(),
        reload: () => reader.read(),
        live: (live) => {
          part({ live });
          if (live) reader.read();
        },
        refused: (error) => part({ error }),
      },
      { filter: asked.filter },
    );
    reader.read();
    return () => {
      reader.stop();
      void watch.stop();
    };
  }, [data, collection, wish]);
  return state;
}

/** Reads one thing at a time; what changed meanwhile is read once more. */
class Reader {
  readonly #ask: () => Promise<DataRecord[]>;
  readonly #tell: (change: Partial<UseCollection>) => void;
  #reading = false;
  #again = false;
  #stopped = false;

  constructor(ask: () => Promise<DataRecord[]>, tell: (change: Partial<UseCollection>) => void) {
    this.#ask = ask;
    this.#tell = tell;
  }

  read(): void {
    if (this.#reading) this.#again = true;
    else void this.#go();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #go(): Promise<void> {
    this.#reading = true;
    do {
      this.#again = false;
      const change = await this.#ask().then(
        (records) => ({ records, ready: true, error: undefined }),
        (error: Error) => ({ error }),
      );
      if (!this.#stopped) this.#tell(change);
    } while (this.#again && !this.#stopped);
    this.#reading = false;
  }
}
