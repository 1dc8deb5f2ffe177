//! Copying text, also where the page is not served securely and the browser hides its clipboard.

import { useEffect, useState } from 'react';
import { say } from './notices';

/** Copies; false where the browser does not allow it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    // Over plain http `navigator.clipboard` is missing, whatever the types say.
    const clipboard: Clipboard | undefined = navigator.clipboard;
    if (clipboard !== undefined) {
      await clipboard.writeText(text);
      return true;
    }
  } catch {
    // Not allowed; the old way may be.
  }
  return copyBySelection(text);
}

/** Lets the browser copy a selection, as it does for Ctrl C. */
function copyBySelection(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.setAttribute('aria-hidden', 'true');
  field.style.cssText = 'position:fixed;opacity:0';
  document.body.append(field);
  field.select();
  try {
    return document.execCommand('copy');
  } finally {
    field.remove();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  }
}

/** How long a button says that it has copied. */
const SAYS_MS = 1_500;

/** Whether it was copied just now, and a way to do it. What cannot be copied is said. */
export function useCopying(): { readonly copied: boolean; copy(text: string): void } {
  const [copied, setCopied] = useState(0);
  useEffect(() => {
    if (copied === 0) return;
    const timer = setTimeout(() => setCopied(0), SAYS_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (text: string) =>
    void copyText(text).then((done) => (done ? setCopied((before) => before + 1) : say('The browser does not allow copying here', 'bad')));
  return { copied: copied > 0, copy };
}
