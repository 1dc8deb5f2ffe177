//! Work in progress: one line a tool, which opens to its arguments and its result.

import { Collapsible } from 'radix-ui';
import { memo, useState } from 'react';
import type { ToolCall } from '../conversation/model';
import { Detail, Json, RowTrigger } from './Row';
import { cellText, inTime, readResult, toolSubject, toolTitle, type ToolResult } from './tools';

/** From this many finished calls on, they fold into one line. */
const FOLD = 4;

/** The tools of one run, in the order in which they were called. */
export function ToolRows({ tools, open }: { tools: readonly ToolCall[]; open: boolean }) {
  if (tools.length === 0) return null;
  const rows = tools.map((tool) => <ToolRow key={tool.callId} tool={tool} />);
  if (open || tools.length < FOLD) return <div className="mb-3 flex flex-col">{rows}</div>;
  const total = tools.reduce((sum, tool) => sum + (tool.durationMs ?? 0), 0);
  return (
    <Collapsible.Root className="mb-3">
      <RowTrigger title={`Used ${tools.length} tools`} meta={inTime(total)} />
      <Collapsible.Content className="ml-2 border-l border-line pl-3">{rows}</Collapsible.Content>
    </Collapsible.Root>
  );
}

const ToolRow = memo(function ToolRow({ tool }: { tool: ToolCall }) {
  const [open, setOpen] = useState(false);
  const subject = toolSubject(tool);
  return (
    <Collapsible.Root open={open} onOpenChange={setOpen} data-testid="tool-row" data-tool={tool.name} data-state-tool={tool.state}>
      <RowTrigger
        title={toolTitle(tool)}
        meta={tool.durationMs === undefined ? undefined : inTime(tool.durationMs)}
        {...(subject === undefined ? {} : { subject })}
        state={tool.state}
      />
      <Collapsible.Content className="mt-1 mb-2 ml-2 flex flex-col gap-3 border-l border-line pl-4">
        {open && <ToolDetails tool={tool} />}
      </Collapsible.Content>
    </Collapsible.Root>
  );
});

function ToolDetails({ tool }: { tool: ToolCall }) {
  return (
    <>
      {tool.arguments !== undefined && (
        <Detail name="Arguments">
          <Json text={JSON.stringify(tool.arguments, null, 2)} />
        </Detail>
      )}
      {tool.result !== undefined && (
        <Detail name="Result">
          <Result result={readResult(tool.result)} />
        </Detail>
      )}
    </>
  );
}

function Result({ result }: { result: ToolResult }) {
  if (result.kind === 'text') return <Json text={result.text} />;
  return (
    <>
      <div className="table-box" tabIndex={0} role="region" aria-label="Result">
        <table>
          <thead>
            <tr>{result.columns.map((column) => <th key={column} scope="col">{column}</th>)}</tr>
          </thead>
          <tbody>
            {result.rows.map((row, index) => (
              <tr key={index}>{result.columns.map((column) => <td key={column}>{cellText(row[column])}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {result.total > result.rows.length && (
        <p className="mt-1 text-sm text-muted">The first {result.rows.length} of {result.total}</p>
      )}
    </>
  );
}
