import type { Random } from '../protocol/index.ts'

/**
 * What the SDK uses of a WebSocket (WHATWG), so that browsers, Node 24 and tests can each give
 * theirs.
 */
export interface Socket {
  readonly readyState: number
  send(text: string): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void
}

/**
 * Everything ambient: nothing in the SDK reads a clock, makes a random byte or opens a connection
 * in another way.
 */
export interface Platform {
  readonly clock: () => Date
  /** Milliseconds of a clock that nobody sets: how long something takes is told by it alone. */
  readonly elapsed: () => number
  readonly random: Random
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly WebSocket: new (url: string, protocols: string[]) => Socket
  /** Runs something once after so many milliseconds; the answer cancels it. */
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

/** Timers take at most 31 bits. */
export const longestTimerMs = 2 ** 31 - 1

/** Waits. Tests that own the clock give an `after` of their own. */
export function sleep(platform: Platform, milliseconds: number): Promise<void> {
  return new Promise((resolve) => void platform.after(milliseconds, resolve))
}

/** A number from 0 up to, not including, `limit`. */
export function randomBelow(platform: Platform, limit: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = platform.random(4)
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) * (limit / 2 ** 32)
}

/**
 * Full jitter (Brooker, "Exponential Backoff And Jitter"): milliseconds to wait before the n-th
 * repetition, from 0.
 */
export function backOff(platform: Platform, attempt: number, base = 200, cap = 30_000): number {
  return randomBelow(platform, Math.min(cap, base * 2 ** attempt))
}
