/** What `courier serve --help` says of the variables of the environment. */
import { Help } from 'commander';
import { VARIABLES, type Variable } from '../../src/config/variables.ts';
import { EXIT } from './errors.ts';

const COLUMNS = 80;
const INDENT = ' '.repeat(6);
const NAME_COLUMNS = Math.max(...VARIABLES.map(({ name }) => name.length));

/** Every variable with its default and what it is for, in lines of 80 columns. */
export function variablesHelp(): string {
  return `
Variables, each with its default; an empty one counts as not set:
${VARIABLES.map(paragraphOf).join('\n')}

The gateway does not start with a wrong value, nor with a variable that begins
with COURIER_ and that nothing reads: the exit code is ${EXIT.usage}.`;
}

function paragraphOf({ name, description, form, ...variable }: Variable): string {
  const fallback = 'value' in variable.default ? variable.default.value : `(${variable.default.inWords})`;
  const texts = [description.replaceAll('`', ''), ...(form === undefined ? [] : [`Value: ${form}`])];
  const lines = texts.flatMap((text) => new Help().boxWrap(text, COLUMNS - INDENT.length).split('\n'));
  return [`  ${name.padEnd(NAME_COLUMNS)} ${fallback}`, ...lines.map((line) => INDENT + line)].join('\n');
}
