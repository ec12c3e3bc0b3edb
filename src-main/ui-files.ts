import { readFile } from 'node:fs/promises'
import { extname, join, normalize, sep } from 'node:path'

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
}

export interface UiFile {
  body: Uint8Array<ArrayBuffer>
  headers: Record<string, string>
}

/**
 * The file of the interface that `pathname` (still percent-encoded) names, with the headers it is served with;
 * null when there is none. `socketOrigin` is where the page may open a WebSocket; '' for nowhere.
 */
export async function readUiFile(folder: string, pathname: string, socketOrigin = ''): Promise<UiFile | null> {
  const path = pathInside(folder, pathname)
  const type = path && TYPES[extname(path)]
  if (!path || !type) return null
  try {
    const body = new Uint8Array(await readFile(path))
    return { body, headers: { 'Content-Type': type, ...securityHeaders(socketOrigin) } }
  } catch {
    return null
  }
}

/** The absolute path for a request path, or null for anything that would leave `folder`. */
export function pathInside(folder: string, pathname: string): string | null {
  const name = decoded(pathname)
  if (name === null || name.includes('\0') || name.includes('\\')) return null
  if (name.split('/').some((segment) => segment === '..' || segment.startsWith('.'))) return null
  const path = normalize(join(folder, name === '/' ? 'index.html' : name))
  return path.startsWith(folder + sep) ? path : null
}

function decoded(pathname: string): string | null {
  try {
    return decodeURIComponent(pathname)
  } catch {
    return null
  }
}

/** Everything from the page's own origin, no inline script; inline styles because xterm makes style elements. */
export function contentPolicy(socketOrigin: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    `connect-src 'self'${socketOrigin ? ` ${socketOrigin}` : ''}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

function securityHeaders(socketOrigin: string): Record<string, string> {
  return {
    'Content-Security-Policy': contentPolicy(socketOrigin),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
    'Cache-Control': 'no-cache',
  }
}
