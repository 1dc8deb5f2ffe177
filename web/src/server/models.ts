//! Who answers: the models of the server, and the person's choice among them, kept in this browser.

import { useEffect, useState, useSyncExternalStore } from 'react';
import type { MessageOptions } from '../conversation/frames';
import { localStore } from '../shell/storage';
import { fetchJson } from './access';

/** The models of one provider. */
export interface Provider {
  readonly name: string;
  readonly ready: boolean;
  readonly models: readonly string[];
}

/** What the person has chosen for the messages to come. */
export interface Answering {
  /** A model as `provider/name`; the server's own choice without it. */
  readonly model?: string;
  /** One of the server's agents; without it the one that looks at everything, where there is one. */
  readonly agent?: string;
  /** Whether each use of a tool is asked about first. */
  readonly confirms: boolean;
}

const MODEL = 'tidewire.model';
const AGENT = 'tidewire.agent';
const CONFIRMS = 'tidewire.confirms';
/** In a list of tools to be asked about: all of them. */
const EVERY_TOOL = '*';

/** The agent that looks at documents and tables, whichever the question needs. */
export const EVERYTHING = 'assistant';

let answering: Answering = kept();
/** The agents that the server has; undefined before it has said so. */
let agents: readonly string[] | undefined;
const listeners = new Set<() => void>();

function kept(): Answering {
  const [model, agent] = [localStore.getItem(MODEL), localStore.getItem(AGENT)];
  return {
    confirms: localStore.getItem(CONFIRMS) !== null,
    ...(model === null ? {} : { model }),
    ...(agent === null ? {} : { agent }),
  };
}

/** The server has these agents. */
export function knowAgents(names: readonly string[]): void {
  agents = names;
}

/** Who answers, if the server has it: the person's choice, else the one that looks at everything. */
export function agentOf({ agent = EVERYTHING }: Answering, known: readonly string[]): string | undefined {
  return known.includes(agent) ? agent : known.find((name) => name === EVERYTHING);
}

/** Changes the choice. */
export function chooseModel(model: string | undefined): void {
  keep(MODEL, model);
}

/** Changes who answers. */
export function chooseAgent(agent: string): void {
  keep(AGENT, agent);
}

/** Whether tools are asked about from now on. */
export function confirmTools(confirms: boolean): void {
  keep(CONFIRMS, confirms ? 'yes' : undefined);
}

function keep(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStore.removeItem(key);
    else localStore.setItem(key, value);
  } catch {
    // A full storage forgets the choice on reload, and nothing else.
  }
  const { model, agent, ...others } = answering;
  const [nextModel, nextAgent] = [key === MODEL ? value : model, key === AGENT ? value : agent];
  answering = {
    confirms: key === CONFIRMS ? value !== undefined : others.confirms,
    ...(nextModel === undefined ? {} : { model: nextModel }),
    ...(nextAgent === undefined ? {} : { agent: nextAgent }),
  };
  for (const listener of listeners) listener();
}

/** The choice as a message carries it. */
export function messageOptions(): MessageOptions {
  // Who asks before the server has named its agents means the usual one, too.
  const agent = agents === undefined ? (answering.agent ?? EVERYTHING) : agentOf(answering, agents);
  return {
    ...(agent === undefined ? {} : { agent }),
    ...(answering.model === undefined ? {} : { model: answering.model }),
    ...(answering.confirms ? { confirmTools: [EVERY_TOOL] } : {}),
  };
}

/** Follows the choice. */
export function useAnswering(): Answering {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => answering,
  );
}

interface ModelList {
  readonly providers: Readonly<Record<string, { readonly status: string }>>;
}

/** The server's models, read anew each time that somebody opens the list. */
export function useModels(open: boolean): { readonly providers: readonly Provider[] | undefined; readonly failed: boolean } {
  const [state, setState] = useState<{ providers: readonly Provider[] | undefined; failed: boolean }>({ providers: undefined, failed: false });
  useEffect(() => {
    if (!open) return;
    let left = false;
    readModels().then(
      (providers) => left || setState({ providers, failed: false }),
      () => left || setState((before) => ({ ...before, failed: true })),
    );
    return () => {
      left = true;
    };
  }, [open]);
  return state;
}

async function readModels(): Promise<readonly Provider[]> {
  const { providers } = await fetchJson<ModelList>('/api/chat_models');
  const names = Object.keys(providers);
  const models = await Promise.all(names.map((name) => fetchJson<readonly string[]>(`/api/chat_models/${encodeURIComponent(name)}`)));
  return names.map((name, index) => ({ name, ready: providers[name]?.status === 'ok', models: models[index] ?? [] }));
}
