//! Reads a finished answer aloud, once: a settled copy for screen readers, not every token. And says when a decision is
//! waited for.

import { useEffect, useRef, useState } from 'react';
import { activeRun, isOpen, openApprovals, type Conversation } from '../conversation/model';

/** Characters read aloud; the whole answer is in the page. */
const LIMIT = 600;

/** An invisible region which speaks when the newest run begins and ends while the person looks on. */
export function Announcer({ conversation }: { conversation: Conversation }) {
  const [spoken, setSpoken] = useState('');
  const last = conversation.runs.at(-1);
  const heard = useRef('');
  const state = last === undefined ? '' : `${last.runId}:${isOpen(last) ? 'open' : last.status}`;
  useEffect(() => {
    if (last === undefined || state === heard.current) return;
    heard.current = state;
    if (!isOpen(last) && last.live) setSpoken(`${endingWord(last.status)} ${plain(last.text).slice(0, LIMIT)}`);
  }, [last, state]);
  const asked = openApprovals(activeRun(conversation)).at(-1);
  useEffect(() => {
    if (asked !== undefined) setSpoken(`A decision is waited for: the assistant asks to use ${asked.tool}.`);
  }, [asked?.callId]);
  return (
    <div aria-live="polite" data-testid="announcer" className="sr-only">
      {spoken}
    </div>
  );
}

function endingWord(status: string): string {
  return status === 'finished' ? 'Answer:' : `The answer was ${status}.`;
}

/** Markdown without the marks that a screen reader would spell out. */
function plain(text: string): string {
  return text.replace(/```[\s\S]*?```/g, 'code block').replace(/[*_`#>|]+/g, ' ').replace(/\s+/g, ' ').trim();
}
