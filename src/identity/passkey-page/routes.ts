import { readFileSync } from 'node:fs'
import { everybody, type HttpServer } from '../../http/index.ts'

const config = { access: everybody, door: 'page', record: 'nothing: it shows nothing about any person' } as const
const schema = { hide: true }

/**
 * The page loads scripts and styles of this service alone, makes no markup from text, and shows in
 * no frame; its forms go to the machine that shows the page.
 */
const helmet = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      formAction: ['http://127.0.0.1:*'],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    },
  },
  frameguard: { action: 'deny' },
} as const

const file = (name: string) => readFileSync(new URL(name, import.meta.url))

/** Mounts the page in which a browser answers for the command, which has no passkeys of its own. */
export function mountPasskeyPage(app: HttpServer): void {
  const page = file('passkey.html')
  const script = file('passkey.js')
  const style = file('passkey.css')
  app.get('/passkey', { config, schema, helmet }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(page),
  )
  app.get('/passkey.js', { config, schema }, async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').send(script),
  )
  app.get('/passkey.css', { config, schema }, async (_request, reply) =>
    reply.type('text/css; charset=utf-8').send(style),
  )
}
