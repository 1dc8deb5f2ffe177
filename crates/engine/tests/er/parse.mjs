// Gives entity-relationship diagrams to Mermaid itself.
//
// Usage: node crates/engine/tests/er/parse.mjs [samples.json]
// The samples are written and held fresh by the unit tests of crates/engine/src/agent/explorer/er.rs; Mermaid comes from
// the workspace's node_modules. Exits with 1 if one does not parse.
import { readFile } from "node:fs/promises";
import mermaid from "mermaid";

const path = process.argv[2] ?? new URL("samples.json", import.meta.url);
const samples = JSON.parse(await readFile(path, "utf8"));
let failed = 0;
for (const { names, diagram } of samples) {
  try {
    await mermaid.parse(diagram);
  } catch (error) {
    failed += 1;
    console.error(`${JSON.stringify(names)}\n${diagram}\n${error.message}\n`);
  }
}
console.log(`${samples.length - failed} of ${samples.length} diagrams parse`);
process.exit(failed === 0 && samples.length > 0 ? 0 : 1);
