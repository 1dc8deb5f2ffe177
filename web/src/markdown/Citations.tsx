//! Marks in an answer as buttons that open their source.
//!
//! Which sources there are comes by context, because a settled block of an answer is never drawn again, and its sources
//! may come later.

import { createContext, use } from 'react';
import type { Source } from '../conversation/frames';
import { citationPieces } from './citations';

/** The sources of the answer around, and the way to one of them. */
export interface Cited {
  readonly sources: readonly Source[];
  /** Shows the source of this number, counted from 1. */
  open(number: number): void;
}

/** No source is known: marks are only text. */
export const NOTHING_CITED: Cited = { sources: [], open: () => {} };

/** The answer's sources, for the marks in its text. */
export const CitedContext = createContext<Cited>(NOTHING_CITED);

/** A text with its marks. */
export function CitedText({ text }: { text: string }) {
  const pieces = citationPieces(text);
  if (pieces.length === 1 && typeof pieces[0] === 'string') return <>{text}</>;
  return <>{pieces.map((piece, index) => (typeof piece === 'string' ? piece : <Mark key={index} mark={piece.mark} numbers={piece.numbers} />))}</>;
}

/** A mark is a link only where all that it names is there; a model may cite what it was never given. */
function Mark({ mark, numbers }: { mark: string; numbers: readonly number[] }) {
  const { sources, open } = use(CitedContext);
  const found = numbers.map((number) => ({ number, source: sources[number - 1] }));
  if (found.some(({ source }) => source === undefined)) return <>{mark}</>;
  return (
    <>
      {found.map(({ number, source }) => (
        <button
          key={number}
          type="button"
          className="citation"
          data-testid="citation"
          aria-label={`Source ${number}: ${source?.title ?? ''}`}
          title={[source?.title, source?.section].filter(Boolean).join(' · ')}
          onClick={() => open(number)}
        >
          {number}
        </button>
      ))}
    </>
  );
}
