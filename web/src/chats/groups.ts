//! The list of chats as the sidebar shows it.

import type { ChatSummary } from '../server/resources';

/** Chats of one day group, newest first. */
export interface ChatGroup {
  readonly name: 'Today' | 'Yesterday' | 'Last 7 days' | 'Earlier';
  readonly chats: readonly ChatSummary[];
}

/** Groups chats by the day of their last change in the person's own time zone; empty groups are left out. */
export function groupChats(chats: readonly ChatSummary[], now: Date): readonly ChatGroup[] {
  const names = ['Today', 'Yesterday', 'Last 7 days', 'Earlier'] as const;
  const sorted = [...chats].sort((a, b) => b.updated_at.localeCompare(a.updated_at));
  return names
    .map((name) => ({ name, chats: sorted.filter((chat) => dayName(new Date(chat.updated_at), now) === name) }))
    .filter((group) => group.chats.length > 0);
}

function dayName(day: Date, now: Date): ChatGroup['name'] {
  const daysAgo = (days: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  if (day >= daysAgo(0)) return 'Today';
  if (day >= daysAgo(1)) return 'Yesterday';
  return day >= daysAgo(7) ? 'Last 7 days' : 'Earlier';
}

/** A chat that the server has not heard of, because its first question has not left yet. */
export function unsentChat(sessionId: string, firstQuestion: string): ChatSummary {
  return { session_id: sessionId, chat_id: '', title: titleOf(firstQuestion), updated_at: new Date().toISOString(), running: false };
}

/** A chat's title from its first question: the first line, at most 80 characters. */
export function titleOf(question: string): string {
  return question.trim().split('\n')[0]?.slice(0, 80) ?? '';
}

/** The chats of the server, with those that only this browser knows. */
export function withUnsent(chats: readonly ChatSummary[], unsent: readonly ChatSummary[]): readonly ChatSummary[] {
  const strangers = unsent.filter((mine) => !chats.some((chat) => chat.session_id === mine.session_id && chat.title !== ''));
  return [...strangers, ...chats];
}

/** The chats of the server, with the open one first if the server has not heard of it. Chats without a word are left out. */
export function withCurrent(chats: readonly ChatSummary[], current: ChatSummary): readonly ChatSummary[] {
  const known = chats.find((chat) => chat.session_id === current.session_id);
  const others = chats.filter((chat) => chat !== known && chat.title !== '');
  const mine = known ? { ...known, title: known.title || current.title, running: current.running || known.running } : current;
  return [mine, ...others];
}
