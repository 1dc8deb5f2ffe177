//! What the page knows beyond one conversation's view: the canvas, the connection in words, the list of chats.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { afterRun, closedCanvas, type CanvasState } from '../canvas/state';
import { titleOf, unsentChat, withCurrent, withUnsent } from '../chats/groups';
import { describe, type Words } from '../connection/words';
import { isOpen, type Conversation, type Run } from '../conversation/model';
import { unsentSessions } from '../conversation/outbox';
import type { View } from '../conversation/store';
import type { ChatSummary, Health, Resource } from '../server/resources';
import { useNow, useOnline } from './hooks';
import { localStore } from './storage';

/** The chats for the list, the open one among them, also before the server lists it. */
export function useListed(view: View, chats: readonly ChatSummary[] | undefined): readonly ChatSummary[] {
  const { sessionId, conversation: { runs } } = view;
  const first = runs[0];
  const last = runs.at(-1)?.askedAt;
  const running = view.active !== undefined;
  const unsent = view.outbox.length;
  return useMemo(() => {
    const local = unsentSessions(localStore).map((each) => unsentChat(each.sessionId, each.first));
    return withCurrent(withUnsent(chats ?? [], local), current(sessionId, first, last, running));
  }, [sessionId, first?.question, last, running, chats, unsent]);
}

function current(sessionId: string, first: Run | undefined, last: string | undefined, running: boolean): ChatSummary {
  return {
    session_id: sessionId,
    chat_id: '',
    title: titleOf(first?.question ?? ''),
    updated_at: last || new Date().toISOString(),
    running,
  };
}

/** The canvas, which follows answers that end while the person looks on, and the last one of a reopened chat. */
export function useCanvas(view: View, hasRoom: boolean): [CanvasState, (change: Partial<CanvasState>) => void] {
  const [canvas, setCanvas] = useState(closedCanvas);
  const change = useCallback((next: Partial<CanvasState>) => setCanvas((before) => ({ ...before, ...next })), []);
  const ended = view.conversation.runs.findLast((run) => run.status === 'finished');
  const seen = useRef<string>(undefined);
  useEffect(() => {
    if (!view.caughtUp || ended === undefined || seen.current === ended.runId) return;
    seen.current = ended.runId;
    // On a phone the canvas would cover the answer, so there it waits behind its button.
    if (hasRoom) setCanvas((before) => afterRun(before, ended));
  }, [view.caughtUp, ended, hasRoom]);
  return [canvas, change];
}

/** The connection in words, with its countdown. */
export function useWords(view: View, health: Health | undefined): Words {
  const offline = !useOnline();
  const now = useNow(view.connection.state === 'waiting');
  const draining = health?.status === 'draining';
  const unsent = view.outbox.length;
  return useMemo(() => describe(view.connection, { offline, now, draining, unsent }), [view.connection, offline, now, draining, unsent]);
}

/** Whether an answer has ended since the person last looked at this tab. */
export function useUnseen({ runs }: Conversation): boolean {
  const [unseen, setUnseen] = useState(false);
  const last = runs.at(-1);
  const ended = last !== undefined && last.live && !isOpen(last) ? last.runId : undefined;
  useEffect(() => {
    if (ended !== undefined && document.visibilityState === 'hidden') setUnseen(true);
  }, [ended]);
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && setUnseen(false);
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  return unseen;
}

/** Reads the lists again when a run begins or ends, when the connection comes back, and when the chat is gone. */
export function useRefreshing(view: View, ...resources: readonly Pick<Resource<unknown>, 'refresh'>[]): void {
  const moment = `${view.active?.runId ?? ''} ${view.connection.state === 'online'} ${view.conversation.runs.length} ${view.conversation.deletedBy ?? ''}`;
  const refreshers = useRef<readonly Pick<Resource<unknown>, 'refresh'>[]>(resources);
  refreshers.current = resources;
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    for (const resource of refreshers.current) resource.refresh();
  }, [moment]);
}

