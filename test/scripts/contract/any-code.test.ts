/** What is written from any contract that is taken works: Python reads and writes every event, and the compiler takes the types. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pythonOf } from '../../../scripts/contract/python.ts';
import { isCommonPattern, pythonPattern } from '../../../scripts/contract/python-patterns.ts';
import { reactHooksOf } from '../../../scripts/contract/react.ts';
import { typescriptOf } from '../../../scripts/contract/typescript.ts';
import type { Contract } from '../../../src/contract/contract.ts';
import { ContractError, defineContract } from '../../../src/contract/define.ts';
import { type ContractDocument, contractDocument } from '../../../src/contract/document.ts';
import { draftOn } from '../../helpers/drafts.ts';
import { definition } from '../../helpers/random-contracts.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PYTHON = join(ROOT, 'client/python/.venv/bin/python');
const folder = mkdtempSync(join(tmpdir(), 'courier-any-'));

beforeAll(() => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/python.ts'), '--only', 'environment'], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a program to which the values of `given` are JSON lines, and returns the lines that it prints, as JSON. */
function python(program: string, given: readonly unknown[]): unknown[] {
  const input = given.map((value) => `${JSON.stringify(value)}\n`).join('');
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-W', 'error', '-c', program], { cwd: folder, input, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

function defined(given: object): Contract[] {
  try {
    return [defineContract(given as never) as unknown as Contract];
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    return [];
  }
}

/** Contracts that are taken, as documents, each with a draft of each type. */
function documents(numRuns: number): { readonly document: ContractDocument; readonly drafts: readonly object[] }[] {
  const contracts = fc.sample(definition, { numRuns }).flatMap(defined);
  expect(contracts.length).toBeGreaterThan(numRuns / 5);
  return contracts.map((contract) => ({
    document: contractDocument(contract),
    drafts: [...contract.types.values()].map(({ type, families }) => draftOn(contract, type, families[0] as string, 'x-1')),
  }));
}

/** For each draft: its data as Python would publish it, after it has read it as that of an event. */
const READ_AND_WRITE = `
import importlib, json, logging, sys
from courier_client import EventDraft
from courier_client._incoming import event_of
from courier_client._outgoing import outgoing
logging.basicConfig()
for line in sys.stdin:
    name, draft = json.loads(line)
    contract = importlib.import_module(name).CONTRACT
    stored = {"id": "e-1", "metadata": {"timestamp": "2026-01-02T03:04:05Z", "source": "s"}, **draft}
    event = event_of(stored, contract)
    assert isinstance(event, contract.events[draft["type"]]), line
    data = event.data
    print(json.dumps(json.loads(outgoing(EventDraft(draft["channel"], draft["type"], data)).body)["data"]))
`;

test('Python imports the module, and every event is the same when it is read and published', () => {
  const drafts = documents(80).flatMap(({ document, drafts }, index) => {
    writeFileSync(join(folder, `any_${index}.py`), pythonOf(document, '0123456789abcdef'));
    return drafts.map((draft) => [`any_${index}`, draft] as const);
  });
  const written = python(READ_AND_WRITE, drafts);
  for (const [index, [name, draft]] of drafts.entries()) expect([name, { ...draft, data: written[index] }]).toEqual([name, draft]);
}, 60_000);

test('the compiler takes the types and the hooks with --strict', () => {
  const types = join(folder, 'types');
  mkdirSync(types);
  for (const [index, { document }] of documents(60).entries()) {
    writeFileSync(join(types, `any-${index}.ts`), typescriptOf(document, '0123456789abcdef'));
    const modules = { contract: `./any-${index}.ts`, hooks: join(ROOT, 'client/src/react.ts') };
    writeFileSync(join(types, `any-${index}-hooks.ts`), reactHooksOf(document, modules));
  }
  const options = ['--noEmit', '--strict', '--allowImportingTsExtensions', '--skipLibCheck', '--module', 'nodenext', '--target', 'esnext'];
  const compilerOptions = { typeRoots: [join(ROOT, 'node_modules/@types')] };
  writeFileSync(join(types, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', types, ...options], { encoding: 'utf8' });
  expect(status, stdout).toBe(0);
}, 60_000);

const token = fc.constantFrom(
  ...['a', 'b', 'é', ' ', '-', '.', '^', '$', '|', '(', '(?:', '(?=', '(?!', '(?<x>', ')', ')', '[', '[^', ']', ']', '[]', '[^]'],
  ...['*', '+', '?', '{2}', '{1,}', '{,2}', '{', '}', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '\\b', '\\B', '\\1', '\\2', '\\k<x>'],
  ...['\\.', '\\-', '\\]', '\\z', '\\x41', '\\u00e9', '\\0', '\\n', '\\&', '&', '~', '--', 'a-z', '\\u{61}', '\\p{L}', '\\cA', '(?<=a)'],
);
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'A', 'é', ' ', '\u00a0', '-', '1', '\n', '\u2028', '😀', ']', '&', '\0'),
  maxLength: 5,
});

/** Whether a string fits a pattern, with the flag `u` or without it. */
function fits(pattern: string, value: string): boolean {
  return new RegExp(pattern).test(value) || new RegExp(pattern, 'u').test(value);
}

function isPattern(pattern: string, flags: string): boolean {
  try {
    return new RegExp(pattern, flags) instanceof RegExp;
  } catch {
    return false;
  }
}

/** Whether the string fits the pattern, as an annotation of a field checks it. */
const MATCH = `
import json, sys
from typing import Annotated
from pydantic import Field, TypeAdapter, ValidationError
from courier_client.contract import matching
for line in sys.stdin:
    pattern, ours, is_common, texts = json.loads(line)
    field = TypeAdapter(Annotated[str, Field(pattern=pattern) if is_common else matching(ours, pattern)])
    def fits(text):
        try:
            return field.validate_python(text) == text
        except ValidationError:
            return False
    print(json.dumps([fits(text) for text in texts]))
`;

test('Python takes the strings that JavaScript takes, and no others, for every pattern that it is said to read alike', () => {
  const pattern = fc
    .array(token, { minLength: 1, maxLength: 8 })
    .map((parts) => parts.join(''))
    // No other is taken.
    .filter((each) => isPattern(each, 'u'));
  const pairs = fc.sample(fc.tuple(pattern, fc.array(text, { minLength: 4, maxLength: 12 })), { numRuns: 4000 });
  const known = pairs.flatMap(([each, texts]) => {
    const python = pythonPattern(each);
    return python === undefined ? [] : [[each, python, isCommonPattern(each), texts] as const];
  });
  expect(known.length).toBeGreaterThan(1000);
  const found = python(MATCH, known);
  for (const [index, [each, python, isCommon, texts]] of known.entries()) {
    expect([each, python, isCommon, texts, found[index]]).toEqual([each, python, isCommon, texts, texts.map((value) => fits(each, value))]);
  }
}, 60_000);
