//! How the page is built and tested. The server embeds `dist`; everything in it is fetched from the server's own root.

import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const server = process.env.TIDEWIRE_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: '/',
  plugins: [react(), tailwindcss()],
  build: {
    target: 'es2022',
    // An inlined asset would be a data: URL in CSS or script, which the Content Security Policy forbids for scripts.
    assetsInlineLimit: 0,
    // Mermaid's chunks are large, and only the open canvas loads them; `scripts/check-size.mjs` guards the first paint.
    chunkSizeWarningLimit: 4096,
  },
  server: {
    proxy: {
      '/api': { target: server },
      '/ws': { target: server, ws: true },
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
  },
});
