//! What an answer rests on: each source with the passage that was read, and in it the sentences that answer.
//!
//! Titles, passages and addresses come from documents that nobody has checked. They are only ever text here, and an
//! address is a link only if it leads to the web.

import { memo, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import type { Source } from '../conversation/frames';
import type { Run } from '../conversation/model';
import { addressOf } from '../data/address';
import { safeHref } from '../markdown/text';
import { ChevronIcon, OutwardIcon } from '../shell/icons';
import { Origin } from './Origin';
import { hostOf, partsOf, scoreText } from './passage';
import type { ShownSource } from './state';

interface SourcesProps {
  /** Runs that rest on sources, oldest first. */
  runs: readonly Run[];
  shown: ShownSource | undefined;
  onShow(source: ShownSource): void;
}

/** The sources of one answer. */
export function Sources({ runs, shown, onShow }: SourcesProps) {
  const run = runs.find((each) => each.runId === shown?.runId) ?? runs.at(-1);
  if (!run) {
    return (
      <p className="m-auto max-w-72 p-6 text-center text-sm text-muted">
        No sources yet. Answers that rest on your documents show here what was read
      </p>
    );
  }
  return (
    <>
      <Origin label="Sources of which question" runs={runs} shown={run} onChoose={(runId) => onShow({ runId })} />
      {/* Another answer is another list: what was opened in one says nothing about the other. */}
      <SourceList key={run.runId} run={run} shown={shown?.runId === run.runId ? shown : undefined} />
    </>
  );
}

function SourceList({ run, shown }: { run: Run; shown: ShownSource | undefined }) {
  const list = useRef<HTMLOListElement>(null);
  const opener = useRef<Element>(null);
  const [open, setOpen] = useState<ReadonlySet<number>>(() => new Set([shown?.number ?? 1]));
  useEffect(() => {
    const number = shown?.number;
    if (number === undefined) return;
    opener.current = document.activeElement;
    setOpen((before) => new Set(before).add(number));
    const item = list.current?.children[number - 1];
    // After the passage is laid out, and after a sheet has taken the focus for itself.
    const timer = setTimeout(() => {
      item?.querySelector<HTMLElement>('button')?.focus({ preventScroll: true });
      item?.scrollIntoView({ block: 'start' });
    });
    return () => clearTimeout(timer);
  }, [shown]);
  const toggle = (number: number) =>
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(number)) next.add(number);
      return next;
    });
  /** Back to the mark in the answer. */
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !(opener.current instanceof HTMLElement) || !opener.current.matches('.citation')) return;
    event.preventDefault();
    opener.current.focus();
    opener.current = null;
  };
  return (
    <ol ref={list} data-testid="sources" aria-label="Sources" className="min-h-0 flex-1 scroll-py-2 overflow-y-auto py-2" onKeyDown={onKeyDown}>
      {run.sources.map((source, index) => (
        <SourceItem key={index} source={source} number={index + 1} open={open.has(index + 1)} wanted={shown?.number === index + 1} onToggle={toggle} />
      ))}
    </ol>
  );
}

interface SourceItemProps {
  source: Source;
  number: number;
  open: boolean;
  /** It is the one that was asked for. */
  wanted: boolean;
  onToggle(number: number): void;
}

const SourceItem = memo(function SourceItem({ source, number, open, wanted, onToggle }: SourceItemProps) {
  return (
    <li data-testid="source" data-number={number} data-open={open} className="border-b border-line px-2 pb-1 last:border-0">
      <button
        type="button"
        aria-expanded={open}
        aria-current={wanted || undefined}
        onClick={() => onToggle(number)}
        className="mt-1 flex w-full items-start gap-3 rounded-lg px-2 py-2 text-left hover:bg-hover"
      >
        <span aria-hidden="true" className={`grid h-5 min-w-5 shrink-0 place-items-center rounded-md px-1 text-sm tabular-nums ${wanted ? 'bg-accent text-on-accent' : 'bg-accent-tint text-accent'}`}>{number}</span>
        <span className="min-w-0 flex-1">
          <span className="sr-only">Source {number}: </span>
          <bdi className="block font-medium break-words">{source.title || source.source || source.id}</bdi>
          {source.section && <bdi className="block text-sm break-words text-muted">{source.section}</bdi>}
        </span>
        <span className="mt-0.5 shrink-0 text-sm text-muted tabular-nums" title="How well it fits the question, from 0 to 1">
          <span className="sr-only">Fit: </span>{scoreText(source.score)}
        </span>
        <span className={`mt-1 shrink-0 text-muted transition-transform duration-100 ${open ? 'rotate-90' : ''}`}><ChevronIcon /></span>
      </button>
      {open && <Passage source={source} />}
    </li>
  );
});

function Passage({ source }: { source: Source }) {
  return (
    <div className="px-2 pt-1 pb-3 pl-10 max-sm:pl-2">
      {source.passage ? (
        <blockquote data-testid="passage" className="passage border-l-2 border-line pl-3 break-words whitespace-pre-wrap" dir="auto">
          {partsOf(source).map((part, index) => (part.marked ? <mark key={index}>{part.text}</mark> : part.text))}
        </blockquote>
      ) : (
        <p className="text-sm text-muted">The passage was not kept</p>
      )}
      <Whence source={source} />
    </div>
  );
}

/** Where it comes from, and the ways there. */
function Whence({ source }: { source: Source }) {
  const href = source.url === undefined ? undefined : safeHref(source.url);
  const leadsOut = href !== undefined && hostOf(href) !== '';
  return (
    <p className="mt-2 flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-muted">
      {source.source && source.source !== source.title && <bdi className="break-all">{source.source}</bdi>}
      {leadsOut && (
        <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href} className="inline-flex items-center gap-1 text-accent underline underline-offset-2">
          Open at {hostOf(href)} <OutwardIcon />
        </a>
      )}
      {source.collection !== undefined && source.record !== undefined && (
        <a href={addressOf({ collection: source.collection, filter: `id = ${JSON.stringify(source.record)}` })} className="text-accent underline underline-offset-2">
          Show the record
        </a>
      )}
    </p>
  );
}
