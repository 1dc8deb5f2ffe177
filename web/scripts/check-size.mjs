//! Fails when what the page loads before the canvas is opened exceeds its budget. Run after `vite build`.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const BUDGET_KB = 200;
const dist = new URL('../dist/', import.meta.url);
const read = (path) => readFileSync(new URL(path.replace(/^\//, ''), dist));

/** What index.html names, and what those scripts import at once. */
function firstLoad() {
  const html = read('index.html').toString();
  const found = new Set(['/index.html']);
  const queue = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1]);
  while (queue.length > 0) {
    const path = queue.pop();
    if (found.has(path)) continue;
    found.add(path);
    if (!path.endsWith('.js')) continue;
    const imports = read(path).toString().matchAll(/(?:^|[;}])(?:import|export)\s*(?:[^"'()]*?from)?\s*["']\.\/([^"']+)["']/g);
    for (const [, name] of imports) queue.push(`/assets/${name}`);
  }
  return [...found];
}

/** Words that only the client for live data has: who only chats does not pay for the tables. */
const LIVE_DATA = 'MutationNotification';

let total = 0;
for (const path of firstLoad()) {
  if (path.endsWith('.js') && read(path).includes(LIVE_DATA)) {
    console.error(`${path} brings the client for live data into the first load; import it from src/data alone`);
    process.exit(1);
  }
  const size = gzipSync(read(path), { level: 9 }).length;
  total += size;
  console.log(`${(size / 1000).toFixed(1).padStart(7)} kB  ${path}`);
}
console.log(`${(total / 1000).toFixed(1).padStart(7)} kB  gzipped before the canvas is opened, of ${BUDGET_KB}`);
if (total > BUDGET_KB * 1000) {
  console.error('The first load is over its budget; load the newest part when it is first needed');
  process.exit(1);
}
