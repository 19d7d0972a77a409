/** The dashboard as static files below `/admin/`, each with what a browser that takes Brotli or gzip is sent. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Bytes from which on compressing is worth a file. */
const MIN_COMPRESSED_BYTES = 1024;

function precompressed(): Plugin {
  return {
    name: 'precompressed',
    // Once everything is written as it stays: others change the code until the very end.
    async writeBundle({ dir = '' }, bundle) {
      for (const fileName of Object.keys(bundle)) {
        const path = join(dir, fileName);
        const source = await readFile(path);
        if (source.length < MIN_COMPRESSED_BYTES) continue;
        await writeFile(`${path}.br`, await promisify(brotliCompress)(source));
        await writeFile(`${path}.gz`, await promisify(gzip)(source, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: '/admin/',
  plugins: [react(), precompressed()],
  build: { manifest: true, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  server: { proxy: { '^/(trpc|health|contract.json)': { target: 'http://127.0.0.1:8766', ws: true } } },
});
