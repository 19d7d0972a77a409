/** The filter of a stream. It applies when the user presses Enter or leaves a field, as each change restarts the stream. */
import { Button, Collapse, Group, MultiSelect, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type FormEvent, type ReactElement, useEffect, useState } from 'react';
import { typesOf } from '../../contract/look-up.ts';
import { useDocument } from '../../contract/use-contract.ts';
import type { StreamSearch } from './search.ts';

const TEXTS = [
  { key: 'source', label: 'Source', placeholder: 'service or user' },
  { key: 'user', label: 'User', placeholder: 'user id' },
  { key: 'correlation', label: 'Correlation id', placeholder: 'of a piece of work' },
  { key: 'after', label: 'After event', placeholder: 'position' },
] as const;

type TextKey = 'channels' | (typeof TEXTS)[number]['key'];
type Texts = Record<TextKey, string>;

interface FiltersProps {
  readonly search: StreamSearch;
  readonly onChange: (search: StreamSearch) => void;
}

export function Filters({ search, onChange }: FiltersProps): ReactElement {
  const document = useDocument();
  const types = document === undefined ? [] : typesOf(document);
  const [texts, setTexts] = useState(() => textsOf(search));
  const isNarrowed = TEXTS.some(({ key }) => search[key] !== undefined) || search.types !== undefined;
  const [isOpen, { toggle }] = useDisclosure(isNarrowed);
  useEffect(() => setTexts(textsOf(search)), [search]);
  const apply = (chosen = search.types) => {
    const next = searchOf(texts, chosen);
    if (JSON.stringify(next) !== JSON.stringify(searchOf(textsOf(search), search.types))) onChange(next);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    apply();
  };
  const field = (key: TextKey, label: string, placeholder: string) => (
    <TextInput
      key={key}
      label={label}
      placeholder={placeholder}
      value={texts[key]}
      onChange={(event) => {
        const { value } = event.currentTarget;
        setTexts((before) => ({ ...before, [key]: value }));
      }}
      onBlur={() => apply()}
      spellCheck={false}
      autoComplete="off"
      flex="1 1 160px"
    />
  );
  return (
    <form onSubmit={submit}>
      <Group align="end" gap="xs">
        {field('channels', 'Channels', '** (everything)')}
        <Button type="submit">Show</Button>
        <Button variant="default" onClick={toggle} aria-expanded={isOpen}>
          Filters{isNarrowed ? ' (on)' : ''}
        </Button>
      </Group>
      <Collapse expanded={isOpen}>
        <Group align="end" gap="xs" mt="xs">
          <MultiSelect
            label="Types"
            placeholder={search.types === undefined ? 'every type' : ''}
            data={[...new Set([...types, ...(search.types ?? [])])]}
            value={[...(search.types ?? [])]}
            onChange={(chosen) => apply(chosen.length === 0 ? undefined : chosen)}
            searchable
            clearable
            clearButtonProps={{ 'aria-label': 'All types' }}
            flex="2 1 240px"
          />
          {TEXTS.map(({ key, label, placeholder }) => field(key, label, placeholder))}
          {isNarrowed && (
            <Button variant="default" onClick={() => onChange(searchOf({ ...textsOf({}), channels: texts.channels }, undefined))}>
              Clear filters
            </Button>
          )}
        </Group>
      </Collapse>
    </form>
  );
}

function textsOf({ channels = '', source = '', user = '', correlation = '', after = '' }: StreamSearch): Texts {
  return { channels, source, user, correlation, after };
}

function searchOf(texts: Texts, types: readonly string[] | undefined): StreamSearch {
  const given = Object.entries(texts).flatMap(([key, value]) => (value.trim() === '' ? [] : [[key, value.trim()]]));
  return { ...Object.fromEntries(given), ...(types !== undefined && { types }) };
}
