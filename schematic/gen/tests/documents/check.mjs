//! Every exported AsyncAPI and OpenAPI document of this repository, judged by other people's validators.
//!
//! Documents are found by their names. One error in one of them, or no document at all, fails.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Parser } from '@asyncapi/parser';
import { Validator } from '@seriousme/openapi-schema-validator';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const skipped = new Set(['node_modules', 'target', 'dist', '.git', 'test-results']);

/** All files below a folder whose names end so. */
function* find(folder, endings) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) yield* find(path, endings);
    } else if (endings.some((ending) => entry.name.endsWith(ending))) {
      yield path;
    }
  }
}

/** The errors of one AsyncAPI document, as `path: message`. */
async function asyncapi(path) {
  const { diagnostics } = await new Parser().parse(readFileSync(path, 'utf8'), { source: path });
  return diagnostics.filter((d) => d.severity === 0).map((d) => `${d.path.join('.')}: ${d.message}`);
}

/** The errors of one OpenAPI document. */
async function openapi(path) {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(readFileSync(path, 'utf8')));
  if (!valid) return [typeof errors === 'string' ? errors : JSON.stringify(errors)];
  return validator.version === '3.1' ? [] : [`is OpenAPI ${validator.version}, not 3.1`];
}

const checks = [
  { kind: 'AsyncAPI', endings: ['.asyncapi.json', 'asyncapi.json'], judge: asyncapi },
  { kind: 'OpenAPI', endings: ['.openapi.json', 'openapi.json'], judge: openapi },
];

let failed = 0;
for (const { kind, endings, judge } of checks) {
  const paths = [...find(root, endings)];
  for (const path of paths) {
    const errors = await judge(path);
    failed += errors.length;
    console.log(`${errors.length === 0 ? 'ok    ' : 'FAILED'} ${path.slice(root.length)}`);
    for (const error of errors) console.log(`       ${error}`);
  }
  console.log(`${kind}: ${paths.length} documents`);
  if (paths.length === 0) {
    console.log(`no ${kind} document was found; export one, or restore those that were committed`);
    failed += 1;
  }
}
process.exitCode = failed === 0 ? 0 : 1;
