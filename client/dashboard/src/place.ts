/** The address of the page and of the gateway: a proxy, or the gateway itself, may serve both below a path. */

/** The path from a file of the build, in `assets`, to the page; without a build Vite knows it. */
const TO_PAGE = import.meta.env.DEV ? import.meta.env.BASE_URL : '..';

const page = new URL(TO_PAGE, import.meta.url);

/** The path of the page: `/admin`, or `/courier/admin`. */
export const PAGE_PATH = page.pathname.replace(/\/$/, '');

/** The gateway's address for its clients: `https://host`, or `https://host/courier`. */
export const GATEWAY_URL = new URL('..', page).href.replace(/\/$/, '');
