/** What is wrong with the earlier forms that a type's data, or an entity's state, is said to have had. */
import { z } from 'zod';
import { isAsync, schemaProblems } from './data-schemas.ts';
import type { EarlierVersion } from './definition.ts';
import { jsonSchemaProblems } from './json-schema-of.ts';

/** The highest version: storage keeps it in 16 bits. */
const MAX_VERSION = 32_767;

/** @param field under which they stand in the definition. */
export function versionProblems(field: string, version: number, earlier: Readonly<Record<number, Partial<EarlierVersion>>>): string[] {
  const problems: string[] = [];
  if (!Number.isSafeInteger(version) || version < 1 || version > MAX_VERSION) problems.push(`version: must be 1 to ${MAX_VERSION}`);
  for (const [number, { data, toPresent }] of Object.entries(earlier)) {
    const path = `${field}.${number}`;
    if (!/^[1-9]\d*$/.test(number) || Number(number) >= version) problems.push(`${field}: ${number} is no version before ${version}`);
    if (data instanceof z.ZodType && typeof toPresent === 'function') problems.push(...formProblems(path, data, toPresent));
    else problems.push(`${path}: must be an earlierVersion(schema, toPresent)`);
  }
  return problems;
}

/** What once was of the form is held to what may be of it now. */
function formProblems(path: string, data: z.ZodType, toPresent: EarlierVersion['toPresent']): string[] {
  if (isAsync(toPresent)) return [`${path}: toPresent may not be async`];
  const unusable = schemaProblems(data, `${path}.data`);
  return unusable.length > 0 ? unusable : jsonSchemaProblems(data).map((problem) => `${path}.${problem}`);
}
