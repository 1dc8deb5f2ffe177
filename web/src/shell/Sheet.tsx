//! A column that slides over the conversation where there is no room for it beside.

import { Dialog } from 'radix-ui';
import type { ReactNode } from 'react';
import { useFocusBack } from './focus';

interface SheetProps {
  open: boolean;
  onOpenChange(open: boolean): void;
  /** For screen readers; the content has its own visible heading. */
  title: string;
  side: 'left' | 'right';
  children: ReactNode;
}

/** The left sheet leaves a strip of the conversation to tap on; the right one needs the width of a phone. */
const SIDE = {
  left: 'left-0 w-[min(20rem,85vw)] border-r [--from:-24px]',
  right: 'right-0 w-full sm:w-[min(40rem,90vw)] sm:border-l [--from:24px]',
} as const;

/** Esc, a tap beside it, and its own buttons close it. */
export function Sheet({ open, onOpenChange, ...content }: SheetProps) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="appear fixed inset-0 z-20 bg-veil" />
        <Content {...content} />
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Content({ title, side, children }: Pick<SheetProps, 'title' | 'side' | 'children'>) {
  const focusBack = useFocusBack();
  return (
    <Dialog.Content aria-describedby={undefined} onCloseAutoFocus={focusBack} className={`glide fixed inset-y-0 z-30 border-line bg-page outline-none ${SIDE[side]}`}>
      <Dialog.Title className="sr-only">{title}</Dialog.Title>
      {children}
    </Dialog.Content>
  );
}
