//! A chat's title on one line. What tells a branch from its trunk stays in sight however long the title is.

import { branchEnding } from './branches';

/** The title; its parent sets the size. */
export function ChatTitle({ title }: { title: string }) {
  const ending = branchEnding(title);
  if (ending === '') return <span className="block truncate">{title}</span>;
  return (
    <span className="flex min-w-0 gap-1">
      <span className="truncate">{title.slice(0, -ending.length).trimEnd()}</span> <span className="shrink-0">{ending}</span>
    </span>
  );
}
