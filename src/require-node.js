/** Ends the process where Node.js cannot run Courier; before anything is loaded that only later versions can read. */
import { nodeProblem } from './node-version.js';

if (nodeProblem !== undefined) {
  process.stderr.write(`${nodeProblem}\n`);
  process.exit(1);
}
