/**
 * How a reader checks evidence with tools that every system has, in words. Each line stands alone,
 * so that the file stays readable as it is.
 */
export const manual: readonly string[] = [
  'This file proves what entries a log of Cordon holds. It can be checked without Cordon, with sha256sum, openssl, jq and xxd.',
  'Trust nothing that the file says of keys: get the log’s keys, the witnesses’ keys and the thumbprint of the root from somebody you trust, and compare them with "keys" and "root".',
  '1. Entries. The hash of an entry is SHA-256 of a zero byte and the leaf:  (printf "\\0"; jq -j ".entries[0].leaf" FILE) | sha256sum',
  '2. Proof (RFC 9162, 2.1.3.2). Go from the leaf’s hash upwards through "proof" (base64url): with index i and last = size - 1 of the checkpoint, if i is odd or i = last, hash 0x01 ‖ proof ‖ hash and halve both until i is odd or 0; else hash 0x01 ‖ hash ‖ proof; then halve both. The end must be the root in the third line of the checkpoint.',
  '3. Checkpoint (C2SP signed-note). The signed text is the first three lines with their newlines:  jq -j .checkpoint FILE | head -n 3 > text.  A line "— name data" is a signature: the first 4 bytes of the decoded data name the key, the rest is the signature.',
  '   Ed25519 of the log (64 bytes):  openssl pkeyutl -verify -pubin -inkey log.pem -rawin -in text -sigfile signature.  log.pem is  MCowBQYDK2VwAyEA  and the 32 bytes of the key in base64.',
  '   ML-DSA-44 of the log (8 bytes of time, 2,420 of signature) and of witnesses: C2SP tlog-cosignature; OpenSSL 3.5 verifies it over the message described there.',
  '   Ed25519 of a witness (8 bytes of time, big-endian seconds, 64 of signature) is over:  cosignature/v1 newline, time SECONDS newline, and the text.',
  '4. Details. "private" of the leaf is base64url of SHA-256(salt ‖ details): 32 bytes of salt, decoded, then the details as they stand.',
  '5. Statements. "digest" of the leaf is base64url of SHA-256 of the statement. A statement is a JWS (RFC 7515, Ed25519) by the device named in its header as "kid"; the key is in that device’s certificate, a JWS by its issuer, and so on up to the root, whose own key has the thumbprint "root" (RFC 7638).',
  '6. This shows who signed what, and in which order it stands in the log. Whether somebody was entitled to it at that moment is shown by the whole log: cordon verify.',
]
