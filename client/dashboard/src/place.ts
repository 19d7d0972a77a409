/** Where the page is, and with it the gateway: a proxy, or the gateway itself, may have put both below a path. */

/** From a file of the build, which lies in `assets`, to the page; without a build Vite knows. */
const TO_PAGE = import.meta.env.DEV ? import.meta.env.BASE_URL : '..';

const page = new URL(TO_PAGE, import.meta.url);

/** The path of the page: `/admin`, or `/courier/admin`. */
export const PAGE_PATH = page.pathname.replace(/\/$/, '');

/** The gateway's address, as its clients are given it: `https://host`, or `https://host/courier`. */
export const GATEWAY_URL = new URL('..', page).href.replace(/\/$/, '');
