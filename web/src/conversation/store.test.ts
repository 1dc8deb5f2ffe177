//! The store between a port that the test holds and a view that it reads.

import { beforeEach, describe, expect, test } from 'vitest';
import type { ChatPort, ConnectionStatus, PortListener } from '../connection/port';
import { ConversationStore } from './store';

class FakePort implements ChatPort {
  listener: PortListener | undefined;
  online = false;
  sent: string[] = [];
  stopped: string[] = [];

  open(listener: PortListener) {
    this.listener = listener;
    return () => void (this.listener = undefined);
  }
  send(content: string, messageId: string) {
    if (this.online) this.sent.push(`${messageId}:${content}`);
    return this.online;
  }
  stop(runId: string) {
    if (this.online) this.stopped.push(runId);
    return this.online;
  }
  reconnect() {}
  status(status: ConnectionStatus) {
    this.online = status.state === 'online';
    this.listener?.status(status);
  }
}

class MemoryStorage {
  private readonly items = new Map<string, string>();
  getItem = (key: string) => this.items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.items.set(key, value);
  removeItem = (key: string) => void this.items.delete(key);
}

let port: FakePort;
let storage: MemoryStorage;
let frames: (() => void)[];
let ids: number;

/** A store somebody looks at; `tick` is the next animation frame. */
function open(): ConversationStore {
  const store = new ConversationStore('s1', port, {
    storage,
    schedule: (callback) => void frames.push(callback),
    now: () => 1_000,
    newId: () => `m${++ids}`,
  });
  store.subscribe(() => {});
  return store;
}
const tick = () => frames.splice(0).forEach((callback) => callback());
const outbox = (store: ConversationStore) => store.getView().outbox.map((item) => `${item.messageId} ${item.state}`);

beforeEach(() => {
  port = new FakePort();
  storage = new MemoryStorage();
  frames = [];
  ids = 0;
});

describe('the outbox', () => {
  test('holds a message until there is a connection, then sends it once', () => {
    const store = open();
    store.submit('hi');
    expect(outbox(store)).toEqual(['m1 waiting']);
    port.status({ state: 'online' });
    expect(port.sent).toEqual(['m1:hi']);
    expect(outbox(store)).toEqual(['m1 sent']);
  });

  test('lets go of a message when the server echoes it', () => {
    const store = open();
    port.status({ state: 'online' });
    store.submit('hi');
    port.listener?.frame({ type: 'user', content: 'hi', message_id: 'm1', run_id: 'r1', seq: 1, timestamp: '' });
    tick();
    expect(outbox(store)).toEqual([]);
    expect(store.getView().active?.runId).toBe('r1');
  });

  test('sends an unconfirmed message again after a loss, under the same id', () => {
    const store = open();
    port.status({ state: 'online' });
    store.submit('hi');
    port.status({ state: 'waiting', attempt: 1, retryAt: 2_000 });
    port.status({ state: 'online' });
    expect(port.sent).toEqual(['m1:hi', 'm1:hi']);
  });

  test('gives a withdrawn message back and never sends it', () => {
    const store = open();
    store.submit('hi');
    expect(store.withdraw('m1')).toBe('hi');
    port.status({ state: 'online' });
    expect(port.sent).toEqual([]);
  });

  test('survives a reload', () => {
    open().submit('hi');
    expect(outbox(open())).toEqual(['m1 waiting']);
  });

  test('keeps a refused message with its waiting time and sends it only on request', () => {
    const store = open();
    port.status({ state: 'online' });
    store.submit('hi');
    port.listener?.frame({ type: 'error', content: 'Too many messages', code: 'RATE_LIMITED', retry_after_ms: 3_000 });
    tick();
    expect(store.getView().outbox).toMatchObject([{ state: 'refused', reason: 'Too many messages', retryAt: 4_000 }]);
    expect(store.getView().conversation.notices).toEqual([]);
    port.status({ state: 'waiting', attempt: 1, retryAt: 0 });
    port.status({ state: 'online' });
    expect(port.sent).toEqual(['m1:hi']);
    store.resubmit('m1');
    expect(port.sent).toEqual(['m1:hi', 'm1:hi']);
  });
});

describe('stop', () => {
  const ask = () => {
    const store = open();
    port.status({ state: 'online' });
    port.listener?.frame({ type: 'user', content: 'hi', run_id: 'r1', seq: 1, timestamp: '' });
    tick();
    return store;
  };

  test('names the run of the server, also when another tab asked', () => {
    const store = ask();
    store.stop();
    expect(port.stopped).toEqual(['r1']);
    expect(store.getView().stopping).toBe(true);
  });

  test('is over when the server says how the run ended', () => {
    const store = ask();
    store.stop();
    port.listener?.frame({ type: 'agent', content: 'Hal', status: 'stopped', run_id: 'r1', seq: 2 });
    tick();
    expect(store.getView()).toMatchObject({ stopping: false, active: undefined });
    expect(store.getView().conversation.runs[0]?.text).toBe('Hal');
  });
});

test('many frames between two animation frames are one change', () => {
  const store = open();
  let changes = 0;
  store.subscribe(() => changes++);
  port.listener?.frame({ type: 'user', content: 'hi', run_id: 'r1', seq: 1, timestamp: '' });
  for (let seq = 2; seq < 100; seq++) port.listener?.frame({ type: 'agent_partial', delta: 'x', run_id: 'r1', seq });
  expect(changes).toBe(0);
  tick();
  expect(changes).toBe(1);
  expect(store.getView().conversation.runs[0]?.text.length).toBe(98);
});

test('the connection lives as long as somebody looks', () => {
  const store = open();
  expect(port.listener).toBeDefined();
  const leave = store.subscribe(() => {});
  leave();
  expect(port.listener).toBeDefined();
});
