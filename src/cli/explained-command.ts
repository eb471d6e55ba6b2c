import { Command, type AddHelpTextContext, type AddHelpTextPosition } from 'commander'

/** The width of texts where there is no terminal. */
export const usualWidthColumns = 80

/**
 * A command whose help texts are wrapped to the terminal, and whose refusals name the command that
 * shows its help.
 */
export class ExplainedCommand extends Command {
  override createCommand(name?: string): Command {
    return new ExplainedCommand(name)
  }

  /**
   * Adds a help text. Its paragraphs are wrapped to the terminal; lines that begin with a space, as
   * examples do, stay as they are.
   */
  override addHelpText(position: AddHelpTextPosition, text: string | ((context: AddHelpTextContext) => string)): this {
    return super.addHelpText(position, (context) => {
      const width = this.configureOutput().getOutHelpWidth?.() ?? usualWidthColumns
      const whole = typeof text === 'string' ? text : text(context)
      const lines = whole.replace(/(?<=\S)\n(?=\S)/g, ' ').split('\n')
      return lines.map((line) => (line.startsWith(' ') ? line : this.createHelp().boxWrap(line, width))).join('\n')
    })
  }
}

/** Sets, for a command and its subcommands, the line after a refusal that names the help. */
export function nameHelp(command: Command, words: string): void {
  command.showHelpAfterError(`How it is used: ${words} --help`)
  for (const below of command.commands) nameHelp(below, `${words} ${below.name()}`)
}
