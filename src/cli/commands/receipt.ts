import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { isCosigned } from '../../client/index.ts'
import { asMember } from '../device.ts'
import { inOperation, leaveOperation, openOperation, type OperationOptions } from '../followed-operation.ts'
import { pathFromHere } from '../invocation.ts'
import { findMessage, messageReference } from '../threads.ts'

interface Options extends OperationOptions {
  readonly out?: string
  readonly statement?: string
  readonly body?: string
}

export function addReceipt(command: Command): void {
  inOperation(
    command
      .argument('<message>', 'its number, such as 41, or its id')
      .option('--out <file>', 'write it to a file, which must not exist, instead of printing it')
      .option('--statement <file>', 'write the signed statement of the message too, to a file that must not exist')
      .option('--body <file>', 'write the sealed body of the message too, to a file that must not exist'),
  )
    .addHelpText(
      'after',
      `
Prints a C2SP tlog-proof: the entry, its proof, and a checkpoint signed with Ed25519 and ML-DSA-44, with the cosignatures of the service's
witnesses where it has any. It proves that the message was accepted,
when, and by whom it was posted. It shows no content.

Examples:
  $ cordon receipt 41 --out 41.tlog-proof
  $ cordon receipt 41 --out 41.tlog-proof --statement 41.statement --body 41.body
  $ cordon verify 41.tlog-proof --keys cordon.keys
  $ verify-go -keys cordon.keys -receipt 41.tlog-proof`,
    )
    .action((word: string, options: Options) =>
      asMember(options, async (device) => {
        const followed = await openOperation(device, options.operation)
        const { operation, messages } = followed.session
        const { id, index } = findMessage(messages, word)
        const receipt = await device.client.portableReceipt(operation, id)
        if (options.out !== undefined) await writeFile(pathFromHere(options.out), receipt, { flag: 'wx' })
        if ((options.statement ?? options.body) !== undefined) {
          const { statement, body } = await device.client.operations.signedMessage(operation, id)
          if (options.statement !== undefined)
            await writeFile(pathFromHere(options.statement), statement, { flag: 'wx' })
          if (options.body !== undefined) await writeFile(pathFromHere(options.body), body, { flag: 'wx' })
        }
        const cosigned = isCosigned(receipt)
        if (!cosigned) device.terminal.note('No witness has cosigned it: it rests on the key of the service alone.')
        device.terminal.result({ operation, message: id, index, cosigned, receipt }, () =>
          options.out === undefined
            ? [receipt.trimEnd()]
            : [`Written: the receipt of ${messageReference(index)} to ${options.out}.`],
        )
        await leaveOperation(followed)
      }),
    )
}
