//! Who answers the next message, and whether tools are asked about first.

import { DropdownMenu } from 'radix-ui';
import { useState } from 'react';
import { agentOf, chooseAgent, chooseModel, confirmTools, useAnswering, useModels, type Provider } from '../server/models';
import { CheckIcon, DownChevronIcon, ShieldIcon } from '../shell/icons';

const ITEM = 'flex min-h-8 items-center gap-2 rounded py-1 pr-3 pl-8 outline-none select-none relative data-disabled:opacity-50 data-highlighted:bg-hover pointer-coarse:min-h-10';

/** What the server can choose from. */
export interface Answerers {
  /** The model that it takes by itself. */
  readonly standard: string | undefined;
  /** Its agents. */
  readonly agents: readonly string[];
}

/** The agents that the page has words for. */
const AGENTS: Readonly<Record<string, string>> = { assistant: 'Documents and tables', explorer: 'Tables alone' };

/** The button below the question, and its menu. */
export function ModelMenu({ standard, agents }: Answerers) {
  const [open, setOpen] = useState(false);
  const answering = useAnswering();
  const { model, confirms } = answering;
  const { providers, failed } = useModels(open);
  const shown = shortName(model ?? standard ?? '') || 'Model';
  return (
    <DropdownMenu.Root modal={false} open={open} onOpenChange={setOpen}>
      <DropdownMenu.Trigger
        data-testid="model-menu"
        aria-label={`Model: ${shown}${confirms ? ', asks before tools are used' : ''}`}
        title="Model and tools"
        className="flex h-8 min-w-0 items-center gap-1 rounded-lg px-2 text-sm text-muted hover:bg-hover hover:text-ink data-[state=open]:bg-hover pointer-coarse:h-10"
      >
        <span className="truncate">{shown}</span>
        {confirms && <span className="flex shrink-0 items-center gap-1 text-busy"><ShieldIcon /><span className="max-sm:hidden">asks first</span></span>}
        <DownChevronIcon />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content side="top" align="start" sideOffset={6} collisionPadding={8} className="appear z-30 flex max-h-[min(24rem,70vh)] min-w-64 max-w-[calc(100vw-1rem)] flex-col overflow-y-auto rounded-lg border border-edge bg-page p-1 text-sm">
          <DropdownMenu.RadioGroup value={model ?? ''} onValueChange={(value) => chooseModel(value || undefined)}>
            <Choice value="" name="Standard" detail={standard && shortName(standard)} />
            {(providers ?? []).map((provider) => <Models key={provider.name} provider={provider} standard={standard} />)}
          </DropdownMenu.RadioGroup>
          {failed && <p className="px-3 py-1 text-muted">The models cannot be read at the moment</p>}
          <DropdownMenu.Separator className="my-1 h-px bg-line" />
          {agents.length > 1 && (
            <>
              <DropdownMenu.RadioGroup value={agentOf(answering, agents) ?? agents[0] ?? ''} onValueChange={chooseAgent}>
                <DropdownMenu.Label className="px-3 pt-1 pb-1 text-muted">Answers from</DropdownMenu.Label>
                {agents.map((name) => (
                  <DropdownMenu.RadioItem key={name} value={name} className={ITEM} data-testid="agent-choice"><Ticked />{AGENTS[name] ?? name}</DropdownMenu.RadioItem>
                ))}
              </DropdownMenu.RadioGroup>
              <DropdownMenu.Separator className="my-1 h-px bg-line" />
            </>
          )}
          <DropdownMenu.CheckboxItem checked={confirms} onCheckedChange={confirmTools} onSelect={(event) => event.preventDefault()} className={ITEM} data-testid="ask-first">
            <Ticked />
            <span>Ask me before a tool is used</span>
          </DropdownMenu.CheckboxItem>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function Models({ provider, standard }: { provider: Provider; standard: string | undefined }) {
  const others = provider.models.filter((name) => `${provider.name}/${name}` !== standard && name !== standard);
  if (others.length === 0) return null;
  return (
    <>
      <DropdownMenu.Label className="px-3 pt-2 pb-1 text-muted">{provider.name}{!provider.ready && ' · not available now'}</DropdownMenu.Label>
      {others.map((name) => <Choice key={name} value={name.startsWith(`${provider.name}/`) ? name : `${provider.name}/${name}`} name={shortName(name)} />)}
    </>
  );
}

function Choice({ value, name, detail }: { value: string; name: string; detail?: string | undefined }) {
  return (
    <DropdownMenu.RadioItem value={value} className={ITEM} data-testid="model-choice">
      <Ticked />
      <span className="truncate">{name}</span>
      {detail !== undefined && <span className="truncate text-muted">{detail}</span>}
    </DropdownMenu.RadioItem>
  );
}

function Ticked() {
  return <DropdownMenu.ItemIndicator className="absolute left-2 text-accent"><CheckIcon /></DropdownMenu.ItemIndicator>;
}

/** A model's name without its provider. */
function shortName(model: string): string {
  return model.slice(model.indexOf('/') + 1);
}
