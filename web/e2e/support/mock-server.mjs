//! A stand-in for the server: serves `dist` under the real Content Security Policy and speaks `session_chat` from a script.
//!
//! For looking at the page in every state without a model, and for tests that must hold the server's hand. It keeps a log
//! per session, resumes, queues and stops as the real one does; answers are chosen by words in the question.
//! Started by hand (`npm run mock`) it listens on PORT, 8090 by default.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { WebSocketServer } from 'ws';
import { catalogOf, script } from './scripts.mjs';

const DIST = new URL('../../dist/', import.meta.url);
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/**
 * @typedef {{ port?: number, tokenMs?: number, key?: string, tables?: number, chats?: object[] }} MockOptions
 * @typedef {{ down: boolean, draining: boolean, refuse: number | undefined, key: string | undefined }} MockState
 */

/**
 * Starts one. `tokenMs` is the time between two words; `key` makes it ask for that key; `tables` is the size of the
 * catalogue; `chats` are listed besides those that are really there.
 * @param {MockOptions} options
 */
export async function startMock({ port = 0, tokenMs = 15, key, tables = 90, chats = [] } = {}) {
  const sessions = new Map();
  const sockets = new Set();
  const tickets = new Set();
  /** @type {MockState} */
  const state = { down: false, draining: false, refuse: undefined, key };
  const session = (id) => {
    if (!sessions.has(id)) sessions.set(id, new Session(id, tokenMs));
    return sessions.get(id);
  };

  const http = createServer((request, response) => {
    const url = new URL(request.url, 'http://mock');
    const allowed = state.key === undefined || request.headers.authorization === `Bearer ${state.key}`;
    const json = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (state.down) return request.destroy();
    if (url.pathname === '/api/health') {
      return json(200, { status: state.draining ? 'draining' : 'ok', version: '0.1.0', model: 'embedded/smollm2-135m', embedded: true });
    }
    if (url.pathname.startsWith('/api/') && !allowed) return json(401, { error: 'a key is needed' });
    if (url.pathname === '/api/catalog') return json(200, catalogOf(tables));
    if (url.pathname === '/api/chats') return json(200, { chats: [...listChats(sessions), ...chats] });
    if (/^\/api\/chat(?:_models)?(?:\/|$)/.test(url.pathname)) return void serveChats(sessions, session, request, url.pathname, json);
    if (url.pathname === '/api/tickets') {
      const ticket = Math.random().toString(36).slice(2);
      tickets.add(ticket);
      return json(200, { ticket, expires_in_s: 30 });
    }
    return serveFile(url.pathname, response);
  });

  const upgrades = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, raw, head) => {
    const url = new URL(request.url, 'http://mock');
    if (state.down) return raw.destroy();
    if (state.key !== undefined && !tickets.delete(url.searchParams.get('ticket'))) return raw.destroy();
    upgrades.handleUpgrade(request, raw, head, (socket) => {
      const id = decodeURIComponent(url.pathname.replace('/ws/', ''));
      if (!/^[\w.-]{1,128}$/.test(id)) return socket.close(4001, 'Invalid session');
      if (state.refuse) return socket.close(state.refuse, 'refused');
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      session(id).attach(socket);
    });
  });

  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    state,
    session,
    /** Cuts every socket without a goodbye. */
    cut: () => sockets.forEach((socket) => socket.terminate()),
    /** Closes every socket with a code. */
    closeAll: (code, reason) => sockets.forEach((socket) => socket.close(code, reason)),
    /** Sends a frame of no run to every socket. */
    tellAll: (frame) => sockets.forEach((socket) => socket.send(JSON.stringify(frame))),
    sockets: () => sockets.size,
    close: () => new Promise((resolve) => {
      sockets.forEach((socket) => socket.terminate());
      http.closeAllConnections();
      http.close(resolve);
    }),
  };
}

function listChats(sessions) {
  return [...sessions.values()].filter((each) => each.log.length > 0 && !each.deleted).map((each) => ({
    session_id: each.id,
    chat_id: each.chatId,
    title: each.title,
    updated_at: each.updatedAt,
    running: each.run !== undefined,
  }));
}

const MODELS = { embedded: ['smollm2-135m'], openai: ['gpt-5-mini', 'gpt-5'], anthropic: ['claude-haiku-5'] };
const TOOLS = [
  { name: 'git_commit', description: 'Records changes to the repository', parameters: {} },
  { name: 'list_tables', description: 'Lists the tables of the catalogue', parameters: {} },
];

/** Chats as things, models and tools: the few addresses that the page asks. */
async function serveChats(sessions, session, request, path, json) {
  const [, , area, name, part] = path.split('/');
  if (area === 'chat_models') {
    if (name !== undefined) return json(200, MODELS[name] ?? []);
    const providers = Object.entries(MODELS).map(([provider, models]) => [provider, { status: 'ok', verified: true, model_count: models.length }]);
    return json(200, { providers: Object.fromEntries(providers) });
  }
  if (name === 'tools') return json(200, TOOLS);
  const body = await readJson(request);
  const chat = [...sessions.values()].find((each) => each.chatId === (name === 'branch' ? body.parent_id : name) && !each.deleted);
  if (!chat) return json(404, { code: 404, message: 'there is no such chat; list your chats, or open a session' });
  if (name === 'branch') {
    const branch = session(`${chat.chatId}-${sessions.size}`);
    branch.becomes(chat, body);
    return json(200, { chat_id: branch.id });
  }
  if (part === 'messages') return json(200, { messages: chat.messages() });
  if (request.method === 'PUT') chat.name = body.title;
  if (request.method === 'DELETE') chat.remove();
  return json(200, {});
}

async function readJson(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text === '' ? {} : JSON.parse(text);
}

async function serveFile(path, response) {
  const name = path === '/' ? 'index.html' : path.slice(1);
  try {
    const body = await readFile(new URL(name, DIST));
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
    });
    response.end(body);
  } catch {
    response.writeHead(404).end('not found');
  }
}

/** One session: its log, its running answer, and who listens. */
class Session {
  constructor(id, tokenMs) {
    Object.assign(this, { id, chatId: `chat_${id}`, tokenMs, log: [], seq: 0, epoch: 1, queue: [], run: undefined, listeners: new Set(), accepted: new Map() });
    Object.assign(this, { name: undefined, deleted: false, updatedAt: new Date().toISOString(), received: [], waitMs: 300_000 });
    /** An answer stops growing at so many characters, until this is raised. */
    this.holdsAt = Infinity;
  }

  get title() {
    return this.name ?? this.log.find((frame) => frame.type === 'user')?.content ?? '';
  }

  /** Its messages as the list of messages has them. */
  messages() {
    const roles = { user: 'user', agent: 'assistant' };
    const said = this.log.filter((frame) => frame.type in roles || frame.type === 'message');
    return said.map((frame) => ({ id: String(frame.seq), role: frame.role ?? roles[frame.type], content: frame.content, timestamp: frame.timestamp, shown: this.shownWith(frame) }));
  }

  /** What was shown of the run that an answer ends, as a message of another chat brings it. */
  shownWith(end) {
    if (end.type === 'message') return Object.fromEntries(Object.entries(end).filter(([name]) => !/^(?:type|role|content|seq|timestamp)$/.test(name)));
    if (end.type !== 'agent') return {};
    const of = (type) => this.log.filter((frame) => frame.type === type && frame.run_id === end.run_id);
    const decided = of('approval').filter((frame) => frame.state !== 'requested');
    return {
      status: end.status, error: of('error')[0]?.content, diagram: end.diagram ?? undefined, canvas_trigger: end.canvas_trigger, usage: end.usage,
      sources: of('sources').at(-1)?.sources,
      steps: of('step').map(({ name, timestamp }) => ({ name, timestamp })),
      tools: of('tool_call').map((call) => ({ ...call, ...of('tool').find((tool) => tool.call_id === call.call_id), seq: undefined, run_id: undefined, type: undefined })),
      approvals: decided.map((frame) => ({ ...of('approval').find((asked) => asked.call_id === frame.call_id && asked.state === 'requested'), ...frame })),
    };
  }

  /** Begins as another chat, up to and with so many of its messages. */
  becomes(chat, { title, branch_point_idx }) {
    Object.assign(this, { chatId: this.id, name: title });
    for (const { role, content, timestamp, shown } of chat.messages().slice(0, branch_point_idx)) {
      this.keep({ ...shown, type: 'message', role, content, timestamp });
    }
  }

  /** Tells who follows that it is gone. */
  remove() {
    this.deleted = true;
    for (const socket of this.listeners) send(socket, { type: 'deleted', by: 'local' });
  }

  attach(socket) {
    socket.on('message', (data) => this.receive(socket, String(data)));
    socket.on('close', () => this.listeners.delete(socket));
  }

  receive(socket, text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return send(socket, { type: 'error', content: 'Invalid JSON format', code: 'VALIDATION_ERROR' });
    }
    this.received.push(frame);
    if (frame.type === 'decide') return this.decide(socket, frame);
    if ('after_seq' in frame) this.resume(socket, frame);
    if ('content' in frame) this.ask(socket, frame);
    else if ('stop' in frame) this.stop(frame.run_id ?? this.run?.id);
  }

  resume(socket, { after_seq, epoch }) {
    const reset = epoch !== undefined && epoch !== this.epoch;
    const run = this.run ? { run_id: this.run.id, status: 'running' } : null;
    send(socket, { type: 'ready', session_id: this.id, chat_id: this.chatId, epoch: this.epoch, last_seq: this.seq, reset, run });
    for (const frame of this.log) if (frame.seq > (reset ? 0 : after_seq)) send(socket, frame);
    if (this.run?.text) send(socket, { type: 'agent_partial', content: this.run.text, run_id: this.run.id, seq: this.seq });
    this.listeners.add(socket);
  }

  ask(socket, { content, message_id }) {
    this.listeners.add(socket);
    const known = this.accepted.get(message_id);
    if (known) return send(socket, known);
    if (content.trim() === '') {
      return send(socket, { type: 'error', content: 'Empty message', code: 'VALIDATION_ERROR', field: 'content', message_id });
    }
    if (/too many/i.test(content)) {
      return send(socket, { type: 'error', content: 'Too many messages in a short time', code: 'RATE_LIMITED', retry_after_ms: 12_000, message_id, retryable: true });
    }
    const run_id = `run_${this.id}_${this.accepted.size + 1}`;
    const user = { type: 'user', content, ...(message_id && { message_id }), run_id, timestamp: new Date().toISOString() };
    this.keep(user);
    this.accepted.set(message_id ?? run_id, user);
    this.queue.push({ id: run_id, content });
    if (this.run) this.keep({ type: 'run', run_id, status: 'queued', position: this.queue.length });
    else void this.work();
  }

  async work() {
    const next = this.queue.shift();
    if (!next) return;
    this.run = { ...next, text: '', stopped: false };
    this.keep({ type: 'run', run_id: next.id, status: 'running' });
    const run = this.run;
    const { steps, answer, ending } = script(next.content);
    for (const step of steps) await this.step(run, step);
    const status = run.stopped ? 'stopped' : (ending?.status ?? 'finished');
    this.keep({
      type: 'agent', content: run.text, diagram: null, timestamp: new Date().toISOString(), status, run_id: run.id,
      usage: { input_tokens: 412, output_tokens: Math.ceil(run.text.length / 4) }, ...(status === 'finished' ? answer : {}),
    });
    if (status === 'failed') this.keep({ type: 'error', run_id: run.id, ...ending.error });
    this.run = undefined;
    void this.work();
  }

  async step(run, step) {
    if (run.stopped) return;
    if (step.text !== undefined) return this.stream(run, step.text, step.tokenMs ?? this.tokenMs);
    if (step.step !== undefined) {
      this.keep({ type: 'step', name: step.step, run_id: run.id, timestamp: new Date().toISOString() });
      return pause(step.ms ?? 0);
    }
    if (step.sources !== undefined) return this.keep({ type: 'sources', sources: step.sources, run_id: run.id });
    if (step.ask !== undefined) return this.askPerson(run, step);
    const call_id = `call_${this.seq}`;
    this.keep({ type: 'tool_call', call_id, tool_name: step.tool, arguments: step.arguments, run_id: run.id });
    await pause(step.ms);
    if (run.stopped) return;
    this.keep({
      type: 'tool', content: JSON.stringify(step.result), tool_name: step.tool, call_id, run_id: run.id, duration_ms: step.ms,
      ...(step.is_error && { is_error: true }),
    });
  }

  /** Asks about calls at the same time, and goes on when all are decided or the answer is stopped. */
  async askPerson(run, { ask }) {
    const calls = ask.map(({ tool, ...call }) => ({ call_id: `call_${this.seq}-${Math.random().toString(16).slice(2, 10)}`, tool_name: tool, ...call }));
    run.asking = new Map();
    const decided = calls.map(({ call_id, tool_name, result, ...call }) => {
      this.keep({ type: 'tool_call', call_id, tool_name, arguments: call.arguments, run_id: run.id });
      const expires_at = new Date(Date.now() + this.waitMs).toISOString();
      this.keep({ type: 'approval', call_id, state: 'requested', tool_name, arguments: call.arguments, digest: '5f'.repeat(32), expires_at, run_id: run.id, timestamp: new Date().toISOString() });
      return new Promise((resolve) => run.asking.set(call_id, resolve)).then((outcome) => {
        run.asking.delete(call_id);
        this.keep({ type: 'approval', call_id, ...outcome, run_id: run.id, timestamp: new Date().toISOString() });
        const agreed = outcome.state === 'approved';
        const content = JSON.stringify(agreed ? result : { error: 'this call was refused' });
        this.keep({ type: 'tool', content, tool_name, call_id, run_id: run.id, duration_ms: agreed ? 84 : 0, ...(!agreed && { is_error: true }) });
      });
    });
    const expire = setTimeout(() => run.asking.forEach((resolve) => resolve({ state: 'expired' })), this.waitMs);
    await Promise.all(decided);
    clearTimeout(expire);
  }

  decide(socket, { call_id, approved }) {
    const resolve = this.run?.asking?.get(call_id);
    if (!resolve) return send(socket, { type: 'error', content: 'This call does not wait any more: it was decided, or its time is over', code: 'VALIDATION_ERROR', field: 'call_id', retryable: false });
    resolve({ state: approved ? 'approved' : 'refused', by: 'local' });
  }

  async stream(run, text, tokenMs) {
    for (const word of text.match(/\s*\S+\s*?/g) ?? []) {
      while (run.text.length >= this.holdsAt && !run.stopped) await pause(20);
      if (run.stopped) return;
      run.text += word;
      this.seq += 1;
      for (const socket of this.listeners) send(socket, { type: 'agent_partial', delta: word, run_id: run.id, seq: this.seq });
      if (tokenMs > 0) await pause(tokenMs);
    }
  }

  stop(runId) {
    if (this.run?.id === runId) {
      this.run.stopped = true;
      this.run.asking?.forEach((resolve) => resolve({ state: 'expired' }));
    }
    const at = this.queue.findIndex((each) => each.id === runId);
    if (at < 0) return;
    this.queue.splice(at, 1);
    this.keep({ type: 'agent', content: '', diagram: null, timestamp: new Date().toISOString(), status: 'stopped', run_id: runId });
  }

  keep(frame) {
    this.updatedAt = new Date().toISOString();
    frame.seq = ++this.seq;
    this.log.push(frame);
    for (const socket of this.listeners) send(socket, frame);
  }
}

function send(socket, frame) {
  if (socket.readyState === 1) socket.send(JSON.stringify(frame));
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const mock = await startMock({ port: Number(process.env.PORT ?? 8090), tokenMs: 40 });
  console.log(`mock server on ${mock.url}`);
}
