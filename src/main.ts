/** The process of a gateway: `npm start`. */
import './require-node.js';

const { serve } = await import('./serve.ts');
process.exitCode = await serve(process.env);
// A contract's module may keep something open.
setTimeout(() => process.exit(), 1000).unref();
