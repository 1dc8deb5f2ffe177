//! The conversation: runs in order, unsent messages after them, and the end in view while the person is there.

import { useEffect } from 'react';
import type { View } from '../conversation/store';
import { AlertIcon, CloseIcon, DownIcon } from '../shell/icons';
import { IconButton } from '../shell/controls';
import type { Catalog, Resource } from '../server/resources';
import { EmptyState } from './EmptyState';
import { useFollowing } from './follow';
import { OutboxView } from './OutboxView';
import { RunView, type RunActions } from './RunView';

interface ThreadProps {
  view: View;
  catalog: Resource<Catalog>;
  actions: RunActions;
  onEditUnsent(messageId: string): void;
  onWithdraw(messageId: string): void;
  onResubmit(messageId: string): void;
  onDismiss(noticeId: number): void;
}

/** Draws the scrolling middle of the page. */
export function Thread({ view, catalog, actions, onEditUnsent, onWithdraw, onResubmit, onDismiss }: ThreadProps) {
  const following = useFollowing();
  const { conversation, outbox } = view;
  const { toEnd } = following;
  // Asking is a wish to see the answer, wherever one has scrolled to.
  const newestUnsent = outbox.at(-1)?.messageId;
  useEffect(() => toEnd(), [newestUnsent, toEnd]);
  const online = view.connection.state === 'online';
  const isEmpty = conversation.runs.length === 0 && outbox.length === 0;
  return (
    <div className="relative min-h-0 flex-1" data-live={online}>
      <div ref={following.box} className="h-full overflow-y-auto overscroll-contain px-4 [scrollbar-gutter:stable_both-edges]" tabIndex={-1}>
        <div ref={following.content} className="mx-auto flex min-h-full w-full max-w-[38rem] flex-col pt-4 pb-8">
          {isEmpty && isKnownEmpty(view) && <EmptyState catalog={catalog} onAsk={actions.ask} />}
          {conversation.runs.map((run) => {
            const mayAsk = run.approvals.length > 0;
            return <RunView key={run.runId} run={run} actions={actions} deciding={mayAsk ? view.deciding : NONE} online={!mayAsk || online} />;
          })}
          <OutboxView items={outbox} online={online} onEdit={onEditUnsent} onWithdraw={onWithdraw} onResubmit={onResubmit} />
          {conversation.notices.map((notice) => (
            <p key={notice.id} role="alert" className="mt-2 flex items-center gap-2 rounded-lg bg-bad-tint py-1 pr-1 pl-3 text-sm text-bad">
              <AlertIcon />
              <span className="flex-1">{notice.failure.message}</span>
              <IconButton label="Dismiss" onClick={() => onDismiss(notice.id)}><CloseIcon /></IconButton>
            </p>
          ))}
        </div>
      </div>
      {following.standing !== 'end' && (
        <button
          type="button"
          data-testid={following.standing === 'new' ? 'new-below' : 'to-end'}
          aria-label={following.standing === 'new' ? undefined : 'To the newest'}
          title="To the newest"
          onClick={toEnd}
          className="appear absolute bottom-3 left-1/2 flex h-8 min-w-8 -translate-x-1/2 items-center justify-center gap-2 rounded-full border border-edge bg-page px-2 text-sm text-ink hover:bg-hover pointer-coarse:h-10 pointer-coarse:min-w-10"
        >
          <DownIcon />{following.standing === 'new' && <span className="pr-1">New below</span>}
        </button>
      )}
    </div>
  );
}

/** Runs about which nobody is asked are not drawn again when a decision goes out. */
const NONE: readonly string[] = [];

/** Before the history has come, an empty page says nothing: it would be wrong for the blink of an eye. */
function isKnownEmpty({ caughtUp, connection, conversation }: View): boolean {
  return caughtUp || conversation.notices.length > 0 || !/^(?:idle|connecting|online)$/.test(connection.state);
}
