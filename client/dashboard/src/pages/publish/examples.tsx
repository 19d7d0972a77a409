/** Fills the form with an example of the contract. Nothing is filled in unasked: what looks like data would be published by mistake. */
import { Button, Menu } from '@mantine/core';
import type { ReactElement } from 'react';
import type { SampleDraft } from '../../../../../src/contract/samples.ts';
import { summaryOf } from '../stream/summary.ts';
import { isObject } from './form-data.ts';

interface ExamplesProps {
  readonly examples: readonly SampleDraft[];
  readonly onChoose: (example: SampleDraft) => void;
}

export function Examples({ examples, onChoose }: ExamplesProps): ReactElement | null {
  const [first, ...others] = examples;
  if (first === undefined) return null;
  if (others.length === 0)
    return (
      <Button size="compact-sm" variant="default" onClick={() => onChoose(first)}>
        Fill in an example
      </Button>
    );
  return (
    <Menu position="bottom-end" width={360} withInitialFocusPlaceholder={false}>
      <Menu.Target>
        <Button size="compact-sm" variant="default" rightSection={<span aria-hidden>▾</span>}>
          Fill in an example
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {examples.map((example) => (
          <Menu.Item key={JSON.stringify(example)} onClick={() => onChoose(example)} className="text">
            {isObject(example.data) && summaryOf(example.data)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
