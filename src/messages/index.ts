export { Consultation } from './consultation.ts'
export { noteAct } from './note.ts'

export { mountMessages } from './routes.ts'
export { MessageService } from './service.ts'
export { contentsAt, readingEntries, readsAt, type Content } from './store.ts'
export { messagesOwners } from './verification/owners.ts'
