import { writeFileSync } from 'node:fs'
import { describeSettings } from '../src/config.ts'

// `npm run docs`: the pages that are written from the source.
writeFileSync(new URL('configuration.md', import.meta.url), describeSettings())
