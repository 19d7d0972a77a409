/** The dashboard as static files for any path; its assets each with what a browser that takes Brotli or gzip is sent. */
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
      for (const fileName of Object.keys(bundle).filter((name) => name.startsWith('assets/'))) {
        const path = join(dir, fileName);
        const source = await readFile(path);
        if (source.length < MIN_COMPRESSED_BYTES) continue;
        await writeFile(`${path}.br`, await promisify(brotliCompress)(source));
        await writeFile(`${path}.gz`, await promisify(gzip)(source, { level: 9 }));
      }
    },
  };
}

export default defineConfig(({ command }) => ({
  // Relative: which path the gateway puts the page below is known at run time.
  base: command === 'build' ? './' : '/admin/',
  plugins: [react(), precompressed()],
  build: {
    manifest: true,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    // What the first page needs comes as one file: cut up by which pages share it, it takes more.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'first', tags: ['$initial'] }] } } },
  },
  server: { proxy: { '^/(trpc|health|contract.json)': { target: 'http://127.0.0.1:8766', ws: true } } },
}));
