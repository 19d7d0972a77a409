/** The fields of a form of data. Each refers to its description and its fault, for screen readers. */
import { NativeSelect, NumberInput, Textarea, TextInput } from '@mantine/core';
import type { BaseInputTemplateProps, FieldProps, WidgetProps } from '@rjsf/utils';
import { type ReactElement, type ReactNode, useState } from 'react';
import { Legible, legible } from '../../parts/legible.tsx';
import { readJson } from './json-text.ts';

type Described = Pick<WidgetProps, 'id' | 'schema' | 'required' | 'rawErrors'>;

function inputProps({ id, schema, required, rawErrors = [] }: Described) {
  return {
    id,
    required: required === true,
    description: schema.description === undefined ? undefined : legible(schema.description),
    error: errorOf(rawErrors),
    autoComplete: 'off',
    spellCheck: false,
  } as const;
}

function errorOf(messages: readonly string[]): ReactNode {
  return messages.length === 0 ? undefined : <Legible>{[...new Set(messages)].join('\n')}</Legible>;
}

const HINTS: Readonly<Record<string, string>> = { date: '2026-01-31', 'date-time': '2026-01-31T09:30:00Z' };

export function TextField({ label, value, onChange, ...props }: BaseInputTemplateProps): ReactElement {
  return (
    <TextInput
      {...inputProps(props)}
      label={label}
      placeholder={HINTS[props.schema.format ?? '']}
      value={value ?? ''}
      onChange={(event) => onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.value)}
    />
  );
}

/** Keeps the text as the user typed it: the gateway reports its faults. */
export function NumberField({ label, value, onChange, ...props }: WidgetProps): ReactElement {
  const { minimum, maximum, type } = props.schema;
  return (
    <NumberInput
      {...inputProps(props)}
      label={label}
      value={value ?? ''}
      onChange={onChange}
      clampBehavior="none"
      step={type === 'integer' || maximum !== 1 ? 1 : 0.1}
      {...(minimum !== undefined && { startValue: minimum })}
      hideControls
    />
  );
}

/** A choice of the values of a list, or of true and false; at first none is chosen. */
export function ChoiceField({ label, value, onChange, options, ...props }: WidgetProps): ReactElement {
  const choices = options.enumOptions ?? [];
  return (
    <NativeSelect
      {...inputProps(props)}
      label={label}
      value={String(value ?? '')}
      onChange={(event) => onChange(choices.find((choice) => String(choice.value) === event.currentTarget.value)?.value)}
      data={[{ value: '', label: '' }, ...choices.map((choice) => ({ value: String(choice.value), label: legible(choice.label) }))]}
    />
  );
}

/** Any JSON. Text that is not JSON yet stays text. */
export function FreeFormField({ name, formData, onChange, fieldPathId, rawErrors, required, schema }: FieldProps): ReactElement {
  const [typed, setTyped] = useState('');
  const text = isSame(typed, formData) ? typed : textOf(formData);
  const change = (next: string) => {
    setTyped(next);
    onChange(heldFor(next), fieldPathId.path);
  };
  return (
    <Textarea
      {...inputProps({ id: fieldPathId.$id, schema, ...(required !== undefined && { required }), ...(rawErrors && { rawErrors }) })}
      label={name}
      placeholder={[schema.type].flat().includes('string') ? '"text"' : '{"key": "value"}'}
      value={text}
      onChange={(event) => change(event.currentTarget.value)}
      autosize
      minRows={2}
      maxRows={12}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
    />
  );
}

/** The value of a text: JSON, or the text itself when it is not JSON or is a JSON string. */
function heldFor(text: string): unknown {
  if (text.trim() === '') return undefined;
  const read = readJson(text);
  return 'fault' in read || typeof read.value === 'string' ? text : read.value;
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function isSame(text: string, value: unknown): boolean {
  return JSON.stringify(heldFor(text)) === JSON.stringify(value);
}
