//! Moving a picture under a window: wheel and pinch zoom, drag, keys, and fitting it in.

/** Where the picture lies: its upper left corner in the window, and its scale. */
export interface Placement {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const MIN = 0.1;
const MAX = 4;
const MARGIN = 24;
/** Height that the toolbar covers at the bottom. */
const TOOLBAR = 32;

/** The whole picture, centred above the toolbar, never larger than it is. */
export function fit(picture: Size, view: Size): Placement {
  const room = { width: Math.max(view.width - 2 * MARGIN, 1), height: Math.max(view.height - 2 * MARGIN - TOOLBAR, 1) };
  const scale = clamp(Math.min(room.width / picture.width, room.height / picture.height, 1));
  return { scale, x: (view.width - picture.width * scale) / 2, y: (view.height - TOOLBAR - picture.height * scale) / 2 };
}

/** Scaled by `factor` so that the point under (`x`, `y`) of the window stays there. */
export function zoomAt(placement: Placement, factor: number, x: number, y: number): Placement {
  const scale = clamp(placement.scale * factor);
  const ratio = scale / placement.scale;
  return { scale, x: x - (x - placement.x) * ratio, y: y - (y - placement.y) * ratio };
}

/** Moved by so many pixels. */
export function moveBy(placement: Placement, dx: number, dy: number): Placement {
  return { ...placement, x: placement.x + dx, y: placement.y + dy };
}

/** How far a wheel event zooms; a pinch on a track pad arrives as a wheel with small steps. */
export function wheelFactor(deltaY: number, pinch: boolean): number {
  return Math.exp(-deltaY * (pinch ? 0.01 : 0.0015));
}

function clamp(scale: number): number {
  return Math.min(MAX, Math.max(MIN, scale));
}
