//! What the canvas shows, and when it opens by itself.

import { tabOf, type CanvasTab, type CanvasTrigger } from '../conversation/frames';
import type { Conversation, Run } from '../conversation/model';

/** The canvas as the person or an answer has set it. */
export interface CanvasState {
  readonly open: boolean;
  readonly tab: CanvasTab;
  /** A pinned canvas changes only by the person's own hand. */
  readonly pinned: boolean;
  /** Whose diagram is shown; undefined means the newest. */
  readonly runId?: string;
  /** Which source is shown. Each wish is an object of its own, so that the same one may be asked for again. */
  readonly source?: ShownSource;
}

/** The sources of one answer, and one of them, counted from 1, if one was chosen. */
export interface ShownSource {
  readonly runId: string;
  readonly number?: number;
}

export const closedCanvas: CanvasState = { open: false, tab: 'diagram', pinned: false };

/** From this confidence on, an answer opens the canvas by itself. */
export const CONFIDENT = 0.6;

/** The view that an answer would like, if it is sure enough to take it. */
export function wantedTab(trigger: CanvasTrigger | undefined): CanvasTab | undefined {
  if (!trigger || trigger.action === 'none' || (trigger.confidence ?? 0) < CONFIDENT) return undefined;
  return tabOf(trigger);
}

/** The canvas after an answer has arrived. */
export function afterRun(canvas: CanvasState, run: Run): CanvasState {
  const tab = wantedTab(run.trigger);
  if (canvas.pinned) return canvas;
  // Sources are looked at, not shown off: an open canvas turns to them, a closed one stays closed.
  if (tab === undefined) return canvas.open && run.sources.length > 0 ? { ...canvas, tab: 'sources', source: { runId: run.runId } } : canvas;
  if (tab === 'diagram') return run.diagram === undefined ? canvas : { ...canvas, open: true, tab, runId: run.runId };
  return { ...canvas, open: true, tab };
}

/** Runs that rest on sources, oldest first. */
export function runsWithSources(conversation: Conversation): readonly Run[] {
  return conversation.runs.filter((run) => run.sources.length > 0);
}

/** Runs that brought a diagram, oldest first. */
export function runsWithDiagram(conversation: Conversation): readonly Run[] {
  return conversation.runs.filter((run) => run.diagram !== undefined);
}
