/** The frame of every page: the navigation, who is signed in, and the state of the connection. */
import { Anchor, AppShell, Badge, Burger, Button, Group, NavLink, ScrollArea, Text, Tooltip, useMantineColorScheme } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, type LinkProps, Outlet, useLocation } from '@tanstack/react-router';
import { type ReactElement, useEffect } from 'react';
import { legible } from '../parts/legible.tsx';
import { SourceColors } from '../parts/source-mark.tsx';
import { ExpiryNotice } from '../session/expiry.tsx';
import { session } from '../session/session.ts';
import { useIdentity } from '../session/use-identity.ts';
import { ConnectionBadge, ConnectionNotice } from './connection.tsx';

const PAGES: readonly { readonly to: LinkProps['to']; readonly label: string; readonly adminOnly?: boolean }[] = [
  { to: '/', label: 'Overview' },
  { to: '/connections', label: 'Connections', adminOnly: true },
  { to: '/channels', label: 'Channels' },
  { to: '/stream', label: 'Stream' },
  { to: '/state', label: 'State' },
  { to: '/publish', label: 'Publish' },
  { to: '/contract', label: 'Contract' },
];

export function Shell(): ReactElement {
  const [isOpen, { toggle, close }] = useDisclosure(false);
  const identity = useIdentity();
  const { pathname } = useLocation();
  const pages = PAGES.filter(({ adminOnly = false }) => !adminOnly || identity.role === 'admin');
  const current = pages.find(({ to }) => (to === '/' ? pathname === '/' : pathname.startsWith(String(to))));
  useEffect(() => {
    document.title = current === undefined ? 'Courier' : `${current.label} · Courier`;
  }, [current]);
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 200, breakpoint: 'sm', collapsed: { mobile: !isOpen } }} padding="md">
      <AppShell.Header>
        <Anchor href="#main" className="skip-link">
          Skip to the page
        </Anchor>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="xs">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={isOpen ? 'Close the menu' : 'Open the menu'} />
            <Text fw={700} size="lg" visibleFrom="xs">
              Courier
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <ConnectionBadge />
            <ColorSchemeButton />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" aria-label="Pages">
        <AppShell.Section grow component={ScrollArea}>
          {pages.map(({ to, label }) => (
            <NavLink
              key={label}
              label={label}
              active={current?.to === to}
              aria-current={current?.to === to ? 'page' : undefined}
              variant="filled"
              renderRoot={(props) => <Link {...props} to={to} onClick={close} />}
            />
          ))}
        </AppShell.Section>
        <AppShell.Section>
          <Group justify="space-between" wrap="nowrap" gap="xs">
            <Text size="sm" truncate title={legible(identity.sub)}>
              {legible(identity.sub)}
            </Text>
            <Badge variant="default" tt="none">
              {identity.role}
            </Badge>
          </Group>
          <Button fullWidth variant="default" size="xs" mt="xs" onClick={() => session.signOut()}>
            Sign out
          </Button>
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <ConnectionNotice />
        <ExpiryNotice />
        <SourceColors>
          <Outlet />
        </SourceColors>
      </AppShell.Main>
    </AppShell>
  );
}

const SCHEMES = {
  auto: { next: 'light', label: 'Auto', description: 'The colours are those of the system. Press for light ones.' },
  light: { next: 'dark', label: 'Light', description: 'The colours are light. Press for dark ones.' },
  dark: { next: 'auto', label: 'Dark', description: 'The colours are dark. Press for those of the system.' },
} as const;

function ColorSchemeButton(): ReactElement {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { next, label, description } = SCHEMES[colorScheme];
  return (
    <Tooltip label={description}>
      <Button variant="default" size="xs" px="xs" onClick={() => setColorScheme(next)}>
        {label}
      </Button>
    </Tooltip>
  );
}
