//! One question with its answer, in whatever state the answer is.

import { Collapsible } from 'radix-ui';
import { memo, useMemo, type ReactNode } from 'react';
import { tabOf } from '../conversation/frames';
import { isOpen, type Run } from '../conversation/model';
import { CitedContext } from '../markdown/Citations';
import { Markdown } from '../markdown/Markdown';
import { AgainIcon, AlertIcon, BranchIcon, ChevronIcon, DiagramIcon, PencilIcon, SourcesIcon, TableIcon } from '../shell/icons';
import { CopyButton } from '../shell/CopyButton';
import { Busy, IconButton, TextButton } from '../shell/controls';
import { Approvals } from './ApprovalCard';
import { heldBack } from './approvals';
import { StepRow } from './StepRow';
import { countSources } from './steps';
import { ToolRows } from './ToolRow';

/** What a person can do with a run. The same object for all runs, so that a finished run is never drawn again. */
export interface RunActions {
  ask(question: string): void;
  /** Takes a question into the composer, to be changed and asked again. */
  edit(question: string): void;
  stop(runId: string): void;
  showDiagram(runId: string): void;
  showTables(): void;
  /** Shows what the answer rests on; a source of it, counted from 1, if one is named. */
  showSources(runId: string, number?: number): void;
  decide(callId: string, approved: boolean): void;
  /** Begins a new chat with everything up to this answer. */
  branch(run: Run): void;
}

interface RunViewProps {
  run: Run;
  actions: RunActions;
  /** Calls of this run that were decided here and whose outcome has not come. */
  deciding: readonly string[];
  online: boolean;
}

/** Draws one run. */
export const RunView = memo(function RunView({ run, actions, deciding, online }: RunViewProps) {
  return (
    <article className="run flex flex-col gap-4 py-4" aria-label={`Question: ${run.question.slice(0, 80)}`} data-run={run.runId} data-status={run.status}>
      {run.question !== '' && <Question question={run.question} onEdit={actions.edit} />}
      {run.status === 'queued' ? <Queued run={run} actions={actions} /> : <Answer run={run} actions={actions} deciding={deciding} online={online} />}
    </article>
  );
});

/** What was asked, with what can be done about it at its side. */
function Question({ question, onEdit }: { question: string; onEdit(question: string): void }) {
  return (
    <div className="group/question relative">
      <div data-testid="message-user" className="rounded-xl bg-tint px-4 py-3 break-words whitespace-pre-wrap pointer-coarse:pr-24">
        {question}
      </div>
      <div className="absolute top-2 right-2 flex rounded-lg bg-tint opacity-0 group-hover/question:opacity-100 focus-within:opacity-100 pointer-coarse:top-1 pointer-coarse:opacity-100">
        <CopyButton text={question} label="Copy the question" />
        <IconButton label="Edit and ask again" data-testid="edit-question" onClick={() => onEdit(question)}><PencilIcon /></IconButton>
      </div>
    </div>
  );
}

function Queued({ run, actions }: { run: Run; actions: RunActions }) {
  const place = run.position && run.position > 1 ? `Queued behind ${run.position} other questions` : 'Queued behind the answer above';
  return (
    <div data-testid="queued" className="flex items-center justify-between gap-3 px-4 text-sm text-muted max-sm:px-0">
      <span>{place}</span>
      <TextButton onClick={() => actions.stop(run.runId)}>Withdraw</TextButton>
    </div>
  );
}

function Answer({ run, actions, deciding, online }: RunViewProps) {
  const open = isOpen(run);
  const held = heldBack(run);
  const tools = held.size === 0 ? run.tools : run.tools.filter((tool) => !held.has(tool.callId));
  const waitsForWords = open && run.text === '' && run.steps.length === 0 && !run.tools.some((tool) => tool.state === 'running');
  const { runId, sources } = run;
  const cited = useMemo(() => ({ sources, open: (number: number) => actions.showSources(runId, number) }), [sources, runId, actions]);
  return (
    <div className="min-w-0 px-4 max-sm:px-0">
      <div data-testid="message-agent" data-status={run.status} aria-busy={open}>
        <StepRow run={run} />
        <ToolRows tools={tools} open={open} />
        <Approvals run={run} deciding={deciding} online={online} onDecide={actions.decide} />
        {run.reasoning !== '' && <Reasoning run={run} />}
        {run.text !== '' && (
          <div className={open ? 'streaming' : undefined}>
            <CitedContext value={cited}><Markdown text={run.text} streaming={open} /></CitedContext>
          </div>
        )}
        {waitsForWords && <p className="flex min-h-6 items-center gap-2 text-sm text-muted"><Busy /> Thinking…</p>}
      </div>
      <Ending run={run} actions={actions} />
    </div>
  );
}

function Reasoning({ run }: { run: Run }) {
  return (
    <Collapsible.Root className="mb-3">
      <Collapsible.Trigger className="group -ml-1 flex min-h-7 items-center gap-2 rounded-lg px-1 text-sm text-muted hover:text-ink">
        <span className="transition-transform duration-100 group-data-[state=open]:rotate-90"><ChevronIcon /></span>
        {isOpen(run) && run.text === '' ? 'Reasoning…' : 'Reasoning'}
      </Collapsible.Trigger>
      <Collapsible.Content className="mt-1 ml-2 border-l border-line pl-4 text-sm whitespace-pre-wrap text-muted">{run.reasoning}</Collapsible.Content>
    </Collapsible.Root>
  );
}

/** How the run ended, what was kept, and what can be done about it. */
function Ending({ run, actions }: { run: Run; actions: RunActions }) {
  switch (run.status) {
    case 'queued':
    case 'running':
      return null;
    case 'finished':
      return <Footer run={run} actions={actions} />;
    case 'stopped':
      return (
        <Trouble run={run} actions={actions} tone="calm" sentence={run.text === '' ? 'Stopped before it began' : 'Stopped. What was written is kept'} />
      );
    case 'interrupted':
      return (
        <Trouble
          run={run}
          actions={actions}
          tone="calm"
          sentence={run.text === '' ? 'Interrupted by a restart of the server before anything was written' : 'Interrupted by a restart of the server. What was written is kept'}
        />
      );
    case 'failed':
      return <Trouble run={run} actions={actions} tone="bad" sentence={failureSentence(run)} />;
  }
}

function failureSentence(run: Run): string {
  const reason = run.failure?.message ?? 'The answer could not be finished';
  return run.text === '' ? reason : `${reason.replace(/\.$/, '')}. What was written is kept`;
}

function Trouble({ run, actions, tone, sentence }: { run: Run; actions: RunActions; tone: 'calm' | 'bad'; sentence: string }) {
  const colours = tone === 'bad' ? 'bg-bad-tint text-bad' : 'bg-busy-tint text-busy';
  return (
    <>
      <div role={run.live ? 'status' : undefined} data-testid="run-ending" className={`mt-3 flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg px-3 py-2 text-sm ${colours}`}>
        <span className="flex min-w-0 flex-1 basis-60 items-center gap-2"><AlertIcon /> <span>{sentence}{run.failure?.traceId !== undefined && <span className="block">Trace <code className="select-all">{run.failure.traceId}</code></span>}</span></span>
        <span className="flex gap-2">
          {run.text !== '' && <TextButton data-testid="continue" onClick={() => actions.ask('Continue where you stopped.')}>Continue</TextButton>}
          {(run.failure?.retryable ?? true) && <TextButton data-testid="ask-again" onClick={() => actions.ask(run.question)}>Ask again</TextButton>}
        </span>
      </div>
      {run.text !== '' && <Footer run={run} actions={actions} />}
    </>
  );
}

function Footer({ run, actions }: { run: Run; actions: RunActions }) {
  return (
    <div className="mt-2 flex min-h-8 flex-wrap items-center gap-2 text-sm text-muted">
      {run.diagram !== undefined && (
        <TextButton data-testid="show-diagram" onClick={() => actions.showDiagram(run.runId)}><DiagramIcon /> Diagram</TextButton>
      )}
      {run.trigger !== undefined && tabOf(run.trigger) === 'tables' && (
        <TextButton data-testid="show-tables" onClick={actions.showTables}><TableIcon /> Tables</TextButton>
      )}
      {run.sources.length > 0 && (
        <TextButton data-testid="show-sources" onClick={() => actions.showSources(run.runId)}><SourcesIcon /> {countSources(run.sources.length)}</TextButton>
      )}
      <span className="flex first:-ml-2">
        {run.text !== '' && <CopyButton text={run.text} label="Copy the answer" />}
        {run.status === 'finished' && run.question !== '' && (
          <IconButton label="Ask this again" data-testid="ask-anew" onClick={() => actions.ask(run.question)}><AgainIcon /></IconButton>
        )}
        {run.answerId !== undefined && (
          <IconButton label="Branch from here" data-testid="branch-here" onClick={() => actions.branch(run)}><BranchIcon /></IconButton>
        )}
      </span>
      {run.staleSince !== undefined && <span data-testid="stale" className="text-busy">The catalogue has not been refreshed{run.staleSince && ` since ${new Date(run.staleSince).toLocaleDateString()}`}</span>}
      <Usage run={run} />
    </div>
  );
}

function Usage({ run }: { run: Run }): ReactNode {
  const when = run.answeredAt === undefined ? undefined : new Date(run.answeredAt);
  const tokens = run.usage && run.usage.output_tokens > 0 ? `${run.usage.output_tokens.toLocaleString('en')} tokens` : undefined;
  const title = run.usage ? `${run.usage.input_tokens.toLocaleString('en')} tokens read, ${run.usage.output_tokens.toLocaleString('en')} written` : undefined;
  return (
    <span className="ml-auto flex gap-2 tabular-nums" title={title}>
      {tokens !== undefined && <span>{tokens}</span>}
      {when !== undefined && !Number.isNaN(when.getTime()) && (
        <time dateTime={run.answeredAt}>{when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}</time>
      )}
    </span>
  );
}
