//! A dialog that lies over the page near its top: what is below is veiled, Esc and a click beside it close it.

import { Dialog } from 'radix-ui';
import type { ReactNode } from 'react';

interface OverPageProps {
  open: boolean;
  onOpenChange(open: boolean): void;
  /** Its width, its height and how what is in it is laid out. Has a `Dialog.Title`. */
  className: string;
  testId?: string;
  children: ReactNode;
}

/** The frame. What is in it is made anew each time it opens. */
export function OverPage({ open, onOpenChange, className, testId, children }: OverPageProps) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="appear fixed inset-0 z-20 bg-veil" />
        <Dialog.Content
          aria-describedby={undefined}
          data-testid={testId}
          className={`appear fixed top-[12vh] left-1/2 z-30 -translate-x-1/2 rounded-xl border border-edge bg-page ${className}`}
        >
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
