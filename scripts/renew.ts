/**
 * `npm run contract:renew`: takes a change of Lumiere's contract to everything in the repository that is made from it. What breaks
 * needs a reason: `npm run contract:renew -- --breaking "why"`.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { contractDocument } from '../src/contract/document.ts';
import { contract } from '../src/contracts/lumiere/contract.ts';
import { contractHash } from '../src/version.ts';
import { jsonText } from './cli/json-text.ts';
import { pythonOf } from './contract/python.ts';
import { reactHooksOf } from './contract/react.ts';
import { typescriptOf } from './contract/typescript.ts';
import { typesVectors } from './contract/vectors.ts';

const ROOT = new URL('../', import.meta.url);
const document = contractDocument(contract);

const FILES: Readonly<Record<string, string>> = {
  'client/src/contract.ts': typescriptOf(document, contractHash(contract)),
  'test/vectors/types.json': jsonText(typesVectors(contract)),
  'client/python/courier_client/events.py': pythonOf(document, contractHash(contract)),
  'client/src/react/families.ts': reactHooksOf(document, { contract: '../contract.ts', hooks: './use-family.ts' }),
};

/** Runs one of the repository's scripts, and ends with its exit code where it fails. */
function run(script: string, ...args: string[]): void {
  const env = { ...process.env, COURIER_CONTRACT: '' };
  const { error, status } = spawnSync(process.execPath, [fileURLToPath(new URL(script, ROOT)), ...args], { stdio: 'inherit', env });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

// First, as it refuses what breaks.
run('scripts/courier.ts', 'contract', 'renew', ...process.argv.slice(2));
for (const [path, text] of Object.entries(FILES)) writeFileSync(new URL(path, ROOT), text);
run('scripts/docs.ts');
