//! A conversation as a Markdown file, to be kept or passed on.

import { isOpen, type Conversation, type Run } from './model';

/** Questions as headings, answers below, diagrams as Mermaid blocks. */
export function toMarkdown(conversation: Conversation): string {
  return conversation.runs.map(runToMarkdown).join('\n\n');
}

function runToMarkdown(run: Run): string {
  const question = `## ${run.question.replace(/\s*\n\s*/g, ' ')}`;
  const diagram = run.diagram === undefined ? undefined : `\`\`\`mermaid\n${run.diagram.trim()}\n\`\`\``;
  const ending = run.status === 'finished' || isOpen(run) ? undefined : `*(${run.status})*`;
  return [question, run.text.trim(), diagram, ending].filter(Boolean).join('\n\n');
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
