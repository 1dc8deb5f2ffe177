//! A dialog that lies over the page near its top: what is below is veiled, Esc and a click beside it close it, and the focus
//! goes back to where it was.

import { Dialog } from 'radix-ui';
import type { ReactNode } from 'react';
import { useFocusBack } from './focus';

interface OverPageProps {
  open: boolean;
  onOpenChange(open: boolean): void;
  /** Its width, its height and how what is in it is laid out. Has a `Dialog.Title`. */
  className: string;
  testId?: string;
  children: ReactNode;
}

/** The frame. What is in it is made anew each time it opens. */
export function OverPage({ open, onOpenChange, ...content }: OverPageProps) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="appear fixed inset-0 z-20 bg-veil" />
        <Content {...content} />
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Content({ className, testId, children }: Pick<OverPageProps, 'className' | 'testId' | 'children'>) {
  const focusBack = useFocusBack();
  return (
    <Dialog.Content
      aria-describedby={undefined}
      data-testid={testId}
      onCloseAutoFocus={focusBack}
      className={`appear fixed top-[12vh] left-1/2 z-30 -translate-x-1/2 rounded-xl border border-edge bg-page ${className}`}
    >
      {children}
    </Dialog.Content>
  );
}
