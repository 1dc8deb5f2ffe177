//! A conversation as a Markdown or JSON file, to be kept or passed on.

import { isOpen, type Conversation, type Run } from './model';

/** Questions as headings, answers below, diagrams as Mermaid blocks, sources as a list. */
export function toMarkdown(conversation: Conversation): string {
  return conversation.runs.map(runToMarkdown).join('\n\n');
}

function runToMarkdown(run: Run): string {
  const question = `## ${run.question.replace(/\s*\n\s*/g, ' ')}`;
  const diagram = run.diagram === undefined ? undefined : `\`\`\`mermaid\n${run.diagram.trim()}\n\`\`\``;
  const ending = run.status === 'finished' || isOpen(run) ? undefined : `*(${run.status})*`;
  return [question, run.text.trim(), diagram, sourcesOf(run), ending].filter(Boolean).join('\n\n');
}

/** Numbered as the marks in the answer. What documents say is kept from becoming markup. */
function sourcesOf({ sources }: Run): string | undefined {
  if (sources.length === 0) return undefined;
  const lines = sources.map((source, index) => {
    const where = [source.title, source.section, source.url ?? source.source].filter(Boolean).join(' · ');
    return `${index + 1}. ${where.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>]/g, '\\$&')}`;
  });
  return `Sources:\n\n${lines.join('\n')}`;
}

/** Everything that the page knows of a conversation, as JSON text. */
export function toJson(conversation: Conversation, title: string, at: Date): string {
  const runs = conversation.runs.map((run) => ({
    question: run.question,
    asked_at: run.askedAt,
    reasoning: run.reasoning || undefined,
    answer: run.text,
    answered_at: run.answeredAt,
    status: run.status,
    steps: run.steps.map((step) => ({ name: step.name, began_at: new Date(step.beganAt).toISOString() })),
    tools: run.tools.map((tool) => ({ call_id: tool.callId, name: tool.name, arguments: tool.arguments, state: tool.state, result: tool.result, duration_ms: tool.durationMs })),
    approvals: run.approvals.map((approval) => ({ call_id: approval.callId, tool: approval.tool, state: approval.state, by: approval.by, decided_at: approval.decidedAt })),
    sources: run.sources,
    diagram: run.diagram,
    usage: run.usage,
    error: run.failure?.message,
  }));
  return `${JSON.stringify({ title, chat_id: conversation.chatId, exported_at: at.toISOString(), runs }, null, 2)}\n`;
}

/** Lets the browser save text under a name. */
export function saveFile(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser reads the address after the click.
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A title as a file name: letters and digits, at most 60 characters. */
export function fileName(title: string, extension: string): string {
  const stem = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 60);
  return `${stem || 'tidewire'}.${extension}`;
}
