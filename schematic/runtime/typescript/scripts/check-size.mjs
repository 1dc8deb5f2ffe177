//! Fails when the runtime, minified and gzipped, is larger than it may be.

import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "vite";

/** What each entry may weigh, in bytes: who uses one does not pay for the other. */
const LIMITS = { index: 12 * 1024, rest: 8 * 1024 };

for (const [name, limit] of Object.entries(LIMITS)) {
  const entry = fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url));
  const [bundle] = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: true, target: "es2022", lib: { entry, formats: ["es"] }, rollupOptions: { output: { minify: true } } },
  });
  const code = bundle.output.map((chunk) => chunk.code ?? "").join("");
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${name}: ${code.length} bytes minified, ${size} bytes gzipped, limit ${limit}`);
  if (size > limit) process.exitCode = 1;
}
