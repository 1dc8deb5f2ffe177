//! The button that copies, and says so for a moment.

import { useCopying } from './clipboard';
import { IconButton } from './controls';
import { CheckIcon, CopyIcon } from './icons';

/** Copies `text`; `label` says what that is. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const { copied, copy } = useCopying();
  return (
    <IconButton label={copied ? 'Copied' : label} onClick={() => copy(text)}>
      {copied ? <CheckIcon /> : <CopyIcon />}
    </IconButton>
  );
}
