//! What can be asked, made from the catalogue that is really loaded.

import type { Catalog, Resource } from '../server/resources';
import { TextButton } from '../shell/controls';

/** The first screen of a new chat. */
export function EmptyState({ catalog, onAsk }: { catalog: Resource<Catalog>; onAsk(question: string): void }) {
  const { value, failed, refresh } = catalog;
  if (!value) {
    if (!failed) return null;
    return (
      <Frame title="The catalogue cannot be read">
        <p className="text-muted">The server did not answer. You can ask all the same; the question waits until it does</p>
        <p className="mt-4"><TextButton onClick={refresh}>Read it again</TextButton></p>
      </Frame>
    );
  }
  if (value.tables.length > 0) return <Suggestions catalog={value} onAsk={onAsk} />;
  return value.documents?.length ? <Documents /> : <NoTables onRefresh={refresh} />;
}

function Documents() {
  return (
    <Frame title="Your documents are ready">
      <p className="text-muted">Ask a question about them. The answer shows which passages it rests on, and each of its numbers leads to one</p>
    </Frame>
  );
}

function Suggestions({ catalog, onAsk }: { catalog: Catalog; onAsk(question: string): void }) {
  const { total_tables, total_columns, facts_count, dimensions_count, relationships_count } = catalog.metrics;
  const facts = [
    count(total_columns, 'column'), count(facts_count, 'fact table'), count(dimensions_count, 'dimension'), count(relationships_count, 'relationship'),
    catalog.documents?.length ? 'and your documents' : undefined,
  ].filter((fact) => fact !== undefined);
  return (
    <Frame title={`${count(total_tables, 'table')} to ask about`}>
      <p className="text-muted">{facts.join(' · ')}</p>
      <ul className="mt-6 flex flex-col gap-2">
        {catalog.suggestions.map((question) => (
          <li key={question}>
            <button
              type="button"
              data-testid="suggestion"
              onClick={() => onAsk(question)}
              className="w-full rounded-xl border border-line px-4 py-3 text-left hover:border-accent hover:bg-accent-tint"
            >
              {question}
            </button>
          </li>
        ))}
      </ul>
    </Frame>
  );
}

const COMMANDS = 'tidewire import orders.csv --collection orders\ntidewire ingest handbook/ manual.pdf';

function NoTables({ onRefresh }: { onRefresh(): void }) {
  return (
    <Frame title="No tables yet">
      <p className="text-muted">Import tables or let the server read documents, and they can be asked about:</p>
      <pre tabIndex={0} className="mt-4 overflow-x-auto rounded-lg border border-line bg-side p-3 text-sm">{COMMANDS}</pre>
      <p className="mt-4 text-muted">
        Or start the server with <code className="rounded bg-tint px-1 text-sm">--demo</code> to look around in a made-up purchase catalogue
      </p>
      <p className="mt-4"><TextButton onClick={onRefresh}>Look again</TextButton></p>
    </Frame>
  );
}

function Frame({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section className="appear my-auto py-12" aria-label={title}>
      <h2 className="mb-2 text-xl font-semibold">{title}</h2>
      {children}
    </section>
  );
}

/** "1 table", "90 tables"; nothing for none. */
function count(number: number, noun: string): string | undefined {
  if (number === 0) return undefined;
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}
