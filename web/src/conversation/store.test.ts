//! The store between a port that the test holds and a view that it reads.

import { SchematicError, type ChatListener, type OutboxItem, type SendOptions } from '@tidewire/client';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ChatPort, ConnectionStatus } from '../connection/port';
import { ConversationStore } from './store';

/** A client without a socket: it queues as the true one does, and the test plays the server. */
class FakePort implements ChatPort {
  listener: ChatListener = {};
  items: OutboxItem[] = [];
  stopped: (string | undefined)[] = [];
  decided: string[] = [];
  closed = false;
  online = false;

  subscribe(listener: ChatListener) {
    this.listener = listener;
    return () => {};
  }
  send(content: string, { messageId = `m${++ids}`, ...options }: SendOptions = {}) {
    const special = Object.keys(options).length > 0 ? { options } : {};
    this.items = [...this.items.filter((item) => item.messageId !== messageId), { messageId, content, ...special, status: this.online ? 'sent' : 'queued' }];
    this.tell();
    return messageId;
  }
  withdraw(messageId: string) {
    const item = this.items.find((each) => each.messageId === messageId && each.status !== 'sent');
    this.items = this.items.filter((each) => each !== item);
    this.tell();
    return item !== undefined;
  }
  stop(runId?: string) {
    this.stopped.push(runId);
  }
  decide(callId: string, approved: boolean) {
    if (this.online) this.decided.push(`${callId} ${approved}`);
    return this.online;
  }
  retryNow() {}
  close() {
    this.closed = true;
    return [];
  }
  status(status: ConnectionStatus) {
    this.online = status.state === 'online';
    if (this.online) this.items = this.items.map((item) => (item.status === 'queued' ? { ...item, status: 'sent' } : item));
    this.listener.status?.(status);
    this.tell();
  }
  accept(messageId: string, seq = 1) {
    const item = this.items.find((each) => each.messageId === messageId);
    this.items = this.items.filter((each) => each !== item);
    this.tell();
    this.listener.frame?.({ type: 'user', content: item?.content ?? '', message_id: messageId, run_id: 'r1', seq, timestamp: '' });
  }
  refuse(messageId: string) {
    this.items = this.items.map((item) => (item.messageId === messageId ? { ...item, status: 'refused' } : item));
    this.tell();
    this.listener.frame?.({ type: 'error', content: 'Too many messages', code: 'RATE_LIMITED', retry_after_ms: 3_000 });
  }
  private tell() {
    this.listener.outbox?.(this.items);
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

/** A store that somebody looks at; `tick` is the next animation frame. */
function open(): ConversationStore {
  port = new FakePort();
  const store = new ConversationStore('s1', () => port, { storage, schedule: (callback) => void frames.push(callback), now: () => 1_000 });
  store.subscribe(() => {});
  return store;
}
const tick = () => frames.splice(0).forEach((callback) => callback());
const outbox = (store: ConversationStore) => store.getView().outbox.map((item) => `${item.messageId} ${item.content} ${item.state}`);
const online: ConnectionStatus = { state: 'online' };

beforeEach(() => {
  storage = new MemoryStorage();
  frames = [];
  ids = 0;
});

describe('the outbox', () => {
  test('shows a message while it waits and while it is under way', () => {
    const store = open();
    store.submit(' hi ');
    expect(outbox(store)).toEqual(['m1 hi waiting']);
    port.status(online);
    tick();
    expect(outbox(store)).toEqual(['m1 hi sent']);
  });

  test('lets go of a message in the same frame in which its run appears', () => {
    const store = open();
    port.status(online);
    store.submit('hi');
    const seen: string[] = [];
    store.subscribe(() => seen.push(`${store.getView().outbox.length} ${store.getView().conversation.runs.length}`));
    port.accept('m1');
    expect(seen).toEqual([]);
    tick();
    expect(seen.at(-1)).toBe('0 1');
    expect(store.getView().active?.runId).toBe('r1');
  });

  test('gives a withdrawn message back, and nothing for one that has left', () => {
    const store = open();
    store.submit('hi');
    expect(store.withdraw('m1')).toBe('hi');
    expect(outbox(store)).toEqual([]);
    port.status(online);
    store.submit('ho');
    expect(store.withdraw('m2')).toBeUndefined();
  });

  test('survives a reload under the same id', () => {
    open().submit('hi');
    const store = open();
    tick();
    expect(outbox(store)).toEqual(['m1 hi waiting']);
    expect(port.items.map((item) => item.messageId)).toEqual(['m1']);
  });

  test('keeps a refused message with its waiting time and sends it only on request', () => {
    const store = open();
    port.status(online);
    store.submit('hi');
    port.refuse('m1');
    tick();
    expect(store.getView().outbox).toEqual([{ messageId: 'm1', content: 'hi', state: 'refused', reason: 'Too many messages', retryAt: 4_000 }]);
    expect(store.getView().conversation.notices).toEqual([]);
    expect(port.items).toEqual([]);
    store.resubmit('m1');
    expect(port.items.map((item) => item.messageId)).toEqual(['m1']);
    tick();
    expect(outbox(store)).toEqual(['m1 hi sent']);
  });

  test('a refused message is not sent by a reload', () => {
    const before = open();
    port.status(online);
    before.submit('hi');
    port.refuse('m1');
    tick();
    expect(outbox(open())).toEqual(['m1 hi refused']);
    expect(port.items).toEqual([]);
  });

  test('a message that the client will not take is shown with the reason', () => {
    const store = open();
    port.send = () => {
      throw new Error('Shorten the message');
    };
    store.submit('hi');
    expect(store.getView().outbox).toMatchObject([{ content: 'hi', state: 'refused', reason: 'Shorten the message' }]);
  });
});

describe('stop', () => {
  const ask = () => {
    const store = open();
    port.status(online);
    port.listener.frame?.({ type: 'user', content: 'hi', run_id: 'r1', seq: 1, timestamp: '' });
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
    port.listener.frame?.({ type: 'agent', content: 'Hal', status: 'stopped', run_id: 'r1', seq: 2, diagram: null, timestamp: '' });
    tick();
    expect(store.getView()).toMatchObject({ stopping: false, active: undefined });
    expect(store.getView().conversation.runs[0]?.text).toBe('Hal');
  });

  test('without a run says nothing', () => {
    open().stop();
    expect(port.stopped).toEqual([]);
  });
});

describe('a decision', () => {
  const ask = () => {
    const store = open();
    port.status(online);
    port.listener.frame?.({ type: 'user', content: 'hi', run_id: 'r1', seq: 1, timestamp: '' });
    port.listener.frame?.({ type: 'approval', state: 'requested', call_id: 'c1', tool_name: 't', arguments: {}, run_id: 'r1', seq: 2, timestamp: '' });
    tick();
    return store;
  };

  test('goes out once and is over when the server says what came of it', () => {
    const store = ask();
    store.decide('c1', true);
    store.decide('c1', false);
    expect([port.decided, store.getView().deciding]).toEqual([['c1 true'], ['c1']]);
    port.listener.frame?.({ type: 'approval', state: 'approved', by: 'ann', call_id: 'c1', run_id: 'r1', seq: 3, timestamp: '' });
    tick();
    expect(store.getView().deciding).toEqual([]);
    expect(store.getView().conversation.runs[0]?.approvals[0]).toMatchObject({ state: 'approved', by: 'ann' });
  });

  test('that came too late is told and can be looked at again', () => {
    const store = ask();
    store.decide('c1', true);
    port.listener.frame?.({ type: 'error', code: 'VALIDATION_ERROR', content: 'This call does not wait any more', field: 'call_id' });
    tick();
    expect(store.getView().deciding).toEqual([]);
    expect(store.getView().conversation.notices.map((notice) => notice.failure.message)).toEqual(['This call does not wait any more']);
  });

  test('is not kept for later, and one that a cut has swallowed can be made again', () => {
    const store = ask();
    store.decide('c1', true);
    port.status({ state: 'waiting', attempt: 1, retryAt: 0, code: 1006, reason: '' });
    store.decide('c1', true);
    expect([port.decided, store.getView().deciding]).toEqual([['c1 true'], []]);
    port.status(online);
    store.decide('c1', false);
    expect(port.decided).toEqual(['c1 true', 'c1 false']);
  });
});

test('who is to answer a message is kept with it over a reload', () => {
  const options = { model: 'openai/gpt-5-mini', confirmTools: ['*'] };
  const surroundings = { storage, schedule: () => {}, now: () => 0 };
  const first = new ConversationStore('s1', () => (port = new FakePort()), { ...surroundings, options: () => options });
  first.subscribe(() => {});
  first.submit('hi');
  const queued = port.items;
  first.reconnect();
  expect(queued).toMatchObject([{ content: 'hi', options }]);
  new ConversationStore('s1', () => (port = new FakePort()), surroundings).subscribe(() => {});
  expect(port.items).toMatchObject([{ content: 'hi', options }]);
});

test('many frames between two animation frames are one change', () => {
  const store = open();
  let changes = 0;
  store.subscribe(() => changes++);
  port.listener.frame?.({ type: 'user', content: 'hi', run_id: 'r1', seq: 1, timestamp: '' });
  for (let seq = 2; seq < 100; seq++) port.listener.frame?.({ type: 'agent_partial', delta: 'x', run_id: 'r1', seq });
  expect(changes).toBe(0);
  tick();
  expect(changes).toBe(1);
  expect(store.getView().conversation.runs[0]?.text.length).toBe(98);
});

test('a frame that cannot be read is not passed over in silence', () => {
  const store = open();
  port.listener.error?.(new SchematicError('shape', 'the frame has no "seq"'));
  tick();
  expect(store.getView().conversation.notices[0]?.failure.message).toMatch(/cannot read/);
});

test('the connection lives as long as somebody looks', () => {
  const store = new ConversationStore('s1', () => (port = new FakePort()), { storage, schedule: () => {}, now: () => 0 });
  const first = store.subscribe(() => {});
  const second = store.subscribe(() => {});
  first();
  expect(port.closed).toBe(false);
  second();
  expect(port.closed).toBe(true);
});
