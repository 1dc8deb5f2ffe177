//! Citation marks in an answer: `[1]`, `[2, 3]`. Which of them are links is for whoever knows the sources.

/** Text as it is, or a mark with the numbers that it names. */
export type Piece = string | { readonly mark: string; readonly numbers: readonly number[] };

const MARK = /\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]/g;

/** Cuts a text at its marks. A text without marks is one piece. */
export function citationPieces(text: string): readonly Piece[] {
  if (!text.includes('[')) return [text];
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(MARK)) {
    if (match.index > at) pieces.push(text.slice(at, match.index));
    pieces.push({ mark: match[0], numbers: (match[1] ?? '').split(/[,;]/).map(Number) });
    at = match.index + match[0].length;
  }
  if (at < text.length || pieces.length === 0) pieces.push(text.slice(at));
  return pieces;
}
