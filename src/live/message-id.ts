/**
 * Answers the id of the message that a frame is to post, as its statement has it, whatever else is
 * wrong with either, so that every refusal names its message. Undefined where the frame posts
 * nothing, or holds no id that can be read.
 */
export function messageIn(frame: unknown): string | undefined {
  const { type, statement } = (frame ?? {}) as { type?: unknown; statement?: unknown }
  if (type !== 'post' || typeof statement !== 'string') return undefined
  try {
    const payload = JSON.parse(Buffer.from(statement.split('.', 2)[1] ?? '', 'base64url').toString('utf8')) as unknown
    const { id } = (payload ?? {}) as { id?: unknown }
    return typeof id === 'string' && id.length > 0 && id.length <= longestIdCharacters ? id : undefined
  } catch {
    return undefined
  }
}

/** A UUID, and a text that a developer may have taken for one. */
const longestIdCharacters = 64
