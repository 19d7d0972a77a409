/** The field with which the user searches a list. */
import { TextInput } from '@mantine/core';
import type { ReactElement } from 'react';

interface SearchFieldProps {
  readonly placeholder: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
}

export function SearchField({ placeholder, value, onChange }: SearchFieldProps): ReactElement {
  return (
    <TextInput
      label="Search"
      placeholder={placeholder}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      type="search"
      maw={360}
    />
  );
}
