//! The words of the `session_chat` dialect that the page's reducer reads, under the names that it uses.
//!
//! The types are the client's own. Lists that a newer server may lengthen are open there; the page closes them here, so
//! that everything behind this file can match them in full.

import type { AgentStatus, ApprovalState, CanvasTrigger, ChatFrame, RunStatus } from '@tidewire/client';

export type { CanvasTrigger, ErrorCode, MessageOptions, Source, Usage } from '@tidewire/client';

/** Everything that arrives. */
export type ServerFrame = ChatFrame;

/** The frame of one type. */
export type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { readonly type: T }>;

/** How a run can end. */
export type Ending = 'finished' | 'stopped' | 'failed' | 'interrupted';

/** How a run can be open. */
export type Waiting = 'queued' | 'running';

/** The ending that a status names; one that this page does not know is an ending all the same. */
export function asEnding(status: AgentStatus): Ending {
  const known: readonly Ending[] = ['stopped', 'failed', 'interrupted'];
  return known.find((ending) => ending === status) ?? 'finished';
}

/** Whether an open run waits or goes on. */
export function asWaiting(status: RunStatus): Waiting {
  return status === 'queued' ? 'queued' : 'running';
}

/** How a question to a person can end. */
export type Decided = 'approved' | 'refused' | 'expired';

/** The outcome that a state names; undefined while the question is open. */
export function asDecided(state: ApprovalState): Decided | undefined {
  const known: readonly Decided[] = ['approved', 'refused', 'expired'];
  return known.find((decided) => decided === state);
}

/** A view of the canvas. */
export type CanvasTab = 'diagram' | 'tables' | 'sources';

/** The view that a trigger speaks of, if this page has it. */
export function tabOf(trigger: CanvasTrigger): CanvasTab | undefined {
  if (trigger.view_type === 'table_list') return 'tables';
  return trigger.view_type === 'er_diagram' || trigger.view_type === 'relationship_graph' ? 'diagram' : undefined;
}
