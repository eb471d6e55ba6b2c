import type { Random } from '../protocol/index.ts'

/**
 * The part of a WebSocket (WHATWG) that the SDK uses. Browsers, Node 24 and tests each give an
 * implementation.
 */
export interface Socket {
  readonly readyState: number
  send(text: string): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void
}

/** Clock, randomness, network and timers. The SDK uses no others. */
export interface Platform {
  readonly clock: () => Date
  /** Milliseconds of a clock that cannot be set. Durations are measured with it alone. */
  readonly elapsed: () => number
  readonly random: Random
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly WebSocket: new (url: string, protocols: string[]) => Socket
  /** Runs a function once after so many milliseconds. Answers a function that cancels it. */
  readonly after: (milliseconds: number, run: () => void) => () => void
}

/** The platform of a browser or of Node 24 with this clock; `changes` replaces parts of it. */
export function webPlatform(clock: () => Date, changes: Partial<Platform> = {}): Platform {
  return {
    clock,
    elapsed: () => performance.now(),
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    fetch: (url, init) => fetch(url, init),
    WebSocket,
    after: (milliseconds, run) => {
      const timer = setTimeout(run, milliseconds)
      return () => clearTimeout(timer)
    },
    ...changes,
  }
}

/** The longest time that a timer takes: 31 bits. */
export const longestTimerMs = 2 ** 31 - 1

/** Waits. A test that owns the clock gives an `after` of its own. */
export function sleep(platform: Platform, milliseconds: number): Promise<void> {
  return new Promise((resolve) => void platform.after(milliseconds, resolve))
}

/** A random number from 0 up to, not including, `limit`. */
export function randomBelow(platform: Platform, limit: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = platform.random(4)
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) * (limit / 2 ** 32)
}

/**
 * The milliseconds to wait before repetition number `attempt`, which counts from 0: full jitter
 * (Brooker, "Exponential Backoff And Jitter").
 */
export function backOff(platform: Platform, attempt: number, base = 200, cap = 30_000): number {
  return randomBelow(platform, Math.min(cap, base * 2 ** attempt))
}
