//! What can be done with the keyboard alone, in a dialog that `?` opens.

import { Dialog } from 'radix-ui';
import { IconButton } from './controls';
import { CloseIcon } from './icons';
import { OverPage } from './OverPage';

/** Keys, and what they do. Of a step of keys, `+` holds them together. */
type Key = readonly [keys: string, does: string];

const COMMAND = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';

const EVERYWHERE: readonly Key[] = [[`${COMMAND} K`, 'Find'], ['?', 'Show these keys'], ['Esc', 'Close what lies over the page']];

/** The keys of a conversation. */
export const CHAT_KEYS: readonly Key[] = [
  ['/', 'Write a question'],
  ['Enter', 'Send it'],
  ['Shift Enter', 'Begin a new line'],
  ['↑', 'Edit the last question, in the empty field'],
  ['Esc', 'Stop the answer'],
  ...EVERYWHERE,
];

/** The keys of a table. */
export const TABLE_KEYS: readonly Key[] = [
  ['/', 'Write a filter'],
  ['← ↑ → ↓', 'Move between cells'],
  [`${COMMAND} Home`, 'To the first row'],
  [`${COMMAND} End`, 'To the last row'],
  ['Enter', 'Edit the cell, and keep what was written'],
  ['Esc', 'Leave the cell as it was'],
  ['Space', 'Open the record'],
  ['Delete', 'Delete the record, after a question'],
  ...EVERYWHERE,
];

interface KeysHelpProps {
  open: boolean;
  onOpenChange(open: boolean): void;
  keys: readonly Key[];
}

/** The dialog. */
export function KeysHelp({ open, onOpenChange, keys }: KeysHelpProps) {
  return (
    <OverPage open={open} onOpenChange={onOpenChange} testId="keys-help" className="max-h-[76vh] w-[min(28rem,calc(100vw-2rem))] overflow-y-auto p-4">
      <div className="mb-2 flex items-center justify-between">
        <Dialog.Title className="font-medium">Keyboard</Dialog.Title>
        <Dialog.Close asChild><IconButton label="Close"><CloseIcon /></IconButton></Dialog.Close>
      </div>
      <dl className="text-sm">
        {keys.map(([pressed, does]) => (
          <div key={does} className="flex min-h-9 items-center justify-between gap-4 border-t border-line py-1">
            <dt className="order-last flex shrink-0 gap-1">
              {pressed.split(' ').map((key) => <kbd key={key} className="rounded border border-edge bg-side px-2">{key}</kbd>)}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </OverPage>
  );
}
