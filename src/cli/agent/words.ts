/**
 * The commands that act on a store from their first line on, so that an agent can run them whole.
 * Every other command of a store asks for the agent once it needs the store.
 */
const agentsCommands: ReadonlySet<string> = new Set([
  'read',
  'search',
  'figures',
  'follow',
  'post',
  'pending',
  'receipt',
  'operation',
  'person',
  'devices',
  'sessions',
])

export function namesAgentsCommand([name = '', ...rest]: readonly string[]): boolean {
  return agentsCommands.has(name) && !rest.some((word) => word === '--help' || word === '-h')
}

/** The store that a command line names, as its option `--store` does. */
export function storeNamed(words: readonly string[]): { readonly store?: string } {
  const at = words.indexOf('--store')
  const beside = words.find((word) => word.startsWith('--store='))
  const store = beside?.slice('--store='.length) ?? (at < 0 ? undefined : words[at + 1])
  return store === undefined ? {} : { store }
}
