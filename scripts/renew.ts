/** `npm run contract:renew`: takes a change of Lumiere's contract to everything in the repository that is made from it. */
import { writeFileSync } from 'node:fs';
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
  'src/contracts/lumiere/contract.snapshot.json': jsonText(document),
  'client/src/contract.ts': typescriptOf(document, contractHash(contract)),
  'test/vectors/types.json': jsonText(typesVectors(contract)),
  'client/python/courier_client/events.py': pythonOf(document, contractHash(contract)),
  'client/src/react/families.ts': reactHooksOf(document, { contract: '../contract.ts', hooks: './use-family.ts' }),
};

for (const [path, text] of Object.entries(FILES)) writeFileSync(new URL(path, ROOT), text);
