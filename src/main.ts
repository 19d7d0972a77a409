/** The process of a gateway: `npm start`. */
import './require-node.js';

if (process.argv.length > 2) {
  const { courier } = await import('./commands.ts');
  process.stderr.write(`courier: no arguments are taken; \`${courier('serve --help')}\` has the variables that configure a gateway\n`);
  process.exit(2);
}
const { serve } = await import('./serve.ts');
process.exitCode = await serve(process.env);
// A contract's module may keep something open.
setTimeout(() => process.exit(), 1000).unref();
