//! The steps of an agent's graph in words a person would use, and how long each took.

import { isOpen, type Run, type Step } from '../conversation/model';
import { inTime } from './tools';

interface Label {
  readonly running: string;
  readonly done: string;
}

const LABELS: Readonly<Record<string, Label>> = {
  routing_split: { running: 'Reading the question', done: 'Read the question' },
  rewrite: { running: 'Rephrasing for the search', done: 'Rephrased for the search' },
  retrieve: { running: 'Searching the documents', done: 'Searched the documents' },
  dynamic_retrieve: { running: 'Searching more widely', done: 'Searched more widely' },
  rerank: { running: 'Weighing what was found', done: 'Weighed what was found' },
  tool_routing: { running: 'Seeing whether tools are needed', done: 'Saw whether tools are needed' },
  run_tool: { running: 'Using tools', done: 'Used tools' },
  combine_context: { running: 'Putting it together', done: 'Put it together' },
  doc_to_sources: { running: 'Noting the sources', done: 'Noted the sources' },
  explore: { running: 'Looking at the catalogue', done: 'Looked at the catalogue' },
  generate_answer: { running: 'Writing the answer', done: 'Wrote the answer' },
};

/** What a step does or did. A step that is not known here keeps its own name, without underscores. */
export function stepTitle(name: string, state: 'running' | 'done'): string {
  const own = name.replace(/_+/g, ' ').trim();
  return LABELS[name]?.[state] ?? own.charAt(0).toUpperCase() + own.slice(1);
}

/** A step as the list of steps shows it. */
export interface StepLine {
  readonly title: string;
  /** Undefined while it goes on, and where its end is not known. */
  readonly took?: string;
  readonly running: boolean;
}

/** All steps of a run; each ends where the next begins, the last where the answer ends. */
export function stepLines(run: Run): readonly StepLine[] {
  const ended = run.answeredAt === undefined ? Number.NaN : Date.parse(run.answeredAt);
  return run.steps.map((step, index) => {
    const next = run.steps[index + 1];
    const running = next === undefined && isOpen(run);
    const ms = (next?.beganAt ?? ended) - step.beganAt;
    return { title: stepTitle(step.name, running ? 'running' : 'done'), running, ...(ms >= 0 ? { took: inTime(ms) } : {}) };
  });
}

/** What all steps together took, where their end is known. */
export function wholeTime({ steps, answeredAt }: { readonly steps: readonly Step[]; readonly answeredAt?: string }): string | undefined {
  const first = steps[0];
  if (first === undefined || answeredAt === undefined) return undefined;
  const ms = Date.parse(answeredAt) - first.beganAt;
  return ms >= 0 ? inTime(ms) : undefined;
}

/** So many sources in words. */
export function countSources(number: number): string {
  return number === 1 ? '1 source' : `${number} sources`;
}
