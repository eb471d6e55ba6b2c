import type { Access, HttpServer } from '../http/index.ts'
import { JustifiedSchema, type CertifiedCaller } from '../identity/index.ts'
import { readQuery } from '../log/index.ts'
import { InOperationSchema, type OperationAccesses } from '../operations/index.ts'
import type { EvidenceBundles } from './evidence.ts'
import * as schemas from './schemas.ts'
import type { ReportService } from './service.ts'

export function mountReports(
  app: HttpServer,
  { reports, evidence }: { readonly reports: ReportService; readonly evidence: EvidenceBundles },
  may: OperationAccesses,
  reader: Access<CertifiedCaller>,
): void {
  app.get(
    '/v1/operations/:operation/figures',
    {
      config: { access: may.to('report.view'), refusals: ['JUSTIFICATION_REQUIRED'], record: ['report.viewed'] },
      schema: {
        operationId: 'readFigures',
        summary: 'Seizures and quantities, from extracts',
        params: InOperationSchema,
        querystring: JustifiedSchema,
        response: { 200: schemas.FiguresSchema },
      },
    },
    async (request) => {
      const figures = await reports.figures(
        may.to('report.view').of(request).actor,
        request.params.operation,
        request.query.justification,
      )
      return { ...figures, quantities: [...figures.quantities], totals: [...figures.totals] }
    },
  )

  app.post(
    '/v1/logs/:log/evidence',
    {
      config: {
        access: reader,
        refusals: ['AUDITOR_ONLY', 'QUERY_TOO_WIDE', 'EVIDENCE_EMPTY', 'EVIDENCE_TOO_LARGE'],
        record: ['export.made'],
      },
      schema: {
        operationId: 'exportEvidence',
        summary: 'A bundle of evidence: entries with all that proves them, to be checked without the service',
        params: schemas.OfLogSchema,
        body: schemas.EvidenceRequestSchema,
        response: { 200: schemas.EvidenceBundleSchema },
      },
    },
    async (request, reply) => {
      const { query, ...rest } = request.body
      const input = { ...rest, query: readQuery({ ...query, limit: 1 }) }
      const bundle = await evidence.make(reader.of(request), request.params.log, input)
      return reply.type('application/json; charset=utf-8').header('cache-control', 'no-store').send(bundle)
    },
  )
}
