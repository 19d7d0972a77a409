/** The page as static files. COURIER_URL is the gateway's address; without it the page's own origin leads to the gateway. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  define: { COURIER_URL: JSON.stringify(process.env['COURIER_URL'] ?? '/') },
  plugins: [react()],
});
