/** What of the state is shown. Channels and an exact key apply with Enter; as a key is typed, what is shown is narrowed already. */
import { Button, Group, NativeSelect, Switch, TextInput } from '@mantine/core';
import { type FormEvent, type ReactElement, useEffect, useState } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { entityNames } from '../../contract/entities.ts';
import type { StateSearch } from './search.ts';

interface SelectionProps {
  readonly document: ContractDocument;
  readonly search: StateSearch;
  readonly entity: string | undefined;
  readonly typed: string;
  readonly onType: (key: string) => void;
  readonly onChange: (search: StateSearch) => void;
}

export function Selection({ document, search, entity, typed, onType, onChange }: SelectionProps): ReactElement {
  const [channels, setChannels] = useState(search.channels ?? '');
  useEffect(() => setChannels(search.channels ?? ''), [search.channels]);
  const names = entityNames(document);
  const isKnown = entity !== undefined && names.includes(entity);
  const apply = (key: string | undefined) => {
    const { channels: _channels, key: _key, ...rest } = search;
    const named = channels.trim();
    const next = { ...rest, ...(named !== '' && { channels: named }), ...(key !== undefined && key !== '' && { key }) };
    if (next.channels !== search.channels || next.key !== search.key) onChange(next);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    apply(typed.trim());
  };
  const type = (key: string) => {
    onType(key);
    // What is typed is looked for among all again.
    if (search.key !== undefined) apply(undefined);
  };
  return (
    <form onSubmit={submit}>
      <Group align="end" gap="xs">
        <NativeSelect
          label="Entity"
          value={isKnown ? entity : ''}
          onChange={(event) => onChange({ ...search, entity: event.currentTarget.value })}
          data={[...(isKnown ? [] : [{ value: '', label: 'Choose one', disabled: true }]), ...names]}
          flex="1 1 140px"
        />
        <TextInput
          label="Channels"
          placeholder="** (everything)"
          value={channels}
          onChange={(event) => setChannels(event.currentTarget.value)}
          onBlur={() => apply(search.key)}
          spellCheck={false}
          autoComplete="off"
          flex="2 1 160px"
        />
        <TextInput
          label="Key"
          placeholder="Enter finds it exactly"
          value={typed}
          onChange={(event) => type(event.currentTarget.value)}
          type="search"
          spellCheck={false}
          autoComplete="off"
          flex="2 1 160px"
        />
        <Button type="submit">Show</Button>
        <Switch
          label="Open only"
          checked={search.open === true}
          onChange={(event) => {
            const { open: _, ...rest } = search;
            onChange(event.currentTarget.checked ? { ...rest, open: true } : rest);
          }}
          mb={8}
        />
      </Group>
    </form>
  );
}
