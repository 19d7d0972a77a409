/** What Vite puts in place of these. */
interface ImportMeta {
  readonly env: { readonly DEV: boolean; readonly BASE_URL: string };
}

/** Style sheets, which Vite makes part of the page. */
declare module '*.module.css' {
  const classes: Readonly<Record<string, string>>;
  export default classes;
}
declare module '*.css';
