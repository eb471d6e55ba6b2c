import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Server, ServerOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'

/** PEM files: the certificate with those of its issuers after it, and its private key. */
export interface TlsFiles {
  readonly certificateFile: string
  readonly keyFile: string
}

/**
 * Thrown where the files of a certificate are wrong; the message says what is wrong in a sentence.
 */
export class TlsFault extends Error {
  override readonly name = 'TlsFault'
}

/**
 * TLS 1.3 (RFC 8446) alone; key agreement by X25519MLKEM768 with clients that offer it, which
 * OpenSSL does by itself.
 */
const settled = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const satisfies ServerOptions

const lookEveryMs = 1_000

/**
 * Reads the pair of files as a server takes it. TlsFault where a file is missing or no PEM, or the
 * key is not that of the certificate.
 */
export function readTls({ certificateFile, keyFile }: TlsFiles): ServerOptions {
  const [cert, key] = [readPem(certificateFile), readPem(keyFile)]
  const certificate = parsed(certificateFile, 'certificate', () => new X509Certificate(cert))
  const privateKey = parsed(keyFile, 'private key without a passphrase', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey))
    throw new TlsFault(`the key in ${keyFile} is not that of the certificate in ${certificateFile}`)
  // The certificates of the issuers are checked too: a certificate that OpenSSL refuses would
  // otherwise end the process later.
  parsed(certificateFile, 'chain of certificates', () => createSecureContext({ ...settled, cert, key }))
  return { ...settled, cert, key }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new TlsFault(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`)
  }
}

function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch {
    // The message of OpenSSL may quote the file.
    throw new TlsFault(`${path} holds no ${what} in PEM`)
  }
}

/**
 * Serves new connections under the newest pair as soon as it is whole, without a restart; open
 * connections go on. A pair that cannot be used is reported in the log, and the pair before it
 * stays. Answers the function that stops looking.
 */
export function followCertificate(
  server: Server,
  files: TlsFiles,
  log: Pick<FastifyBaseLogger, 'info' | 'error'>,
): () => void {
  let last: string | undefined
  const look = () => {
    try {
      server.setSecureContext(readTls(files))
      last = undefined
      log.info('the certificate was renewed')
    } catch (error) {
      if (!(error instanceof TlsFault)) throw error
      if (error.message !== last)
        log.error({ reason: error.message }, 'the renewed certificate is not used, the one before still is')
      last = error.message
    }
  }
  const paths = [files.certificateFile, files.keyFile]
  for (const path of paths) watchFile(path, { interval: lookEveryMs, persistent: false }, look)
  return () => {
    for (const path of paths) unwatchFile(path, look)
  }
}
