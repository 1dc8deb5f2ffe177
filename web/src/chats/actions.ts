//! What can be done with a chat of the list: rename, branch, save, delete. Errors are sentences for the person.

import { openPort } from '../connection/port';
import type { ServerFrame } from '../conversation/frames';
import { emptyConversation, type Conversation } from '../conversation/model';
import { reduce } from '../conversation/reduce';
import { fileName, saveFile, toJson, toMarkdown } from '../conversation/transcript';
import { authorized } from '../server/access';
import type { ChatSummary } from '../server/resources';
import { branchTitle } from './branches';
import { openChat } from './session';

/** A chat as the server knows it; without an id the server has not heard of it. */
export type Named = Pick<ChatSummary, 'chat_id' | 'title'>;

/** Gives a chat another title. */
export async function renameChat(chat: Named, title: string): Promise<void> {
  await call('PUT', `/api/chat/${chat.chat_id}`, { title });
}

/** Deletes a chat with all that was said in it. */
export async function deleteChat(chat: Named): Promise<void> {
  await call('DELETE', `/api/chat/${chat.chat_id}`);
}

interface Messages {
  readonly messages: readonly { readonly id: string }[];
}

/** Opens a new chat that begins as this one: with everything, or up to an answer and with it. */
export async function branchFrom(chat: Named, answerId?: number): Promise<void> {
  const upTo = answerId === undefined ? undefined : await placeOf(chat, answerId);
  const { chat_id } = await call<{ chat_id: string }>('POST', '/api/chat/branch', {
    parent_id: chat.chat_id,
    title: branchTitle(chat.title),
    ...(upTo === undefined ? {} : { branch_point_idx: upTo }),
  });
  openChat(chat_id);
}

/** How many messages there are up to an answer and with it. */
async function placeOf(chat: Named, answerId: number): Promise<number> {
  const { messages } = await call<Messages>('GET', `/api/chat/${chat.chat_id}/messages`);
  const index = messages.findIndex((message) => message.id === String(answerId));
  if (index < 0) throw new Error('The server does not list this answer; branch from another one');
  return index + 1;
}

/** The forms in which a chat is saved. */
export type Form = 'markdown' | 'json';

/** Saves a chat as a file. A conversation that is not open here is read first. */
export async function saveChat(chat: Named & Pick<ChatSummary, 'session_id'>, form: Form, open?: Conversation): Promise<void> {
  const conversation = open ?? (await readConversation(chat.session_id));
  if (form === 'markdown') saveFile(fileName(chat.title, 'md'), 'text/markdown', toMarkdown(conversation));
  else saveFile(fileName(chat.title, 'json'), 'application/json', toJson(conversation, chat.title, new Date()));
}

/** How long a chat may take to be read. */
const READS_WITHIN_MS = 20_000;

/** Everything that was said in a session so far. */
function readConversation(sessionId: string): Promise<Conversation> {
  return new Promise((resolve, reject) => {
    const port = openPort(sessionId);
    const frames: ServerFrame[] = [];
    let until: number | undefined;
    const end = (finish: () => void) => {
      clearTimeout(timer);
      port.close();
      finish();
    };
    const fail = () => end(() => reject(new Error('The chat cannot be read at the moment; try again')));
    const timer = setTimeout(fail, READS_WITHIN_MS);
    port.subscribe({
      frame: (frame) => {
        frames.push(frame);
        if (frame.type === 'ready') until = frame.last_seq;
        const seq = 'seq' in frame ? (frame.seq ?? 0) : 0;
        if (until !== undefined && seq >= until) end(() => resolve(reduce(emptyConversation, frames)));
      },
      status: (status) => /^(?:waiting|failed|refused)$/.test(status.state) && fail(),
    });
  });
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, authorized({ method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) }));
  } catch {
    throw new Error('The server cannot be reached; try again in a moment');
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw new Error(sentenceOf(answer) ?? `The server answered ${response.status}; try again in a moment`);
  return answer as T;
}

function sentenceOf(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('message' in answer)) return undefined;
  return typeof answer.message === 'string' ? answer.message : undefined;
}
