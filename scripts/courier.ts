#!/usr/bin/env node
/** The command `courier`. */
import '../src/require-node.js';

await import('./cli/program.ts');
