//! Conversations as data: frames above, what the person sees below.

import { describe, expect, test } from 'vitest';
import type { FrameOf, ServerFrame } from './frames';
import { activeRun, emptyConversation, isCaughtUp, type Conversation } from './model';
import { dismissNotice, reduce } from './reduce';

const user = (seq: number, run_id: string, content: string): ServerFrame => ({
  type: 'user', seq, run_id, content, message_id: `m-${run_id}`, timestamp: '2026-01-01T10:00:00Z',
});
const delta = (seq: number, run_id: string, text: string): ServerFrame => ({ type: 'agent_partial', seq, run_id, delta: text });
const whole = (seq: number, run_id: string, text: string): ServerFrame => ({ type: 'agent_partial', seq, run_id, content: text });
const agent = (seq: number, run_id: string, content: string, more: object = {}): ServerFrame => ({
  type: 'agent', seq, run_id, content, status: 'finished', diagram: null, timestamp: '2026-01-01T10:00:05Z', ...more,
});
const ready = (last_seq: number, more: Partial<FrameOf<'ready'>> = {}): ServerFrame => ({
  type: 'ready', session_id: 's', chat_id: 'c', epoch: 1, last_seq, reset: false, run: null, ...more,
});
const message = (seq: number, role: string, content: string): ServerFrame => ({ type: 'message', seq, role, content, timestamp: '2026-01-01T09:00:00Z' });

/** One line a run: question, status, text. */
const lines = (conversation: Conversation) => conversation.runs.map((run) => `${run.question} | ${run.status} | ${run.text}`);
const play = (...frames: ServerFrame[]) => reduce(emptyConversation, frames);

describe('a live answer', () => {
  test('grows by deltas and ends with the whole text', () => {
    const half = play(ready(0), user(1, 'r1', 'hi'), delta(2, 'r1', 'Hel'), delta(3, 'r1', 'lo'));
    expect(lines(half)).toEqual(['hi | running | Hello']);
    expect(lines(reduce(half, [agent(4, 'r1', 'Hello.')]))).toEqual(['hi | finished | Hello.']);
  });

  test('shows one line a tool call, from its begin to its result', () => {
    const begun = play(user(1, 'r1', 'hi'), {
      type: 'tool_call', seq: 2, run_id: 'r1', call_id: 'c1', tool_name: 'list_tables', arguments: { schema: 'mart' },
    });
    expect(begun.runs[0]?.tools).toMatchObject([{ callId: 'c1', state: 'running' }]);
    const done = reduce(begun, [
      { type: 'tool', seq: 3, run_id: 'r1', call_id: 'c1', tool_name: 'list_tables', content: '[]', duration_ms: 120 },
    ]);
    expect(done.runs[0]?.tools).toEqual([
      { callId: 'c1', name: 'list_tables', arguments: { schema: 'mart' }, state: 'done', result: '[]', durationMs: 120 },
    ]);
  });

  test('leaves no tool spinning when its run ends', () => {
    const ended = play(
      user(1, 'r1', 'hi'),
      { type: 'tool_call', seq: 2, run_id: 'r1', call_id: 'c1', tool_name: 'list_tables', arguments: {} },
      agent(3, 'r1', '', { status: 'stopped' }),
    );
    expect(ended.runs[0]?.tools[0]?.state).toBe('failed');
  });

  test('queues a second question behind the first', () => {
    const two = play(user(1, 'r1', 'a'), user(2, 'r2', 'b'), { type: 'run', seq: 3, run_id: 'r2', status: 'queued', position: 1 });
    expect(lines(two)).toEqual(['a | running | ', 'b | queued | ']);
    expect(two.runs[1]?.position).toBe(1);
    expect(activeRun(two)?.runId).toBe('r1');
    const next = reduce(two, [agent(4, 'r1', 'A'), { type: 'run', seq: 5, run_id: 'r2', status: 'running' }]);
    expect(lines(next)).toEqual(['a | finished | A', 'b | running | ']);
    expect(next.runs[1]?.position).toBeUndefined();
  });
});

describe('after a reconnect', () => {
  const before = play(ready(0), user(1, 'r1', 'hi'), delta(2, 'r1', 'Hel'), delta(3, 'r1', 'lo'));

  test('a repeated frame changes nothing', () => {
    const again = reduce(before, [user(1, 'r1', 'hi'), delta(2, 'r1', 'Hel'), delta(3, 'r1', 'lo')]);
    expect(lines(again)).toEqual(lines(before));
  });

  test('the whole text so far replaces, then deltas append', () => {
    const resumed = reduce(before, [
      ready(9, { run: { run_id: 'r1', status: 'running' } }),
      whole(9, 'r1', 'Hello, wor'),
      delta(10, 'r1', 'ld'),
    ]);
    expect(lines(resumed)).toEqual(['hi | running | Hello, world']);
  });

  test('a run that ended meanwhile arrives whole and is not taken for live', () => {
    const resumed = reduce(before, [ready(9), agent(9, 'r1', 'Hello, world')]);
    expect(lines(resumed)).toEqual(['hi | finished | Hello, world']);
    expect(resumed.runs[0]?.live).toBe(false);
    expect(isCaughtUp(resumed)).toBe(true);
  });

  test('an end that is seen as it happens is live', () => {
    expect(reduce(before, [agent(4, 'r1', 'Hello')]).runs[0]?.live).toBe(true);
  });

  test('a reset forgets and takes the history from the start, also at lower numbers', () => {
    const reset = reduce(before, [ready(2, { reset: true, epoch: 2 }), user(1, 'r1', 'hi'), agent(2, 'r1', 'Hel', { status: 'interrupted' })]);
    expect(lines(reset)).toEqual(['hi | interrupted | Hel']);
    expect(reset).toMatchObject({ epoch: 2, lastSeq: 2 });
  });

  test('a stale delta does not reopen an ended run', () => {
    const ended = reduce(before, [agent(4, 'r1', 'Hello')]);
    expect(lines(reduce(ended, [delta(5, 'r1', '!')]))).toEqual(['hi | finished | Hello']);
  });

  test('replay is complete when the named number has come', () => {
    expect(isCaughtUp(play(ready(5), user(1, 'r1', 'hi')))).toBe(false);
    expect(isCaughtUp(play(ready(5), user(1, 'r1', 'hi'), agent(5, 'r1', 'x')))).toBe(true);
    expect(isCaughtUp(play(ready(0)))).toBe(true);
  });
});

describe('trouble', () => {
  test('a failed run keeps its text and says why', () => {
    const failed = play(user(1, 'r1', 'hi'), agent(2, 'r1', 'Hal', { status: 'failed' }), {
      type: 'error', seq: 2, run_id: 'r1', content: 'The model did not answer', code: 'BACKEND_ERROR', retryable: true,
    });
    expect(lines(failed)).toEqual(['hi | failed | Hal']);
    expect(failed.runs[0]?.failure).toEqual({ message: 'The model did not answer', code: 'BACKEND_ERROR', retryable: true });
  });

  test('an error of no run is a notice that can be dismissed', () => {
    const noticed = play({ type: 'error', content: 'Invalid JSON format', code: 'VALIDATION_ERROR' });
    expect(noticed.notices.map((notice) => notice.failure.message)).toEqual(['Invalid JSON format']);
    expect(reduce(noticed, [{ type: 'error', content: 'Invalid JSON format', code: 'VALIDATION_ERROR' }]).notices.length).toBe(1);
    expect(dismissNotice(noticed, noticed.notices[0]?.id ?? 0).notices).toEqual([]);
  });
});

describe('the work for an answer', () => {
  const at = '2026-01-01T10:00:01Z';
  const step = (seq: number, name: string): ServerFrame => ({ type: 'step', seq, run_id: 'r1', name, timestamp: at });
  const approval = (seq: number, more: Partial<FrameOf<'approval'>>): ServerFrame => ({
    type: 'approval', seq, run_id: 'r1', call_id: 'c1', state: 'requested', timestamp: at, ...more,
  });
  const asked = approval(3, { tool_name: 'git_commit', arguments: { message: 'Tidy' }, digest: '9f', expires_at: '2026-01-01T10:05:01Z' });
  const states = (conversation: Conversation) => conversation.runs[0]?.approvals.map(({ state, by }) => [state, by].filter(Boolean).join(' by '));

  test('steps come in order and once', () => {
    const before = play(user(1, 'r1', 'hi'), step(2, 'retrieve'), step(3, 'rerank'));
    expect(before.runs[0]?.steps).toEqual([{ name: 'retrieve', beganAt: Date.parse(at) }, { name: 'rerank', beganAt: Date.parse(at) }]);
    expect(reduce(before, [step(3, 'rerank'), step(2, 'retrieve')]).runs[0]?.steps.length).toBe(2);
  });

  test('sources replace those of before', () => {
    const source = { id: 's', title: 'Keys', source: 'docs/keys.md', score: 0.9 };
    const run = play(user(1, 'r1', 'hi'), { type: 'sources', seq: 2, run_id: 'r1', sources: [] }, { type: 'sources', seq: 3, run_id: 'r1', sources: [source] });
    expect(run.runs[0]?.sources).toEqual([source]);
  });

  test('a question to a person keeps exactly what was asked, and says who decided', () => {
    const open = play(user(1, 'r1', 'hi'), asked, asked);
    expect(open.runs[0]?.approvals).toEqual([
      { callId: 'c1', tool: 'git_commit', arguments: { message: 'Tidy' }, digest: '9f', expiresAt: Date.parse('2026-01-01T10:05:01Z'), state: 'waiting' },
    ]);
    const decided = reduce(open, [approval(4, { state: 'approved', by: 'ann' })]);
    expect(decided.runs[0]?.approvals).toMatchObject([{ tool: 'git_commit', arguments: { message: 'Tidy' }, state: 'approved', by: 'ann', decidedAt: at }]);
  });

  test('a question that is asked again after a restart has a new time', () => {
    const again = play(user(1, 'r1', 'hi'), asked, approval(5, { tool_name: 'git_commit', arguments: {}, expires_at: '2026-01-01T11:00:00Z' }));
    expect(again.runs[0]?.approvals).toMatchObject([{ callId: 'c1', state: 'waiting', expiresAt: Date.parse('2026-01-01T11:00:00Z') }]);
  });

  test('nobody is asked about a run that is over', () => {
    expect(states(play(user(1, 'r1', 'hi'), asked, agent(4, 'r1', '', { status: 'stopped' })))).toEqual(['expired']);
    expect(states(play(user(1, 'r1', 'hi'), asked, approval(4, { state: 'refused', by: 'ann' }), agent(5, 'r1', 'No.')))).toEqual(['refused by ann']);
  });
});

describe('what came from elsewhere', () => {
  test('messages of another chat are questions with their answers', () => {
    const branch = play(ready(3), message(1, 'user', 'a'), message(2, 'assistant', 'A'), message(3, 'user', 'b'));
    expect(lines(branch)).toEqual(['a | finished | A', 'b | finished | ']);
    expect(branch.runs.map((run) => [run.answerId, run.live])).toEqual([[2, false], [3, false]]);
    expect(lines(reduce(branch, [message(3, 'user', 'b'), message(4, 'assistant', 'B'), message(5, 'assistant', 'sum')]))).toEqual([
      'a | finished | A', 'b | finished | B', ' | finished | sum',
    ]);
    expect(lines(reduce(branch, [user(4, 'r1', 'c'), agent(5, 'r1', 'C')])).at(-1)).toBe('c | finished | C');
  });

  test('an answer of another chat brings what was shown with it', () => {
    const at = '2026-01-01T09:00:00Z';
    const source = { id: 's', title: 'Keys', source: 'keys.md', score: 0.9 };
    const answer: ServerFrame = {
      type: 'message', seq: 2, role: 'assistant', content: 'A [1]', timestamp: '2026-01-01T09:00:02Z', status: 'stopped',
      sources: [source], steps: [{ name: 'retrieve', timestamp: at }], diagram: 'erDiagram', usage: { input_tokens: 3, output_tokens: 4 },
      tools: [
        { call_id: 'c1', tool_name: 'git_commit', arguments: { message: 'Tidy' }, content: '{}', duration_ms: 84 },
        { call_id: 'c2', tool_name: 'git_push', arguments: {} },
      ],
      approvals: [
        { call_id: 'c1', state: 'approved', tool_name: 'git_commit', arguments: { message: 'Tidy' }, digest: '9f', by: 'ann', timestamp: at },
        { call_id: 'c2', state: 'expired', tool_name: 'git_push', arguments: {}, digest: '8e', timestamp: at },
      ],
    };
    const [run] = play(ready(2), message(1, 'user', 'a'), answer).runs;
    expect(run).toMatchObject({
      question: 'a', text: 'A [1]', status: 'stopped', live: false, sources: [source], diagram: 'erDiagram', usage: { output_tokens: 4 },
      steps: [{ name: 'retrieve', beganAt: Date.parse(at) }],
      tools: [{ callId: 'c1', state: 'done', result: '{}', durationMs: 84 }, { callId: 'c2', state: 'failed' }],
      approvals: [{ callId: 'c1', state: 'approved', by: 'ann', decidedAt: at }, { callId: 'c2', state: 'expired' }],
    });
  });

  test('a question of another chat that was never answered says why', () => {
    const [run, next] = play(ready(2), { ...message(1, 'user', 'a'), status: 'failed', error: 'The model went away' } as ServerFrame, message(2, 'user', 'b')).runs;
    expect(run).toMatchObject({ question: 'a', text: '', status: 'failed', failure: { message: 'The model went away' } });
    expect(next).toMatchObject({ question: 'b', status: 'finished', sources: [], tools: [] });
  });

  test('the server names the chat, and says when it is gone', () => {
    const gone = play(ready(0), { type: 'deleted', by: 'ann' });
    expect([gone.chatId, gone.deletedBy]).toEqual(['c', 'ann']);
  });
});

describe('what the model thought aloud', () => {
  const thought = (seq: number, words: string): ServerFrame => ({ type: 'reasoning', delta: words, run_id: 'r1', seq });

  test('is whole when the answer is read again', () => {
    const live = play(ready(0), user(1, 'r1', 'a'), thought(2, 'First '), thought(3, 'this'), agent(4, 'r1', 'A', { reasoning: 'First this' }));
    const again = play(ready(4), user(1, 'r1', 'a'), agent(4, 'r1', 'A', { reasoning: 'First this' }));
    expect([live, again].map(({ runs }) => runs[0]?.reasoning)).toEqual(['First this', 'First this']);
  });

  test('stays where a server does not say it again', () => {
    expect(play(ready(0), user(1, 'r1', 'a'), thought(2, 'First'), agent(3, 'r1', 'A')).runs[0]?.reasoning).toBe('First');
  });

  test('goes along to another chat', () => {
    const brought: ServerFrame = { ...message(2, 'assistant', 'A'), status: 'finished', reasoning: 'First' } as ServerFrame;
    expect(play(ready(2), message(1, 'user', 'a'), brought).runs[0]?.reasoning).toBe('First');
  });
});

test('what a newer server says is left alone', () => {
  const before = play(user(1, 'r1', 'a'));
  const after = reduce(before, [{ type: 'unknown', tag: 'weather', raw: '{}' }, agent(2, 'r1', 'A', { status: 'paused' })]);
  expect(lines(after)).toEqual(['a | finished | A']);
});

test('runs that a batch does not touch keep their identity', () => {
  const before = play(user(1, 'r1', 'a'), agent(2, 'r1', 'A'), user(3, 'r2', 'b'));
  const after = reduce(before, [delta(4, 'r2', 'B')]);
  expect(after.runs[0]).toBe(before.runs[0]);
  expect(after.runs[1]).not.toBe(before.runs[1]);
});
