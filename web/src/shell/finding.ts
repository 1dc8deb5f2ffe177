//! Finding by typing: which entries of the palette match, best first.

/** Something that the palette can find. */
export interface Entry {
  readonly id: string;
  readonly kind: 'Action' | 'Chat' | 'Table' | 'Collection';
  readonly title: string;
  /** Said in grey beside the title. */
  readonly detail?: string;
  run(): void;
}

/** Entries shown of many. */
const LIMIT = 30;

/** Entries in which every typed word occurs; where the title begins with it first. Order is kept otherwise. */
export function findEntries(entries: readonly Entry[], typed: string): readonly Entry[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = entries
    .map((entry, index) => ({ entry, index, score: scoreOf(entry, words) }))
    .filter((each) => each.score >= 0);
  scored.sort((a, b) => b.score - a.score || a.index - b.index);
  return scored.slice(0, LIMIT).map((each) => each.entry);
}

function scoreOf(entry: Entry, words: readonly string[]): number {
  const title = entry.title.toLowerCase();
  const all = `${title} ${entry.detail?.toLowerCase() ?? ''} ${entry.kind.toLowerCase()}`;
  if (!words.every((word) => all.includes(word))) return -1;
  const first = words[0];
  if (first === undefined) return 0;
  if (title.startsWith(first)) return 3;
  if (new RegExp(`[\\s_.-]${escape(first)}`).test(title)) return 2;
  return title.includes(first) ? 1 : 0;
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
