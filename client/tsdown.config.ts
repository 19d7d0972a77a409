import { defineConfig } from 'tsdown';

export default defineConfig({
  entry: { index: 'src/index.ts', node: 'src/node.ts', react: 'src/react.ts' },
  platform: 'neutral',
  tsconfig: '../tsconfig.client-build.json',
  target: 'es2022',
  deps: { neverBundle: [/^node:/] },
  dts: true,
  sourcemap: true,
  // Whoever publishes a package that others cannot use should hear it from the build.
  publint: { strict: true },
  attw: { profile: 'esm-only', level: 'error' },
});
