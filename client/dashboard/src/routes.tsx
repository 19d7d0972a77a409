/** The routes of the dashboard, below the address of the page. A page's code loads when the page is first opened. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { Overview } from './pages/overview/overview.tsx';
import { stateSearch, thingSearch } from './pages/state/search.ts';
import { streamSearch } from './pages/stream/search.ts';
import { PAGE_PATH } from './place.ts';
import { NotFound, PageFailed } from './shell/failures.tsx';
import { Shell } from './shell/shell.tsx';

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const overview = createRoute({ getParentRoute: () => root, path: '/', component: Overview });

const connections = createRoute({
  getParentRoute: () => root,
  path: '/connections',
  validateSearch: ({ search }: Record<string, unknown>): { search?: string } => (typeof search === 'string' ? { search } : {}),
  component: lazyRouteComponent(() => import('./pages/connections/connections.tsx'), 'ConnectionsPage'),
});

const channels = createRoute({
  getParentRoute: () => root,
  path: '/channels',
  component: lazyRouteComponent(() => import('./pages/channels/channels.tsx'), 'ChannelsPage'),
});

const stream = createRoute({
  getParentRoute: () => root,
  path: '/stream',
  validateSearch: streamSearch,
  component: lazyRouteComponent(() => import('./pages/stream/stream.tsx'), 'StreamPage'),
});

const state = createRoute({
  getParentRoute: () => root,
  path: '/state',
  validateSearch: stateSearch,
  component: lazyRouteComponent(() => import('./pages/state/state.tsx'), 'StatePage'),
});

const thing = createRoute({
  getParentRoute: () => root,
  path: '/state/thing',
  validateSearch: thingSearch,
  component: lazyRouteComponent(() => import('./pages/state/thing.tsx'), 'ThingPage'),
});

const trace = createRoute({
  getParentRoute: () => root,
  path: '/trace/$correlationId',
  component: lazyRouteComponent(() => import('./pages/trace/trace.tsx'), 'TracePage'),
});

const publish = createRoute({
  getParentRoute: () => root,
  path: '/publish',
  validateSearch: ({ type, channel }: Record<string, unknown>): { type?: string; channel?: string } => ({
    ...(typeof type === 'string' && { type }),
    ...(typeof channel === 'string' && { channel }),
  }),
  component: lazyRouteComponent(() => import('./pages/publish/publish.tsx'), 'PublishPage'),
});

const contract = createRoute({
  getParentRoute: () => root,
  path: '/contract',
  component: lazyRouteComponent(() => import('./pages/contract/contract.tsx'), 'ContractPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([overview, connections, channels, stream, state, thing, trace, publish, contract]),
  basepath: PAGE_PATH,
  trailingSlash: 'preserve',
  defaultErrorComponent: PageFailed,
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
