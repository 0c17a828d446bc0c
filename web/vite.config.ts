import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/** Where `vite dev` and `vite preview` find a gateway. */
const gateway = process.env['ASHYA_GATEWAY'] ?? 'http://127.0.0.1:8080';
const proxy = { '/v1': { target: gateway, ws: true } };

export default defineConfig({
  plugins: [svelte()],
  // The page is served from the root of a gateway, which knows nothing of this machine's folders.
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { host: '127.0.0.1', proxy },
  preview: { host: '127.0.0.1', proxy },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
