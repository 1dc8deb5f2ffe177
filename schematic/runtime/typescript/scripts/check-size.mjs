//! Fails when the runtime, minified and gzipped, is larger than it may be.

import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const LIMIT_BYTES = 12 * 1024;
const entry = fileURLToPath(new URL("../src/index.ts", import.meta.url));

const [bundle] = await build({
  configFile: false,
  logLevel: "error",
  build: { write: false, minify: true, target: "es2022", lib: { entry, formats: ["es"] }, rollupOptions: { output: { minify: true } } },
});
const code = bundle.output.map((chunk) => chunk.code ?? "").join("");
const size = gzipSync(code, { level: 9 }).length;
console.log(`runtime: ${code.length} bytes minified, ${size} bytes gzipped, limit ${LIMIT_BYTES}`);
if (size > LIMIT_BYTES) process.exit(1);
