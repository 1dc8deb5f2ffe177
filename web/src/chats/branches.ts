//! The names of branches.

/** "Orders" becomes "Orders (branch)", and stays it. */
export function branchTitle(title: string): string {
  const name = title || 'New chat';
  return / \(branch\)$/.test(name) ? name : `${name} (branch)`;
}
