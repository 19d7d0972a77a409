/**
 * Writes JSON Schema as Python: the models and their annotations, which check values, and typed dicts, which let type checkers
 * check a literal. This file refuses a schema that it cannot express.
 */
import { z } from 'zod';
import type { JsonSchema, JsonType } from '../../src/contract/json-schema.ts';
import { strangeKeyword, typesOf, valuesOf } from './keywords.ts';
import { fieldCall, wholeBounds } from './python-bounds.ts';
import { classOf, type Field, type Names, typedDict } from './python-classes.ts';
import { isCommonPattern, pythonPattern } from './python-patterns.ts';
import { ascii, type Code, className, docstring, flat, identifier, laidOut, list, literal, quoted, union } from './python-text.ts';

/**
 * The types that stand for strings of exactly these patterns, and what callers may give. A date and time with an offset or of a
 * given precision is a `str`: of one that becomes a `datetime`, the offset or the digits would change on the way.
 */
const TYPES_OF_PATTERNS: ReadonlyMap<string | undefined, readonly [model: string, ...inputs: string[]]> = new Map([
  ['^-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,18})?$', ['ExactDecimal', 'Decimal', 'str', 'int']],
  ['^(?=.*[1-9])(0|[1-9][0-9]{0,17})(\\.[0-9]{1,18})?$', ['PositiveDecimal', 'Decimal', 'str', 'int']],
  [z.toJSONSchema(z.iso.date()).pattern, ['dt.date', 'dt.date', 'str']],
  [z.toJSONSchema(z.iso.datetime()).pattern, ['Instant', 'dt.datetime', 'str']],
]);

/** Sums, which states have: with more digits than what they are sums of. What publishers give of this form is a text. */
const TOTAL = '^-?(0|[1-9][0-9]{0,39})(\\.[0-9]{1,18})?$';

/** Names that the annotations of fields use, and those that every pydantic model has. No field may be called so. */
const NO_FIELDS: ReadonlySet<string> = new Set(
  `Any Annotated Literal Union Sequence Mapping Decimal Field ExactDecimal PositiveDecimal Instant NULLABLE NotRequired dt str int float
   bool list dict None construct copy dict from_orm json parse_file parse_obj parse_raw schema schema_json update_forward_refs validate
   model_computed_fields model_config model_construct model_copy model_extra model_fields model_fields_set model_json_schema
   model_parametrized_name model_post_init model_rebuild nullable_fields_`.split(/\s+/),
);

/** An object: its classes, with what they are made of before them. */
export interface ObjectClasses {
  readonly source: readonly string[];
  readonly fields: readonly Field[];
}

/** Characters of a type in the brackets of another, at most, and of a type that a line begins with. */
const MOST_IN_BRACKETS = 36;
const MOST_IN_LINE = 60;
/** Characters of a name that is made of others, at most. */
const MOST_IN_NAME = 60;

/** What values a schema accepts. */
interface Type {
  /** The alternatives for models, none of which needs brackets around it. */
  readonly models: readonly string[];
  /** What the only alternative is to be annotated with. */
  readonly constraints: readonly Code[];
  /** The alternatives for callers. */
  readonly inputs: readonly string[];
  readonly nullable: boolean;
}

/** Writes the classes of one data object and of all objects in it. */
export class TypeWriter {
  readonly #names: Names;
  readonly #isReceived: boolean;
  readonly #source: string[] = [];
  /** The patterns in the present field that the module does not check. */
  readonly #unchecked: string[] = [];

  /** @param options `isReceived` where callers give no such object: it has a model only. */
  constructor(names: Names, { isReceived = false }: { readonly isReceived?: boolean } = {}) {
    this.#names = names;
    this.#isReceived = isReceived;
  }

  /**
   * The model `names.model` and the typed dict `names.dict` of an object, the latter where callers give one.
   *
   * @throws {TypeError} naming the path of a schema that cannot be expressed
   */
  object(
    schema: JsonSchema,
    path: string,
    names: { readonly model: string; readonly dict: string; readonly base: string },
    says?: string,
  ): ObjectClasses {
    refuseStrange(schema, path);
    const { properties, required = [], additionalProperties = false } = schema;
    if (properties === undefined || additionalProperties !== false) throw new TypeError(`${path} is no object of named fields`);
    const taken = new Set<string>();
    const lines: string[] = [];
    const fields = Object.entries(properties).map(([wire, property]): Field => {
      // A model takes a field by its name in Python too, which must not be that of another on the wire.
      const isOfAnother = (name: string) => taken.has(name) || (name !== wire && Object.hasOwn(properties, name));
      const python = fieldName(wire, { has: (name) => isOfAnother(name) || NO_FIELDS.has(name) || this.#names.has(name) });
      taken.add(python);
      const name = nestedName(names.base, wire);
      const type = this.#typeOf(property, `${path}.${wire}`, name);
      const { description } = property;
      const isRequired = required.includes(wire);
      lines.push(...this.#unchecked.splice(0).map(uncheckedPattern), modelField(python, wire, type, isRequired));
      if (description !== undefined && description.trim() !== '') lines.push(docstring('    ', description));
      const none = type.nullable ? ['None'] : [];
      const input = this.#input([...type.inputs, ...none], name, path, roomFor(wire));
      const lenient = property.properties === undefined ? input : [type.models[0], 'Mapping[str, Any]', ...none].join(' | ');
      return { wire, python, input, lenient, required: isRequired, description };
    });
    this.#source.push(classOf(names.model, 'Model, frozen=True', says ?? schema.description, lines));
    if (!this.#isReceived) this.#source.push(typedDict(names, fields));
    return { source: this.#source.splice(0), fields };
  }

  #typeOf(schema: JsonSchema, path: string, name: string): Type {
    refuseStrange(schema, path);
    const { title: _title, description: _description, ...assertions } = schema;
    if (Object.keys(assertions).length === 0) return { models: ['Any'], constraints: [], inputs: ['Any'], nullable: true };
    const values = valuesOf(schema);
    if (values !== undefined) return this.#oneOf(values, name, path);
    const { anyOf, ...others } = assertions;
    if (anyOf !== undefined && Object.keys(others).length === 0) {
      return this.#merged(
        anyOf.map((option, index) => this.#typeOf(option, `${path}[${index}]`, name)),
        name,
        path,
      );
    }
    const types = typesOf(schema);
    if (types === undefined || anyOf !== undefined) throw new TypeError(`${path} has no type`);
    return this.#merged(
      types.map((type) => this.#single(type, schema, path, name)),
      name,
      path,
    );
  }

  /** The union of types. A type with constraints gets a name of its own when there are others. */
  #merged(options: readonly Type[], name: string, path: string): Type {
    const values = options.filter(({ models }) => models.length > 0);
    const nullable = options.some((option) => option.nullable);
    if (values.length === 1) return { ...(values[0] as Type), nullable };
    return {
      models: unique(values.flatMap((option) => this.#whole(option, name, path))),
      constraints: [],
      inputs: unique(values.flatMap(({ inputs }) => inputs)),
      nullable,
    };
  }

  /** The alternatives of a type, which need no annotation beside them. */
  #whole({ models, constraints }: Type, name: string, path: string): readonly string[] {
    if (constraints.length === 0) return models;
    return [this.#alias(name, list('Annotated[', [models.join(' | '), ...constraints], ']'), path)];
  }

  /** A type as one name, to stand in brackets. */
  #named(schema: JsonSchema, path: string, name: string): { readonly model: string; readonly input: string } {
    const type = this.#typeOf(schema, path, name);
    const none = type.nullable && type.models[0] !== 'Any' ? ['None'] : [];
    const whole = [...this.#whole(type, name, path), ...none];
    return {
      model: this.#short(whole, name, path, MOST_IN_BRACKETS),
      input: this.#input([...type.inputs, ...none], name, path, MOST_IN_BRACKETS),
    };
  }

  /** What callers give, who give nothing that is only received. */
  #input(types: readonly string[], name: string, path: string, most: number): string {
    return this.#isReceived ? 'Any' : this.#short(types, `${name}Input`, path, most);
  }

  /** A union that stays on one line: by another name when it is long. */
  #short(types: readonly string[], name: string, path: string, most: number): string {
    const all = unique(types);
    if (all.includes('Any')) return 'Any';
    const line = all.join(' | ');
    return /^\w+$/.test(line) || line.length <= most ? line : this.#alias(name, (before) => union(all, before), path);
  }

  #alias(name: string, code: Code | ((before: string) => Code), path: string): string {
    const free = this.#names.free(name, path);
    const before = `${free}: TypeAlias = `;
    this.#source.push(laidOut(before, typeof code === 'function' ? code(before) : code));
    return free;
  }

  #oneOf(values: readonly unknown[], name: string, path: string): Type {
    const nullable = values.includes(null);
    const others = values.filter((value) => value !== null);
    if (others.length === 0) return { models: [], constraints: [], inputs: [], nullable };
    if (others.every((value) => typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value))) {
      const code = list('Literal[', others.map(literal), ']');
      const text = flat(code).length <= MOST_IN_LINE ? flat(code) : this.#alias(name, code, path);
      return { models: [text], constraints: [], inputs: [text], nullable };
    }
    const alias = this.#alias(name, list('Annotated[', ['Any', list('one_of(', values.map(literal), ')')], ']'), path);
    return { models: [alias], constraints: [], inputs: ['Any'], nullable };
  }

  #single(type: JsonType, schema: JsonSchema, path: string, name: string): Type {
    const plain = (model: string, constraints: readonly Code[], input = model): Type => ({
      models: [model],
      constraints,
      inputs: [input],
      nullable: false,
    });
    const { minItems, maxItems } = schema;
    switch (type) {
      case 'null':
        return { models: [], constraints: [], inputs: [], nullable: true };
      case 'boolean':
        return plain('bool', []);
      case 'integer':
        return this.#number('int', wholeBounds(schema), path, name);
      case 'number':
        return this.#number('float', schema, path, name);
      case 'string':
        return this.#string(schema, path, name);
      case 'array': {
        const items = this.#named(schema.items ?? {}, `${path}[]`, `${name}Item`);
        return plain(`list[${items.model}]`, fieldCall({ min_length: minItems, max_length: maxItems }), `Sequence[${items.input}]`);
      }
      case 'object': {
        if (schema.properties === undefined) return this.#record(schema, path, name);
        const base = this.#names.free(name, path);
        const dict = this.#isReceived ? base : this.#names.free(`${name}Dict`, path);
        const { description: _, ...bare } = schema;
        const within = new TypeWriter(this.#names, { isReceived: this.#isReceived });
        this.#source.push(...within.object(bare, path, { model: base, dict, base }).source);
        return { models: [base], constraints: [], inputs: [base, dict], nullable: false };
      }
    }
  }

  #number(model: 'int' | 'float', schema: JsonSchema, path: string, name: string): Type {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
    const bounds = fieldCall({ ge: minimum, gt: exclusiveMinimum, le: maximum, lt: exclusiveMaximum });
    if (multipleOf === undefined) return { models: [model], constraints: bounds, inputs: [model], nullable: false };
    const code = list('Annotated[', [model, ...bounds, `multiple_of(${multipleOf})`], ']');
    return { models: [this.#alias(name, code, path)], constraints: [], inputs: [model], nullable: false };
  }

  #string(schema: JsonSchema, path: string, name: string): Type {
    const { minLength, maxLength, pattern } = schema;
    const plain = (model: string, ...inputs: readonly string[]): Type => ({ models: [model], constraints: [], inputs, nullable: false });
    const lengths = { min_length: minLength, max_length: maxLength };
    const isBounded = minLength !== undefined || maxLength !== undefined;
    const known = pattern === undefined || isBounded ? undefined : TYPES_OF_PATTERNS.get(pattern);
    if (known !== undefined) return plain(...known);
    if (this.#isReceived && pattern === TOTAL && !isBounded) return plain('TotalDecimal');
    if (pattern === undefined || isCommonPattern(pattern)) {
      return { models: ['str'], constraints: fieldCall({ ...lengths, pattern }), inputs: ['str'], nullable: false };
    }
    const python = pythonPattern(pattern);
    if (python === undefined) {
      this.#unchecked.push(pattern);
      return { models: ['str'], constraints: fieldCall(lengths), inputs: ['str'], nullable: false };
    }
    const match = list('matching(', [quoted(python), quoted(pattern)], ')');
    return plain(this.#alias(name, list('Annotated[', ['str', ...fieldCall(lengths), match], ']'), path), 'str');
  }

  /** An object whose keys are not known. */
  #record(schema: JsonSchema, path: string, name: string): Type {
    const { additionalProperties = true, propertyNames = {}, required } = schema;
    refuseStrange(propertyNames, `${path}: a key`);
    const keysAreKnown = valuesOf(propertyNames) !== undefined || required !== undefined;
    if (keysAreKnown || additionalProperties === false) throw new TypeError(`${path} is no object of free keys`);
    const key = this.#named({ type: 'string', ...propertyNames }, `${path}: a key`, `${name}Key`);
    const value = this.#named(additionalProperties === true ? {} : additionalProperties, `${path}.*`, `${name}Value`);
    return { models: [`dict[${key.model}, ${value.model}]`], constraints: [], inputs: [`Mapping[str, ${value.input}]`], nullable: false };
  }
}

function uncheckedPattern(pattern: string): string {
  return `    # The gateway alone checks the pattern, which Python cannot be known to read alike: ${ascii(pattern)}`;
}

/** What Python calls the fields of all objects in a schema, where no other name stands in the way. */
export function fieldNamesIn({ properties = {}, items, anyOf = [], additionalProperties }: JsonSchema): string[] {
  const within = [...Object.values(properties), ...anyOf, ...[items, additionalProperties].filter((each) => typeof each === 'object')];
  return [...Object.keys(properties).map((wire) => fieldName(wire)), ...within.flatMap(fieldNamesIn)];
}

function fieldName(wire: string, taken?: { has(name: string): boolean }): string {
  // Pydantic keeps these beginnings to itself.
  return identifier(/^model_(validate|dump)/.test(wire) ? `field_${wire}` : wire, taken);
}

function modelField(python: string, wire: string, { models, constraints, nullable }: Type, required: boolean): string {
  const isAny = models[0] === 'Any';
  const types = [...models, ...((nullable || !required) && !isAny ? ['None'] : [])];
  const extras = [...constraints, ...(nullable ? ['NULLABLE'] : []), ...(python === wire ? [] : [`Field(alias=${quoted(wire)})`])];
  const before = `    ${python}: `;
  const whole = union(types, `${before}${' '.repeat(12)}`);
  const code = extras.length === 0 ? whole : list('Annotated[', [whole, ...extras], ']');
  return laidOut(before, code, required ? '' : ' = None');
}

function refuseStrange(schema: JsonSchema, path: string): void {
  const keyword = strangeKeyword(schema);
  if (keyword !== undefined) throw new TypeError(`${path} says ${keyword}, for which no type is known`);
}

/** The name of what a field is made of. */
function nestedName(base: string, wire: string): string {
  const name = `${base}${className(wire)}`;
  return name.length <= MOST_IN_NAME ? name : name.slice(0, MOST_IN_NAME - 30);
}

/** Characters that are left for the types of a field, in a line that also says what else it may be. */
function roomFor(field: string): number {
  return Math.min(MOST_IN_LINE, Math.max(20, 67 - field.length));
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
