/** Writes the classes of the Python module, and keeps their names apart. */
import { docstring, laidOut, list, quoted } from './python-text.ts';

/** The names of the classes and aliases of a module. */
export class Names {
  readonly #owners = new Map<string, string>();
  readonly #fields: ReadonlySet<string>;

  /** @param fields of models: within its model, a field hides what the module calls the same. */
  constructor(fields: readonly string[]) {
    this.#fields = new Set(fields);
  }

  has(name: string): boolean {
    return this.#owners.has(name);
  }

  /** @throws {TypeError} when another part of the contract has the name. */
  claim(name: string, owner: string): string {
    const other = this.#owners.get(name);
    if (other !== undefined) throw new TypeError(`${owner}: ${name} would be called as that of ${other}`);
    this.#owners.set(name, owner);
    return name;
  }

  /** The name, with a number when it is taken, or when a field has it. */
  free(name: string, owner: string): string {
    let free = name;
    for (let number = 2; this.has(free) || this.#fields.has(free); number++) free = `${name}${number}`;
    return this.claim(free, owner);
  }

  all(): string[] {
    return [...this.#owners.keys()];
  }
}

/** A field of an object. */
export interface Field {
  /** As the contract calls it. */
  readonly wire: string;
  readonly python: string;
  /** The type of the values that callers may give. */
  readonly input: string;
  /** The type of the values that a builder takes, which checks them itself. */
  readonly lenient: string;
  readonly required: boolean;
  readonly description: string | undefined;
}

export function classOf(name: string, bases: string, says: string | undefined, lines: readonly string[]): string {
  const doc = says === undefined ? [] : [`${docstring('    ', says)}${lines.length > 0 ? '\n' : ''}`];
  const body = [...doc, ...lines];
  const head = laidOut(`class ${name}`, list('(', bases.split(', '), '):'));
  return `${head}\n${body.length === 0 ? '    pass' : body.join('\n')}`;
}

/** The dict that a caller may give in place of the model. */
export function typedDict({ model, dict }: { readonly model: string; readonly dict: string }, fields: readonly Field[]): string {
  const typed = ({ input, required }: Field) => (required ? input : `NotRequired[${input}]`);
  const says = `What \`${model}\` is made of, as a dict.`;
  if (fields.every(({ wire, python }) => wire === python)) {
    return classOf(
      dict,
      'TypedDict',
      says,
      fields.map((field) => `    ${field.wire}: ${typed(field)}`),
    );
  }
  const entries = fields.map((field) => `        ${quoted(field.wire)}: ${typed(field)},\n`).join('');
  return `${dict} = TypedDict(\n    ${quoted(dict)},\n    {\n${entries}    },\n)\n"""${says}"""`;
}
