export { EvidenceBundles } from './evidence.ts'
export { mountReports } from './routes.ts'
export { ReportService } from './service.ts'
export { enterLogExport } from './log-export.ts'
