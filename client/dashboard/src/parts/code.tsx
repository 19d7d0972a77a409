/** Code and texts that the user can copy. */
import { Button, Group, Tabs, Text } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import type { ReactElement } from 'react';
import { legible } from './legible.tsx';

export interface CodeIn {
  readonly curl: string;
  readonly typescript: string;
  readonly python: string;
}

const LANGUAGES = { curl: 'curl', typescript: 'TypeScript', python: 'Python' } as const;

interface CodeBlockProps {
  readonly children: string;
  /** The name of the code in the page, for tests. */
  readonly name: string;
}

export function CodeBlock({ children, name }: CodeBlockProps): ReactElement {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled with the keyboard
    <pre className="code" tabIndex={0} data-code={name}>
      {legible(children)}
    </pre>
  );
}

/** The same code in several languages. */
export function CodeTabs({ code }: { readonly code: CodeIn }): ReactElement {
  return (
    <Tabs defaultValue="curl">
      <Tabs.List>
        {Object.entries(LANGUAGES).map(([language, name]) => (
          <Tabs.Tab key={language} value={language}>
            {name}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {(Object.keys(LANGUAGES) as (keyof CodeIn)[]).map((language) => (
        <Tabs.Panel key={language} value={language} pt="xs">
          <CodeBlock name={language}>{code[language]}</CodeBlock>
          <CopyText text={code[language]} what={`the ${LANGUAGES[language]} code`} label="Copy" />
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}

interface CopyTextProps {
  readonly text: string;
  /** The name of the text, for screen readers. */
  readonly what: string;
  /** The label of the button; the text itself when absent. */
  readonly label?: string;
}

/** A page may copy only over https or on this machine. The user can select the text in any case. */
export function CopyText({ text, what, label }: CopyTextProps): ReactElement {
  const { copy, copied, error } = useClipboard();
  return (
    <Group gap={6} wrap="nowrap" justify="flex-end">
      {label === undefined && <Text size="sm">{legible(text)}</Text>}
      <Button size="compact-xs" variant="default" onClick={() => copy(text)} aria-label={`Copy ${what}`}>
        {error !== null ? 'Not allowed here' : copied ? 'Copied' : (label ?? 'Copy')}
      </Button>
    </Group>
  );
}
