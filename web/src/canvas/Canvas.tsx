//! The canvas beside the conversation: the diagram of an answer, the tables that can be asked about, the answer's sources.

import { Tabs } from 'radix-ui';
import { lazy, memo, Suspense } from 'react';
import type { CanvasTab } from '../conversation/frames';
import type { Run } from '../conversation/model';
import type { Catalog, Resource } from '../server/resources';
import { IconButton } from '../shell/controls';
import { CloseIcon, PinIcon } from '../shell/icons';
import { Origin } from './Origin';
import { Sources } from './Sources';
import type { CanvasState } from './state';
import { Tables } from './Tables';

const Diagram = lazy(() => import('./Diagram'));

interface CanvasProps {
  canvas: CanvasState;
  onChange(change: Partial<CanvasState>): void;
  /** Runs that brought a diagram, oldest first. */
  diagrams: readonly Run[];
  /** Runs that rest on sources, oldest first. */
  sourced: readonly Run[];
  catalog: Resource<Catalog>;
  onAskTable(table: string): void;
}

/** The canvas with its three views. */
export const Canvas = memo(function Canvas({ canvas, onChange, diagrams, sourced, catalog, onAskTable }: CanvasProps) {
  const shown = diagrams.find((run) => run.runId === canvas.runId) ?? diagrams.at(-1);
  return (
    <Tabs.Root
      value={canvas.tab}
      onValueChange={(tab) => onChange({ tab: tab as CanvasTab })}
      data-testid="canvas"
      className="flex h-full min-h-0 flex-col bg-page"
    >
      <header className="flex h-14 shrink-0 items-center gap-1 border-b border-line px-3">
        <Tabs.List aria-label="Canvas" className="flex h-full flex-1 items-stretch gap-1">
          <Tab value="diagram">Diagram</Tab>
          <Tab value="tables">Tables</Tab>
          <Tab value="sources">Sources</Tab>
        </Tabs.List>
        <IconButton label={canvas.pinned ? 'Unpin this view' : 'Pin this view'} aria-pressed={canvas.pinned} onClick={() => onChange({ pinned: !canvas.pinned })}>
          <PinIcon />
        </IconButton>
        <IconButton label="Close the canvas" data-testid="close-canvas" onClick={() => onChange({ open: false, pinned: false })}>
          <CloseIcon />
        </IconButton>
      </header>
      <Tabs.Content value="diagram" className="flex min-h-0 flex-1 flex-col outline-none" tabIndex={-1}>
        {shown?.diagram === undefined ? (
          <p className="m-auto max-w-72 p-6 text-center text-sm text-muted">No diagram yet. Ask how tables are related, and it is drawn here</p>
        ) : (
          <>
            <Origin label="Diagram of which question" runs={diagrams} shown={shown} onChoose={(runId) => onChange({ runId })} />
            <Suspense fallback={<p className="p-4 text-sm text-muted" role="status">Drawing…</p>}>
              <Diagram source={shown.diagram} title={shown.question} />
            </Suspense>
          </>
        )}
      </Tabs.Content>
      <Tabs.Content value="tables" className="flex min-h-0 flex-1 flex-col outline-none" tabIndex={-1}>
        <Tables catalog={catalog} onAsk={onAskTable} />
      </Tabs.Content>
      <Tabs.Content value="sources" className="flex min-h-0 flex-1 flex-col outline-none" tabIndex={-1}>
        <Sources runs={sourced} shown={canvas.source} onShow={(source) => onChange({ source })} />
      </Tabs.Content>
    </Tabs.Root>
  );
});

function Tab({ value, children }: { value: CanvasTab; children: string }) {
  return (
    <Tabs.Trigger
      value={value}
      className="-mb-px border-b-2 border-transparent px-3 text-sm font-medium text-muted hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
    >
      {children}
    </Tabs.Trigger>
  );
}
