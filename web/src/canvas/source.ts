//! What is done to a diagram's text before Mermaid sees it.

/**
 * Directives and front matter can change how labels are drawn, even to HTML. A diagram needs neither, so the one
 * becomes a comment and the other is cut off.
 */
export function withoutDirectives(source: string): string {
  return source.replace(/^\s*---[^\S\n]*\n[\s\S]*?\n\s*---[^\S\n]*(?:\n|$)/, '').replace(/%%\s*\{/g, '%% ');
}

/**
 * A fact with its dimensions beside it is as high as a column is; with them below it is far too wide. A diagram that
 * says its own direction keeps it.
 */
export function sideways(source: string): string {
  if (/^\s*direction\s+(?:TB|BT|LR|RL)\s*$/m.test(source)) return source;
  return source.replace(/^(\s*erDiagram)[ \t]*$/m, '$1\n    direction LR');
}
