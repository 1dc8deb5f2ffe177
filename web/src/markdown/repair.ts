//! Half-written markdown, made whole for showing.
//!
//! While an answer streams, its last lines may hold a `**` without its partner or half a link. Shown as they are, they
//! would flicker between punctuation and format. The repair is only for the screen; the text itself is never changed.

/** The tail of a streaming answer with what is open at its end closed. An open code fence needs no repair. */
export function repair(tail: string): string {
  const fence = openFence(tail);
  if (fence !== undefined) return dropHalfFence(tail, fence);
  const start = lastInlineStart(tail);
  return tail.slice(0, start) + repairInline(dropUnderline(tail.slice(start)));
}

/** The marker of the code fence that is open at the end, if one is. */
function openFence(text: string): string | undefined {
  let open: string | undefined;
  for (const [, marker = '', rest = ''] of text.matchAll(/^ {0,3}(`{3,}|~{3,})([^\n]*)$/gm)) {
    if (open === undefined) {
      if (marker[0] === '~' || !rest.includes('`')) open = marker;
    } else if (marker[0] === open[0] && marker.length >= open.length && rest.trim() === '') {
      open = undefined;
    }
  }
  return open;
}

/** One or two characters of a closing fence are not code. */
function dropHalfFence(text: string, fence: string): string {
  const lastLine = text.slice(text.lastIndexOf('\n') + 1);
  const isHalf = lastLine !== '' && lastLine.length < fence.length && fence.startsWith(lastLine);
  return isHalf && text.includes('\n') ? text.slice(0, text.length - lastLine.length) : text;
}

/** Where the last paragraph, list item, heading or table row begins: emphasis cannot reach over that. */
function lastInlineStart(text: string): number {
  const paragraph = text.lastIndexOf('\n\n') + 1;
  const lastLine = text.lastIndexOf('\n') + 1;
  const opensItem = /^\s*(?:[-*+]\s|\d+[.)]\s|#{1,6}\s|>|\|)/.exec(text.slice(lastLine));
  if (!opensItem) return Math.min(paragraph, lastLine);
  return lastLine + (opensItem[0].endsWith('|') ? 0 : opensItem[0].length);
}

/** A single `-` or `=` under a paragraph would turn it into a heading, but is nearly always a list that begins. */
function dropUnderline(text: string): string {
  return text.replace(/\n[-=*+]{1,2}$/, '\n');
}

/** Closes emphasis and code spans, and shows half a link as its text. */
function repairInline(text: string): string {
  const unlinked = text
    // Half a citation mark is nothing to look at yet.
    .replace(/\[\d[\d,; ]{0,8}$/, '')
    .replace(/!?\[([^\]\n]*)\]\([^)\n]*$/, '$1')
    .replace(/!?\[([^\]\n]*)$/, (whole, label: string) => (/^[ xX]?$/.test(label) && !whole.startsWith('!') ? whole : label));
  const open = openMarkers(unlinked);
  const last = open.at(-1);
  if (last === undefined) return unlinked;
  // A marker with nothing behind it yet has nothing to format.
  if (unlinked.endsWith(last)) return repairInline(unlinked.slice(0, -last.length));
  const space = /\s*$/.exec(unlinked)?.[0] ?? '';
  const body = unlinked.slice(0, unlinked.length - space.length);
  return body + open.reverse().join('') + space;
}

/** Markers of code, emphasis and strike-through that are open at the end, outermost first. */
function openMarkers(text: string): string[] {
  const open: string[] = [];
  for (const match of text.matchAll(/\\.|`+|\*{1,3}|~~|(?<![\p{L}\p{N}_])_{1,2}(?=\S)|(?<=\S)_{1,2}(?![\p{L}\p{N}_])/gsu)) {
    toggle(open, match[0], text[match.index - 1], text[match.index + match[0].length]);
  }
  return open;
}

function toggle(open: string[], marker: string, before: string | undefined, after: string | undefined): void {
  if (marker.startsWith('\\')) return;
  const inCode = open.at(-1)?.startsWith('`') ?? false;
  if (inCode && open.at(-1) !== marker) return;
  const at = open.lastIndexOf(marker);
  if (at >= 0 && (inCode || isText(before))) open.splice(at);
  else if (marker.startsWith('`') || after === undefined || isText(after)) open.push(marker);
}

function isText(character: string | undefined): boolean {
  return character !== undefined && !/\s/.test(character);
}
