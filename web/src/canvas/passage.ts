//! A passage cut at the sentences that answer.

import type { Source } from '../conversation/frames';

/** A part of a passage, and whether it is what the answer rests on. */
export interface Part {
  readonly text: string;
  readonly marked: boolean;
}

/** The parts of a passage in order. Ranges that lie outside of it or over each other are left out. */
export function partsOf({ passage = '', highlights = [] }: Pick<Source, 'passage' | 'highlights'>): readonly Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const { start, end } of highlights) {
    if (start < at || end <= start || end > passage.length) continue;
    if (start > at) parts.push({ text: passage.slice(at, start), marked: false });
    parts.push({ text: passage.slice(start, end), marked: true });
    at = end;
  }
  if (at < passage.length) parts.push({ text: passage.slice(at), marked: false });
  return parts;
}

/** Where an address leads, for the person who is about to follow it: "example.org". */
export function hostOf(address: string): string {
  try {
    return new URL(address).host;
  } catch {
    return '';
  }
}

/** A score from 0 to 1 as it is shown: "0.91". */
export function scoreText(score: number): string {
  return Math.min(1, Math.max(0, score)).toFixed(2);
}
