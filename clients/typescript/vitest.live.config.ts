//! Tests against the real server: the binary that `TIDEWIRE_BIN` names.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const port = Number(process.env["TIDEWIRE_EXAMPLE_PORT"] ?? 20_000 + Math.floor(Math.random() * 10_000));

export default defineConfig({
  plugins: [
    {
      name: "base-url-of-the-usage-example",
      transform: (code, id) => (id.endsWith("usage_example.ts") ? code.replace("https://api.example.com", `http://127.0.0.1:${port}`) : undefined),
    },
  ],
  resolve: { alias: { "@dome/chat": fileURLToPath(new URL("./src/chat_service.ts", import.meta.url)) } },
  test: {
    include: ["live/**/*.live.ts"],
    environment: "node",
    env: { TIDEWIRE_EXAMPLE_PORT: String(port) },
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
