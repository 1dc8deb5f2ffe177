//! Which rows are on the screen, whatever their number.
//!
//! Browsers cut very tall elements off, so beyond a height the scroll bar stands for more than its pixels.

/** The height of a row in pixels. */
export const ROW = 36;
/** Every browser can scroll so far. */
const TALLEST = 12_000_000;
/** Rows that are drawn beyond each edge, so that scrolling shows no empty strip. */
const BEYOND = 8;

/** Where rows are drawn. */
export interface Layout {
  /** The height of the scrolled element. */
  readonly height: number;
  /** The first row that is drawn, and the one after the last. */
  readonly first: number;
  readonly end: number;
  /** Where the first one lies in the scrolled element. */
  readonly top: number;
}

/** Lays out `total` rows of which the ones at `scroll` are seen through `viewport` pixels. */
export function layOut(total: number, scroll: number, viewport: number): Layout {
  const whole = total * ROW;
  const height = Math.min(whole, TALLEST);
  const offset = offsetAt(whole, height, clamp(scroll, 0, Math.max(0, height - viewport)), viewport);
  const first = Math.max(0, Math.floor(offset / ROW) - BEYOND);
  const end = Math.min(total, Math.ceil((offset + viewport) / ROW) + BEYOND);
  return { height, first, end, top: scrollable(scroll, height, viewport) - offset + first * ROW };
}

function scrollable(scroll: number, height: number, viewport: number): number {
  return clamp(scroll, 0, Math.max(0, height - viewport));
}

/** How far into the rows a scroll position leads. */
function offsetAt(whole: number, height: number, scroll: number, viewport: number): number {
  if (whole === height) return scroll;
  return (scroll / (height - viewport)) * (whole - viewport);
}

/** The scroll position nearest to `scroll` at which a row is fully seen. */
export function scrollTo(row: number, total: number, scroll: number, viewport: number): number {
  const whole = total * ROW;
  const height = Math.min(whole, TALLEST);
  if (whole <= viewport) return 0;
  const offset = offsetAt(whole, height, clamp(scroll, 0, height - viewport), viewport);
  const wanted = clamp(offset, (row + 1) * ROW - viewport, row * ROW);
  return whole === height ? wanted : (wanted / (whole - viewport)) * (height - viewport);
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
