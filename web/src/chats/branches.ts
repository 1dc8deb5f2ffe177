//! The names of branches.

const ENDING = /\((?:branch)(?: (\d+))?\)$/;

/** "Orders" becomes "Orders (branch)", and that "Orders (branch 2)". */
export function branchTitle(title: string): string {
  const name = title || 'New chat';
  const ending = ENDING.exec(name);
  if (ending === null) return `${name} (branch)`;
  return `${name.slice(0, ending.index)}(branch ${Number(ending[1] ?? 1) + 1})`;
}

/** What says of a title that it is a branch's: "(branch)", "(branch 2)", or nothing. */
export function branchEnding(title: string): string {
  return ENDING.exec(title)?.[0] ?? '';
}
