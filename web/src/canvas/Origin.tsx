//! Which answer a view of the canvas belongs to.

import type { Run } from '../conversation/model';

interface OriginProps {
  /** The name of the choice, for screen readers. */
  label: string;
  /** The answers to choose from, oldest first. */
  runs: readonly Run[];
  shown: Run;
  onChoose(runId: string): void;
}

/** The question; a choice if there are several. */
export function Origin({ label, runs, shown, onChoose }: OriginProps) {
  return (
    <div className="shrink-0 border-b border-line px-4 py-2 text-sm text-muted">
      {runs.length === 1 ? (
        <p className="truncate">{shown.question}</p>
      ) : (
        <select aria-label={label} value={shown.runId} onChange={(event) => onChoose(event.target.value)} className="w-full truncate bg-page text-ink">
          {runs.map((run) => <option key={run.runId} value={run.runId}>{run.question}</option>)}
        </select>
      )}
    </div>
  );
}
