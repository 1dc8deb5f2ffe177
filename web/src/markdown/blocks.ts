//! Streaming markdown in blocks: what has been read is not read again.
//!
//! Text only grows while it streams, so all but its last blocks are settled and keep their identity; a view that
//! compares by identity draws only the last. A block that becomes long is read again only after it has grown by a part
//! of its length, so that one huge list costs linear, not quadratic, work.

import { Lexer, type Token } from 'marked';
import { repair } from './repair';

/** A paragraph, list, table or code block. */
export interface Block {
  /** Where it starts in the text; stable while the text grows, so it serves as a key. */
  readonly start: number;
  readonly raw: string;
  readonly token: Token;
}

/** Up to this many characters the open end is read at each change. */
const ALWAYS = 4096;
/** Beyond, once it has grown by this part of its length. */
const GROWTH = 1 / 48;

/** Reads one text as it grows. One reader for each answer. */
export class BlockReader {
  private settled: Block[] = [];
  private settledText = '';
  private open: Block[] = [];
  private readLength = 0;
  private done = false;
  /** Characters handed to the lexer so far, for those who watch the cost. */
  work = 0;

  /** The blocks of `text`. With `done` false the end may be half-written and is repaired for showing. */
  read(text: string, done: boolean): readonly Block[] {
    const source = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
    if (!source.startsWith(this.settledText)) this.forget();
    const grown = source.length - this.readLength;
    const tailLength = source.length - this.settledText.length;
    if (done === this.done && (grown === 0 || (!done && grown > 0 && tailLength > ALWAYS && grown < tailLength * GROWTH))) {
      return this.blocks();
    }
    this.readTail(source.slice(this.settledText.length), done);
    this.readLength = source.length;
    this.done = done;
    return this.blocks();
  }

  private cached: readonly Block[] = [];

  /** The same array as long as nothing changed. */
  private blocks(): readonly Block[] {
    return this.cached;
  }

  private readTail(tail: string, done: boolean): void {
    this.work += tail.length;
    const tokens = new Lexer({ gfm: true }).lex(done ? tail : repair(tail));
    const before = new Map(this.open.map((block) => [block.start, block]));
    let start = this.settledText.length;
    this.open = tokens.map((token) => {
      const known = before.get(start);
      const block = known?.raw === token.raw ? known : { start, raw: token.raw, token };
      start += token.raw.length;
      return block;
    });
    if (!done) this.settle();
    this.cached = [...this.settled, ...this.open].filter((block) => block.token.type !== 'space');
  }

  /**
   * Sets aside what no further text can change. The last two blocks stay open: a character more may join them, as a
   * `#` that looked like a heading becomes the word `#1` of the paragraph before.
   */
  private settle(): void {
    const solid = this.open.filter((block) => block.token.type !== 'space');
    const firstOpen = solid.at(-2);
    if (!firstOpen) return;
    const count = this.open.indexOf(firstOpen);
    const settled = this.open.slice(0, count);
    this.settled = [...this.settled, ...settled];
    this.settledText += settled.map((block) => block.raw).join('');
    this.open = this.open.slice(count);
  }

  private forget(): void {
    this.settled = [];
    this.settledText = '';
    this.open = [];
    this.readLength = 0;
  }
}
