import { defineConfig } from 'tsdown';

/** Which packages of tRPC the client's code and types use. */
const TRPC = [/^@trpc\//];

export default defineConfig({
  entry: { index: 'src/index.ts', node: 'src/node.ts', react: 'src/react.ts' },
  platform: 'neutral',
  tsconfig: '../tsconfig.client-build.json',
  target: 'es2022',
  dts: true,
  sourcemap: true,
  deps: {
    // The connection relies on how one version of tRPC's client connects and closes; earlier ones lose calls when a connection
    // is refused. So the package brings that version, and its types are those of whichever version the project has.
    alwaysBundle: TRPC,
    neverBundle: [/^node:/],
    dts: { neverBundle: TRPC },
    onlyBundle: TRPC,
  },
  // The licence of what is bundled.
  copy: [{ from: '../node_modules/@trpc/client/LICENSE', to: 'dist', rename: 'LICENSE-trpc' }],
  // Whoever publishes a package that others cannot use should hear it from the build.
  publint: { strict: true },
  attw: { profile: 'esm-only', level: 'error' },
});
