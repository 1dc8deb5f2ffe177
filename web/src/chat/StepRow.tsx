//! The steps of a run: one line that changes in place while they go on, folded when they are done.

import { Collapsible } from 'radix-ui';
import { memo } from 'react';
import { isOpen, openApprovals, type Run } from '../conversation/model';
import { Busy } from '../shell/controls';
import { RowTrigger } from './Row';
import { countSources, stepLines, stepTitle, wholeTime } from './steps';

/** So few steps say nothing that the answer does not say itself. */
const WORTH = 3;

/** The line, which opens to all steps with their times. */
export const StepRow = memo(function StepRow({ run }: { run: Run }) {
  const open = isOpen(run);
  const last = run.steps.at(-1);
  if (last === undefined || (!open && run.steps.length < WORTH)) return null;
  // One step with tools is told by its tools.
  if (run.steps.length === 1 && run.tools.length > 0) return null;
  const waits = open && openApprovals(run).length > 0;
  const title = waits ? 'Waits for your decision' : open ? stepTitle(last.name, 'running') : summary(run);
  return (
    <Collapsible.Root className="mb-3" data-testid="steps" data-running={open}>
      <RowTrigger title={title} meta={open ? undefined : `${run.steps.length} steps${after(wholeTime(run))}`} state={open && !waits ? 'running' : 'done'} />
      <Collapsible.Content className="mt-1 ml-2 border-l border-line pl-4">
        <ol className="flex flex-col py-1 text-sm text-muted">
          {stepLines(run).map((line, index) => (
            <li key={index} className="flex min-h-6 items-center gap-2" data-testid="step">
              <span className={line.running ? 'text-ink' : ''}>{line.title}</span>
              {line.running && <Busy />}
              {line.took !== undefined && <span className="ml-auto tabular-nums">{line.took}</span>}
            </li>
          ))}
        </ol>
      </Collapsible.Content>
    </Collapsible.Root>
  );
});

function summary({ sources, steps }: Run): string {
  if (sources.length > 0) return `Found ${countSources(sources.length)}`;
  const searched = steps.some((step) => step.name === 'retrieve');
  return searched ? 'Searched the documents' : 'Worked on the answer';
}

function after(time: string | undefined): string {
  return time === undefined ? '' : ` · ${time}`;
}
