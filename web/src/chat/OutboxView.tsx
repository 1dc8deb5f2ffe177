//! Messages that have not been taken by the server: visible, withdrawable, never sent twice.

import type { OutboxItem } from '../conversation/outbox';
import { TextButton } from '../shell/controls';
import { useNow } from '../shell/hooks';
import { inSeconds } from '../connection/words';

interface OutboxProps {
  items: readonly OutboxItem[];
  online: boolean;
  /** Takes the message back into the composer. */
  onEdit(messageId: string): void;
  onWithdraw(messageId: string): void;
  onResubmit(messageId: string): void;
}

/** The waiting messages, in the order in which they will leave. */
export function OutboxView({ items, online, ...actions }: OutboxProps) {
  if (items.length === 0) return null;
  return (
    <ul aria-label="Unsent messages" className="flex flex-col gap-3 py-4">
      {items.map((item) => <Item key={item.messageId} item={item} online={online} {...actions} />)}
    </ul>
  );
}

function Item({ item, online, onEdit, onWithdraw, onResubmit }: Omit<OutboxProps, 'items'> & { item: OutboxItem }) {
  const now = useNow(item.retryAt !== undefined);
  const mustWait = item.retryAt !== undefined && item.retryAt > now;
  return (
    <li data-testid="outbox-item" data-state={item.state} className="rounded-xl border border-dashed border-edge px-4 py-3">
      <p className="break-words whitespace-pre-wrap">{item.content}</p>
      <div className="mt-2 flex flex-wrap items-center gap-2 text-sm">
        <span className={`flex-1 basis-56 ${item.state === 'refused' ? 'text-bad' : 'text-muted'}`}>{sentence(item, online, now)}</span>
        <span className="flex flex-wrap gap-2">
          {item.state === 'refused' && (
            <TextButton data-testid="send-again" disabled={mustWait} onClick={() => onResubmit(item.messageId)}>Send again</TextButton>
          )}
          {item.state !== 'sent' && <TextButton onClick={() => onEdit(item.messageId)}>Edit</TextButton>}
          {item.state !== 'sent' && <TextButton data-testid="withdraw" onClick={() => onWithdraw(item.messageId)}>Withdraw</TextButton>}
        </span>
      </div>
    </li>
  );
}

function sentence(item: OutboxItem, online: boolean, now: number): string {
  switch (item.state) {
    case 'sent':
      return online ? 'Sending…' : 'Sent; not confirmed yet';
    case 'waiting':
      return 'Waits for the connection';
    case 'refused': {
      const reason = item.reason?.replace(/\.$/, '') ?? 'Not accepted';
      if (item.retryAt === undefined) return reason;
      return item.retryAt > now ? `${reason}. You can send it again ${inSeconds(item.retryAt - now)}` : `${reason}. You can send it again now`;
    }
  }
}
